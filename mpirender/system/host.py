"""What this process may use of its machine: cores, threads, memory; and the most memory that it has taken."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from mpirender.system import slurm

KIB = 1024


def threads() -> int:
    """Return how many threads this rank's pools are limited to, 0 where they are not."""
    return int(os.environ.get("LP_NUM_THREADS", "0"))


def memory() -> int:
    """Return the bytes of memory that a job may take on this machine: all there are, or what Slurm or a cgroup grants.

    Of cgroups that of this process and those above it count, of both versions (cgroups(7)).
    """
    found = re.search(r"MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text())
    limits = [int(found[1]) * KIB if found else sys.maxsize]
    limits.append(slurm.memory_limit() or sys.maxsize)
    for folder in _cgroups():
        limits += _limits_in(folder)
    return min(limit for limit in limits if limit)


def peak() -> int:
    """Return the most memory that this process has taken, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def _cgroups() -> Iterator[Path]:
    """Yield the folders of the cgroups that may limit the memory of this process, from its own upwards."""
    lines: list[str] = []
    with contextlib.suppress(OSError):  # a kernel without them
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = Path("/sys/fs/cgroup") / controllers
            here = root / path.lstrip("/")
            for folder in (here, *here.parents):
                yield folder
                if folder == root:
                    break


def _limits_in(folder: Path) -> Iterator[int]:
    """Yield the limit of memory that a cgroup has, if it has one."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # there is no such file, or it says "max"
            yield int((folder / name).read_text())


def cores() -> str:
    """Return the cores that this process may use, as the kernel writes them: ``0-3,8``."""
    found = re.search(r"Cpus_allowed_list:\s*(\S+)", Path("/proc/self/status").read_text())
    return found[1] if found else ""
