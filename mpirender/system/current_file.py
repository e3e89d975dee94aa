"""The data file that a process reads now, written down for the process that started it, in case it crashes there."""

from __future__ import annotations

import os

_SIZE = 4096  # bytes, of the longest path that is kept
_descriptor: int | None = None  # of the memory shared with the process that reads the note


def create() -> int:
    """Return the descriptor of a note for a child process to :func:`keep`."""
    return os.memfd_create("mpirender current file")


def keep(descriptor: int) -> None:
    """Let :func:`note` of this process write to a descriptor; without this it does nothing."""
    global _descriptor  # noqa: PLW0603 - readers far below report what they do, also where nobody listens
    _descriptor = descriptor
    note("")


def note(path: str) -> None:
    """Write down which file is read now, empty for none."""
    if _descriptor is not None:
        os.pwrite(_descriptor, os.fsencode(path)[: _SIZE - 1] + b"\0", 0)


def noted(descriptor: int) -> str:
    """Return the file that a process read when it ended, empty for none."""
    return os.fsdecode(os.pread(descriptor, _SIZE, 0).split(b"\0")[0])
