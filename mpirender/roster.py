"""Which rank renders where, on which cores and with what: as each rank records it, and as a table for people."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpirender import frames as framesets
from mpirender.engines import Ability

LINES_SHOWN = 32
FIELDS = ("host", "cores", "threads", "backend", "device", "renderer")


def entry(ability: Ability | None, renderer: str) -> dict[str, Any]:
    """Return what this rank records of itself.

    Args:
        ability: what it was set up to render with, None for an engine without windows.
        renderer: what OpenGL calls it, read back from the window.
    """
    return {
        "backend": "" if ability is None else ability.backend,
        "device": None if ability is None else ability.device,
        "cores": cores(),
        "threads": threads(),
        "renderer": renderer,
    }


def threads() -> int:
    """Return how many threads this rank's pools are limited to, 0 where they are not."""
    return int(os.environ.get("LP_NUM_THREADS", "0"))


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
        groups[tuple(record.get(field) for field in FIELDS)].append(rank)
    lines = [_line(ranks, dict(zip(FIELDS, values))) for values, ranks in groups.items()]
    more = len(lines) - LINES_SHOWN
    return [*lines[:LINES_SHOWN], f"and {more} lines more"] if more > 0 else lines


def _line(ranks: Sequence[int], about: Mapping[str, Any]) -> str:
    """Say what some ranks have in common."""
    several = len(ranks) > 1
    who = f"rank{'s' if several else ''} {framesets.text(ranks)} on {about['host']}"
    cores = f"core{'s' if re.search('[-,]', about['cores']) else ''} {about['cores']}"
    pool = f"{about['threads']} thread{'' if about['threads'] == 1 else 's'}{' each' if several else ''}"
    device = "" if about["device"] is None else f" device {about['device']}"
    window = f"{about['backend'].upper()}{device}, " if about["backend"] else ""
    return f"{who}: {cores}, {pool}, {window}{about['renderer']}"
