"""Draw the contact sheet of a parameter study."""

from __future__ import annotations

from pathlib import Path

from images import pixels
from mpirender.job import sweep
from mpirender.job.render_job import RenderJob
from mpirender.monitor import contact_sheet, sweep_report
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
    sheet = pixels(
        sweep_report.write_sheet(job, [sweep.parse(text) for text in job.vary], rows, lambda part, place: None)
    )
    left = sheet.shape[1] - 2 * (40 + contact_sheet.GAP)
    for place in range(6):
        row, column = divmod(place, 2)
        y, x = contact_sheet.LABEL + row * (20 + contact_sheet.GAP) + 10, left + column * (40 + contact_sheet.GAP) + 20
        assert sheet[y, x].tolist() == [40 * place + 20] * 3
    assert (sheet[: contact_sheet.LABEL - 4] != contact_sheet.PAPER).any(), "labels along the top"
    assert (sheet[contact_sheet.LABEL :, : left - contact_sheet.GAP] != contact_sheet.PAPER).any(), "labels at the side"
