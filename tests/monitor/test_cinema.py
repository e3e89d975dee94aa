"""The Cinema database of a study keeps to specification D."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from mpirender.job.render_job import RenderJob
from mpirender.monitor import cinema
from mpirender.monitor.image_table import Row


def rows_of(job: RenderJob, frames: range, measured: dict[str, float | None]) -> list[Row]:
    """Return a row for each image of a study, and write the image."""
    rows = []
    for output in job.outputs:
        for frame in frames:
            path = job.image(output, frame)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            values = dict(text.split("=", 1) for text in output.overrides)
            rows.append(Row(values, output, frame, str(path.relative_to(job.output)), frame / 2, measured))
    return rows


def database(job: RenderJob, rows: list[Row], numbers: tuple[str, ...] = ()) -> list[dict[str, str]]:
    cinema.write(job, rows, numbers, lambda part, place: None)
    with (job.output / "my wave.cdb" / "data.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_image_is_a_row_with_its_values_time_and_file(tmp_path: Path) -> None:
    vary = ("A.X=1,2.5", "B.Y=[0,0],[1,2]")
    job = RenderJob("my wave.pvsm", tmp_path, vary=vary, sizes=("40x20", "80x40"))
    found = database(job, rows_of(job, range(2), {"A.p max": 3.0}), ("A.p max",))
    assert list(found[0]) == ["X", "Y", "time", "frame", "size", "FILE"], "what is the same for all images is left out"
    assert len(found) == 2 * 2 * 2 * 2
    first = {"X": "1.0", "Y": "[0,0]", "time": "0.0", "frame": "0", "size": "40x20"}
    assert found[0] == {**first, "FILE": "../X=1,Y=0_0/40x20/frame_000000.png"}
    assert {row["X"] for row in found} == {"1.0", "2.5"}, "all values of a column have one type"
    assert {row["time"] for row in found} == {"0.0", "0.5"}
    assert all((tmp_path / "my wave.cdb" / row["FILE"]).exists() for row in found)


def test_names_of_columns_can_be_used_in_sql_and_differ(tmp_path: Path) -> None:
    vary = ("FILE.FILEs=1,2", "A.Größe=1,2", "B.time=1,2")
    job = RenderJob("my wave.pvsm", tmp_path, vary=vary, sizes=("40x20",))
    rows = rows_of(job, range(1), {})
    rows[0] = rows[0]._replace(measured={"1 p max": 1.5, "no p": None})
    names = list(database(job, rows, ("1 p max", "no p"))[0])
    assert names[-1] == "FILE"
    assert all(re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) for name in names)
    assert not any(name.startswith("FILE") for name in names[:-1])
    assert len({name.lower() for name in names}) == len(names) == 7
