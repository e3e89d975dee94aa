"""The report of a parameter study: a table of values and images, and a contact sheet with an axis for each property."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpirender.job import sweep
from mpirender.job.render_job import RenderJob
from mpirender.job.sweep import Axis
from mpirender.monitor import image_table
from mpirender.monitor.image_table import Row
from mpirender.monitor.summary import CONTACT_SHEET, GAP, INK, LABEL, PAPER, small, table_path
from mpirender.supervisor.result import RenderResult
from mpirender.system import files

if TYPE_CHECKING:
    from PIL.Image import Image

MARGIN = 8  # pixels around labels
FONT = 16
LONGEST_LABEL = 48  # characters


def write_down(job: RenderJob, result: RenderResult) -> Path:
    """Write the table, as CSV and as JSON, and the contact sheet; return the path of the sheet.

    Raises:
        OSError: they cannot be written.
    """
    axes, rows = [sweep.parse(text) for text in job.vary], image_table.rows_of(job, result)
    numbers = image_table.numbers(job, rows)
    image_table.write(table_path(job), rows, [axis.target for axis in axes], numbers)
    text = json.dumps([_entry(row, numbers) for row in rows], indent=1)
    files.write_text(table_path(job).with_suffix(".json"), text)
    return contact_sheet(job, axes, rows)


def _entry(row: Row, numbers: Sequence[str]) -> dict[str, object]:
    """Return a row for JSON."""
    measured = {"measured": {name: row.measured.get(name) for name in numbers}} if numbers else {}
    return {"values": row.values, **image_table.about(row), "image": row.image, **measured}


def contact_sheet(job: RenderJob, axes: Sequence[Axis], rows: Sequence[Row]) -> Path:
    """Put a thumbnail of every combination on one sheet: the last property along the top, the others down the side."""
    from PIL import Image as Images

    smallest = min(job.outputs, key=lambda output: output.width * output.height)
    alike = [row for row in rows if row.output.size == smallest.size]
    frames = sorted({row.frame for row in alike})
    shown = [row for row in alike if row.frame == frames[len(frames) // 2]]
    columns = len(axes[-1].values)
    side = [_label(axes[:-1], row.values) for row in shown[::columns]]
    top = [_label(axes[-1:], row.values) for row in shown[:columns]]
    pictures = small([job.output / row.image for row in shown], smallest)
    width, height = pictures[0].size
    left = max(map(_length, side)) + 2 * MARGIN if len(axes) > 1 else GAP
    sheet = Images.new(
        "RGB", (left + columns * (width + GAP), LABEL + len(side) * (height + GAP) + GAP), PAPER
    )  # fmt: skip
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        corner = (left + column * (width + GAP), LABEL + row * (height + GAP))
        sheet.paste(picture, corner, picture if picture.mode == "RGBA" else None)
    for column, text in enumerate(top):
        _write(sheet, text, (left + column * (width + GAP) + (width - _length(text)) // 2, MARGIN // 2))
    for row, text in enumerate(side if len(axes) > 1 else ()):
        _write(sheet, text, (MARGIN, LABEL + row * (height + GAP) + (height - FONT) // 2))
    path = job.output / CONTACT_SHEET
    with files.replacing(path) as part:
        sheet.save(part, "png", compress_level=1)
    return path


def _label(axes: Sequence[Axis], values: dict[str, str]) -> str:
    """Return the values along these axes, short enough for the sheet."""
    names = sweep.short_names(axes)
    text = ", ".join(f"{name} {values[axis.target]}" for name, axis in zip(names, axes))
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _length(text: str) -> int:
    """Return the width of a label in pixels."""
    from PIL import ImageFont

    return round(ImageFont.load_default(FONT).getlength(text))


def _write(sheet: Image, text: str, place: tuple[int, int]) -> None:
    from PIL import ImageDraw, ImageFont

    ImageDraw.Draw(sheet).text(place, text, fill=INK, font=ImageFont.load_default(FONT))
