"""Read what a run has recorded in its journals."""

from __future__ import annotations

from pathlib import Path

from mpirender.run_folder import journal
from mpirender.run_folder.journal import Record


def records(output: Path, event: str = "") -> list[Record]:
    """Return the records of a run: all, or those of one kind of event."""
    return [record for record in journal.read(output / ".mpirender") if event in ("", record["event"])]


def done_frames(output: Path) -> list[int]:
    """Return the frames that were rendered, one for each time and image."""
    return sorted(record["frame"] for record in records(output, "done"))
