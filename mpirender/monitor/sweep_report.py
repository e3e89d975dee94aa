"""The report of a parameter study: tables of values and images, and a contact sheet with an axis for each property."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mpirender.job import sweep
from mpirender.job.render_job import RenderJob
from mpirender.job.sweep import Axis
from mpirender.monitor import cinema, contact_sheet, image_table
from mpirender.monitor.contact_sheet import FONT, GAP, LABEL, ContactSheet
from mpirender.monitor.image_table import Row
from mpirender.run_folder import own_files
from mpirender.run_folder.own_files import table_path
from mpirender.supervisor.result import RenderResult
from mpirender.system import files

MARGIN = 8  # pixels around labels
LONGEST_LABEL = 48  # characters


def write_down(job: RenderJob, result: RenderResult) -> Path:
    """Write the table, as CSV, as JSON and as a Cinema database, and the contact sheet; return the path of the sheet.

    :raises OSError: they cannot be written.
    :raises UsageError: another run has begun in the folder.
    """
    axes, rows = [sweep.parse(text) for text in job.vary], image_table.rows_of(job, result)
    numbers = image_table.numbers(job, rows)
    text = json.dumps([_entry(row, numbers) for row in rows], indent=1)
    with own_files.recording(job) as made:
        image_table.write(table_path(job), rows, [axis.target for axis in axes], numbers, made)
        files.write_text(table_path(job).with_suffix(".json"), text, made=made)
        cinema.write(job, rows, numbers, made)
        return write_sheet(job, axes, rows, made)


def _entry(row: Row, numbers: Sequence[str]) -> dict[str, object]:
    """Return a row for JSON."""
    measured = {"measured": {name: row.measured.get(name) for name in numbers}} if numbers else {}
    return {"values": row.values, **image_table.about(row), "image": row.image, **measured}


def write_sheet(job: RenderJob, axes: Sequence[Axis], rows: Sequence[Row], made: files.Made) -> Path:
    """Put a thumbnail of every combination on one sheet: the last property along the top, the others down the side."""
    output = contact_sheet.smallest(job)
    alike = [row for row in rows if row.output.size == output.size]
    frames = sorted({row.frame for row in alike})
    shown = [row for row in alike if row.frame == frames[len(frames) // 2]]
    columns = len(axes[-1].values)
    side = [_label(axes[:-1], row.values) for row in shown[::columns]] if len(axes) > 1 else []
    left = max(map(contact_sheet.length, side)) + 2 * MARGIN if side else GAP
    images = [job.output / row.image for row in shown]
    sheet = ContactSheet(output, images, columns, left=left, top=LABEL)
    for row, (x, _) in zip(shown[:columns], sheet.corners):
        text = _label(axes[-1:], row.values)
        sheet.label(text, (x + (sheet.width - contact_sheet.length(text)) // 2, MARGIN // 2))
    for text, (_, y) in zip(side, sheet.corners[::columns]):
        sheet.label(text, (MARGIN, y + (sheet.height - FONT) // 2))
    return sheet.save(job.output, made)


def _label(axes: Sequence[Axis], values: dict[str, str]) -> str:
    """Return the values along these axes, short enough for the sheet."""
    names = sweep.short_names(axes)
    text = ", ".join(f"{name} {values[axis.target]}" for name, axis in zip(names, axes))
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
