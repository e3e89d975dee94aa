"""Draw the contact sheet of a parameter study."""

from __future__ import annotations

from pathlib import Path

from images import pixels
from mpirender.job import sweep
from mpirender.job.render_job import RenderJob
from mpirender.monitor import sweep_report
from mpirender.monitor.sweep_report import Row


def test_the_sheet_has_the_last_property_along_the_top_and_the_rest_down_the_side(tmp_path: Path) -> None:
    import imageio.v3 as iio
    import numpy as np

    job = RenderJob("x.pvsm", tmp_path, vary=("A.X=1,2,3", "B.Y=4,5"), sizes=("40x20",))
    rows = []
    for place, output in enumerate(job.outputs):
        (tmp_path / output.name).mkdir(parents=True)
        image = job.image(output, 0)
        iio.imwrite(image, np.full((20, 40, 3), 40 * place + 20, np.uint8))
        values = dict(text.split("=") for text in output.overrides)
        rows.append(Row(values, output, 0, str(image.relative_to(tmp_path))))
    sheet = pixels(sweep_report.contact_sheet(job, [sweep.parse(text) for text in job.vary], rows))
    left = sheet.shape[1] - 2 * (40 + sweep_report.GAP)
    for place in range(6):
        row, column = divmod(place, 2)
        y, x = sweep_report.LABEL + row * (20 + sweep_report.GAP) + 10, left + column * (40 + sweep_report.GAP) + 20
        assert sheet[y, x].tolist() == [40 * place + 20] * 3
    assert (sheet[: sweep_report.LABEL - 4] != sweep_report.PAPER).any(), "labels along the top"
    assert (sheet[sweep_report.LABEL :, : left - sweep_report.GAP] != sweep_report.PAPER).any(), "and down the side"
