"""Tables of images: the values that vary, what each image shows, and the numbers measured in its data."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mpirender.job import frames as framesets
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import RenderJob
from mpirender.monitor import contact_sheet
from mpirender.run_folder import own_files
from mpirender.supervisor.result import RenderResult
from mpirender.system import files


class Row(NamedTuple):
    """An image."""

    values: dict[str, str]  # those of the properties that vary, by property; empty if none do
    output: Output
    frame: int
    image: str  # its path from the output folder
    time: float | None = None  # animation time
    measured: Mapping[str, float | None] = {}  # numbers about its data, by name


def write_down(job: RenderJob, result: RenderResult) -> Path:
    """Write the table of measured numbers, if the job has some, and the contact sheet; return the path of the sheet.

    :raises OSError: they cannot be written.
    :raises UsageError: another run has begun in the folder.
    """
    with own_files.recording(job) as made:
        if job.measure:
            rows = rows_of(job, result)
            write(own_files.table_path(job), rows, (), numbers(job, rows), made)
        return contact_sheet.of_run(job, result, made)


def rows_of(job: RenderJob, result: RenderResult) -> list[Row]:
    """Return the images in the order of their values, then of their frames."""
    rows = []
    for output in job.outputs:
        values = {name: value for name, _, value in (text.partition("=") for text in output.overrides)}
        for image in result.frames[output.name]:
            frame = framesets.number(image)
            key = Image(frame, output.name)
            path, measured = str(image.relative_to(job.output)), result.measured.get(key, {})
            rows.append(Row(values, output, frame, path, result.times.get(key), measured))
    return rows


def numbers(job: RenderJob, rows: Sequence[Row]) -> list[str]:
    """Return the names of the numbers in all rows, in the order of the job.

    An image without data has one empty number for all components of an array, whose number is unknown there.
    """
    found = dict.fromkeys(name for row in rows for name in row.measured)
    names: list[str] = []
    for text in job.measure:
        parts = [name for name in found if re.fullmatch(rf"{re.escape(text)} (min|max|\d+)", name)]
        names += parts or [text]
    return names


def about(row: Row) -> dict[str, object]:
    """Return what an image shows, by column."""
    output = row.output
    eye, size = {"eye": output.eye} if output.eye else {}, {"width": output.width, "height": output.height}
    return {"view": output.view, "layout": output.layout, **eye, **size, "frame": row.frame, "time": row.time}


def write(path: Path, rows: Sequence[Row], targets: Sequence[str], numbers: Sequence[str], made: files.Made) -> None:
    """Write a table as CSV, with the properties that vary (``targets``) and names of measured numbers.

    :param made: records the file.

    :raises OSError: it cannot be written.
    """
    with files.replacing(path, made=made) as part, part.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([*targets, *about(rows[0]), "image", *numbers])
        for row in rows:
            measured = (row.measured.get(name) for name in numbers)
            table.writerow([*row.values.values(), *about(row).values(), row.image, *measured])
