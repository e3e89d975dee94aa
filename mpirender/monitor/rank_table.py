"""Which rank renders where, on which cores and with what, as a table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mpirender.job import frames as framesets
from mpirender.system.text import plural, rank_or_group

LINES_SHOWN = 32
FIELDS = ("host", "cores", "threads", "backend", "device", "renderer")


def table(entries: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Write who renders where with what, ranks that share everything in one line.

    Args:
        entries: the records of the ranks, each with the fields of :func:`mpirender.ranks.roster.entry` and its host.
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
    who = f"{rank_or_group(size)}{'s' if len(ranks) > 1 else ''} {framesets.text(ranks)}"
    who += f"{'' if size == 1 else f' of {size} ranks'} on {about['host']}"
    cores = f"core{'s' if re.search('[-,]', about['cores']) else ''} {about['cores']}"
    pool = f"{plural(about['threads'], 'thread')}{' each' if several else ''}"
    device = "" if about["device"] is None else f" device {about['device']}"
    window = f"{about['backend'].upper()}{device}, " if about["backend"] else ""
    return f"{who}: {cores}, {pool}, {window}{about['renderer']}"
