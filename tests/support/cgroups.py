"""Limit the memory of processes by a cgroup of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")


@contextmanager
def memory_limit(count: int) -> Iterator[Callable[[], None]]:
    """Make a cgroup below that of this process; yield a function by which a process enters it (``preexec_fn``)."""
    folder, limit = _folder(), ""
    try:
        folder.mkdir()
        limit = next(name for name in ("memory.max", "memory.limit_in_bytes") if (folder / name).exists())
        (folder / limit).write_text(str(count))
    except (OSError, StopIteration):
        folder.exists() and folder.rmdir()
        pytest.skip("cgroups with a limit of memory cannot be made here")
    try:
        yield lambda: (folder / "cgroup.procs").write_text(str(os.getpid())) and None
    finally:
        folder.rmdir()


def _folder() -> Path:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return ROOT / "memory" / path.lstrip("/") / f"test-{os.getpid()}"
    return ROOT / f"test-{os.getpid()}"
