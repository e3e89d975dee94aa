"""Which rank renders where, on which cores and with what, as a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mpirender.job import frames as framesets
from mpirender.run_folder.events import Opened
from mpirender.system.text import plural, rank_or_group

LINES_SHOWN = 32


def table(entries: Mapping[int, Opened]) -> list[str]:
    """Write who renders where with what; ranks that have everything in common share a line."""
    alike: dict[str, tuple[Opened, list[int]]] = {}
    for rank, entry in sorted(entries.items()):
        alike.setdefault(_line([0], entry), (entry, []))[1].append(rank)
    lines = [_line(ranks, entry) for entry, ranks in alike.values()]
    more = len(lines) - LINES_SHOWN
    return [*lines[:LINES_SHOWN], f"and {more} lines more"] if more > 0 else lines


def _line(ranks: Sequence[int], entry: Opened) -> str:
    """Write what some ranks, or groups, have in common."""
    size = 1 + len(entry.hosts)
    several = len(ranks) > 1 or size > 1
    who = f"{rank_or_group(size)}{'s' if len(ranks) > 1 else ''} {framesets.text(ranks)}"
    who += f"{'' if size == 1 else f' of {size} ranks'} on {','.join(dict.fromkeys([entry.host, *entry.hosts]))}"
    cores = f"core{'s' if re.search('[-,]', entry.cores) else ''} {entry.cores}"
    threads = f"{plural(entry.threads, 'thread')}{' each' if several else ''}"
    device = "" if entry.device is None else f" device {entry.device}"
    window = f"{entry.backend.upper()}{device}, " if entry.backend else ""
    return f"{who}: {cores}, {threads}, {window}{entry.renderer}"
