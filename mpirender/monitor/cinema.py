"""Write the images of a study as a Cinema database (specification D, "Dietrich"), for viewers of such databases.

The database is a folder ``NAME.cdb`` with a table ``data.csv``: a row for each image, a column for each parameter, and
the path of the image in the column ``FILE``, which comes last. The values of a column are of one type. Readers use the
names of columns in SQL, so these have only letters, digits and underscores.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from mpirender.job import sweep
from mpirender.job.render_job import RenderJob
from mpirender.monitor.image_table import Row
from mpirender.run_folder.own_files import cinema_path
from mpirender.system import files

FILE = "FILE"


def write(job: RenderJob, rows: Sequence[Row], numbers: Sequence[str], made: files.Made) -> None:
    """Write the database of a study, with the names of measured numbers; ``made`` records its table.

    :raises OSError: it cannot be written.
    """
    place = cinema_path(job)
    place.parent.mkdir(exist_ok=True)
    titles, lines = table(job, rows, numbers)
    with files.replacing(place, made=made) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([titles, *lines])


def table(job: RenderJob, rows: Sequence[Row], numbers: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return the titles and the lines: properties, what images differ in, measured numbers, path of the image."""
    axes = [sweep.parse(text) for text in job.vary]
    columns: dict[str, list[object]] = {
        name: [row.values[axis.target] for row in rows] for name, axis in zip(sweep.short_names(axes), axes)
    }  # fmt: skip
    also: dict[str, list[object]] = {
        "time": [row.time for row in rows],
        "frame": [row.frame for row in rows],
        "view": [row.output.view or row.output.layout for row in rows],
        "eye": [row.output.eye or None for row in rows],
        "size": [f"{row.output.width}x{row.output.height}" for row in rows],
        **{name: [row.measured.get(name) for row in rows] for name in numbers},
    }
    shown = {name: values for name, values in also.items() if name in ("time", "frame") or len(set(values)) > 1}
    found = [_typed(values) for values in (*columns.values(), *shown.values())]
    images = [str(Path("..", row.image)) for row in rows]
    return [*_names([*columns, *shown]), FILE], [list(line) for line in zip(*found, images)]


def _typed(values: Sequence[object]) -> list[str]:
    """Write the values of a column as whole numbers, as numbers with a point, or as they are; none is empty."""
    texts = ["" if value is None else str(value) for value in values]
    known = [text for text in texts if text]
    if all(re.fullmatch(r"[-+]?\d+", text) for text in known):
        return texts
    if all(re.fullmatch(sweep.NUMBER, text) for text in known):
        return [repr(float(text)) if text else "" for text in texts]
    return texts


def _names(titles: Sequence[str]) -> list[str]:
    """Return different names with only letters, digits and underscores, which do not begin with FILE or a digit."""
    names: list[str] = []
    for title in titles:
        name = re.sub(r"\W+", "_", title, flags=re.ASCII).strip("_") or "value"
        name = f"_{name}" if name.upper().startswith(FILE) or name[0].isdigit() else name
        while name.lower() in (one.lower() for one in names):
            name += "_"
        names.append(name)
    return names
