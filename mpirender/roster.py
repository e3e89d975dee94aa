"""Which rank renders where, on which cores and with what: as each rank records it, and as a table for people."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mpirender.engines import Ability
from mpirender.job import frames as framesets

LINES_SHOWN = 32
KIB = 1024
FIELDS = ("host", "cores", "threads", "backend", "device", "renderer")


def entry(ability: Ability | None, renderer: str, hosts: Sequence[str] = ()) -> dict[str, Any]:
    """Return what this rank records of itself.

    Args:
        ability: what it was set up to render with, None for an engine without windows.
        renderer: what OpenGL calls it, read back from the window.
        hosts: of the ranks that render each frame with it.
    """
    return {
        "with": list(hosts),
        "backend": "" if ability is None else ability.backend,
        "device": None if ability is None else ability.device,
        "node_memory": memory(),
        "cores": cores(),
        "threads": threads(),
        "renderer": renderer,
    }


def unit(ranks_per_frame: int) -> str:
    """Return what renders a frame: a rank, or a group of them."""
    return "rank" if ranks_per_frame == 1 else "group"


def workers(count: int, ranks_per_frame: int) -> str:
    """Say what renders the frames: ``6 ranks``, ``3 groups of 2 ranks``.

    Args:
        count: how many frames are rendered at a time.
    """
    what = f"{count} {unit(ranks_per_frame)}{'' if count == 1 else 's'}"
    return what if ranks_per_frame == 1 else f"{what} of {ranks_per_frame} ranks"


def threads() -> int:
    """Return how many threads this rank's pools are limited to, 0 where they are not."""
    return int(os.environ.get("LP_NUM_THREADS", "0"))


def memory() -> int:
    """Return the bytes of memory that a job may take on this machine: all there are, or what Slurm or a cgroup grants.

    Of cgroups that of this process and those above it count, of both versions (cgroups(7)).
    """
    found = re.search(r"MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text())
    limits = [int(found[1]) * KIB if found else sys.maxsize]
    if os.environ.get("SLURM_MEM_PER_NODE", "").isdigit():
        limits.append(int(os.environ["SLURM_MEM_PER_NODE"]) * 1024**2)
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


def table(entries: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Write who renders where with what, ranks that share everything in one line.

    Args:
        entries: the records of the ranks, each with the fields of :func:`entry` and its host.
    """
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for rank, record in sorted(entries.items()):
        followers = record.get("with", [])
        hosts = ",".join(dict.fromkeys([record["host"], *followers]))
        key = (hosts, 1 + len(followers), *(record.get(field) for field in FIELDS))
        groups[key].append(rank)
    lines = [_line(ranks, size, {**dict(zip(FIELDS, values)), "host": hosts})
             for (hosts, size, *values), ranks in groups.items()]  # fmt: skip
    more = len(lines) - LINES_SHOWN
    return [*lines[:LINES_SHOWN], f"and {more} lines more"] if more > 0 else lines


def _line(ranks: Sequence[int], size: int, about: Mapping[str, Any]) -> str:
    """Say what some ranks have in common, or groups of so many."""
    several = len(ranks) > 1 or size > 1
    who = f"{unit(size)}{'s' if len(ranks) > 1 else ''} {framesets.text(ranks)}"
    who += f"{'' if size == 1 else f' of {size} ranks'} on {about['host']}"
    cores = f"core{'s' if re.search('[-,]', about['cores']) else ''} {about['cores']}"
    pool = f"{about['threads']} thread{'' if about['threads'] == 1 else 's'}{' each' if several else ''}"
    device = "" if about["device"] is None else f" device {about['device']}"
    window = f"{about['backend'].upper()}{device}, " if about["backend"] else ""
    return f"{who}: {cores}, {pool}, {window}{about['renderer']}"
