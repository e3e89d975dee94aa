"""Find the processes of a run by what they do: supervisor, launcher, ranks, renderers, ffmpeg, Xvfb."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from pathlib import Path

from renderers import children, command

RANK = b"\0mpirender.ranks\0"


def processes_of_run(supervisor: int) -> dict[str, list[int]]:
    """Return the processes of a run by kind, from that of its supervisor down; renderers have the words of a rank."""
    found: dict[str, list[int]] = defaultdict(list)
    _add(found, supervisor, "supervisor", "")
    return dict(found)


def _add(found: dict[str, list[int]], pid: int, kind: str, above: str) -> None:
    found[kind].append(pid)
    for child in children(pid):
        _add(found, child, _kind(command(child), kind), kind)


def _kind(words: bytes, parent: str) -> str:
    program = words.partition(b"\0")[0].rpartition(b"/")[2]
    if RANK in words:
        if program in (b"mpiexec", b"mpirun", b"srun"):
            return "launcher"
        return {"rank": "fork server", "fork server": "renderer", "renderer": "helper"}.get(parent, "rank")
    if program.startswith(b"ffmpeg"):
        return "ffmpeg"
    return program.decode(errors="replace") if program in (b"Xvfb", b"orted") else "helper"


def is_stopped(pid: int) -> bool:
    """Return whether a process was stopped by a signal, or has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TZX"
    return True
