"""Find the renderers of a run: a rank's fork server has its command line, and the renderer is the server's child."""

from __future__ import annotations

import contextlib
from pathlib import Path

from waiting import wait_for


def children(pid: int) -> list[int]:
    """Return the child processes of a process, none if it has ended."""
    with contextlib.suppress(OSError):
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(number) for text in lists for number in text.split()]
    return []


def renderer_of(rank: int) -> int | None:
    """Return the renderer of the rank with this process id, None if it has none at the moment."""
    for child in children(rank):
        if command(child) == command(rank):
            return next(iter(children(child)), None)
    return None


def renderer_pid(rank: int) -> int:
    """Return the renderer of the rank with this process id, as soon as it has one."""
    return wait_for(lambda: renderer_of(rank)) or 0


def command(pid: int) -> bytes:
    """Return the command line of a process, empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
