"""The table of a comparison, from its raw results alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

Raw = dict[str, Any]
NUMBERS = ("wall s", "from - to", "CPU s", "images", "wall", "CPU", "differ")


def summary(raw: Raw) -> str:
    """Write what was compared, the table, and how to read it."""
    told, here = raw["arguments"], raw["machine"]
    names = [name for name in told["rows"] if runs_of(raw, name)]  # a comparison may have been cut short
    repeats = max((run["repeat"] for run in raw["runs"]), default=0)
    medians = f"median of {repeats} runs" if repeats > 1 else "one run"
    frames = f"frames {told['frames']} of {told['state']} at {' and '.join(map(plain, told['sizes']))}"
    programs = f"ParaView {here['paraview']}, mpirender {here['mpirender']}"
    lines = [
        f"{frames}; {told['ranks']} ranks; {medians} of each row",
        f"{here['cpu']}, {here['cores']} cores; {programs}; {here['date']}",
        "",
        *aligned([("", *NUMBERS), *(row_of(raw, name, names[0]) for name in names)]),
        "",
        f"wall, CPU: share of {told['rows'][0]}'s; differ: images that are not pixel for pixel SaveAnimation's",
    ]
    return "\n".join(lines)


def row_of(raw: Raw, name: str, first: str) -> tuple[str, ...]:
    """Return the cells of a row; seconds are medians over the repeats, ratios are to the first row."""
    walls, wall, cpu = seconds(raw, name, "wall"), median(raw, name, "wall"), median(raw, name, "cpu")
    return (
        name,
        f"{wall:.1f}",
        f"{min(walls):.1f} - {max(walls):.1f}",
        f"{cpu:.1f}",
        str(min(run["images"] for run in runs_of(raw, name))),
        share(wall, median(raw, first, "wall")),
        share(cpu, median(raw, first, "cpu")),
        str(different(raw, name)),
    )


def runs_of(raw: Raw, name: str) -> list[dict[str, Any]]:
    """Return the runs of a row."""
    return [run for run in raw["runs"] if run["row"] == name]


def seconds(raw: Raw, name: str, kind: str) -> list[float]:
    """Return the seconds of every run of a row, of wall clock (``wall``) or CPU (``cpu``)."""
    return [run[kind] for run in runs_of(raw, name)]


def median(raw: Raw, name: str, kind: str) -> float:
    """Return the median of the seconds of a row."""
    return statistics.median(seconds(raw, name, kind))


def different(raw: Raw, name: str) -> int:
    """Return the largest number of a run's images that are not ParaView's, pixel for pixel."""
    return max((run["different"] for run in runs_of(raw, name)), default=0)


def plain(size: str) -> str:
    """Write ``4K=3840x2160`` as ``4K``, and ``160x90=160x90`` once."""
    return size.rpartition("=")[0]


def share(part: float, whole: float) -> str:
    """Write a ratio for people."""
    return f"{part / whole:.0%}" if whole else "-"


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Write cells as lines: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
        for row in cells
    ]
