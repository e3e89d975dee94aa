"""Read the records of a run from its journals."""

from __future__ import annotations

from pathlib import Path

from mpirender.run_folder import journal
from mpirender.run_folder.events import Event


def records(output: Path, event: str = "") -> list[Event]:
    """Return the records of a run: all, or only one kind of event."""
    return [one for one in journal.read(output / ".mpirender") if event in ("", type(one).__name__.lower())]


def done_frames(output: Path) -> list[int]:
    """Return the frames of all completed images, with repetitions."""
    return sorted(record.image.frame for record in records(output, "done"))
