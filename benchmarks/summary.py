"""Format the table and draw the plot of a comparison from its raw results."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import plotting
from benchmarks.command import Raw, table, told
from benchmarks.rows import PROGRAMS

BASELINES = ("process-per-frame", "save-animation", "animation")  # rows that the speed-ups refer to
COLOURS = {"mpirender": plotting.BLUE, "mpirender-one-pass": plotting.SKY}  # the other rows are grey
HOW = {"alone": "one process alone", "together": "as many processes together"}

Comparison = dict[str, Any]


def summary(raw: Raw, *, markdown: bool = False) -> str:
    """Format the heading, the table and the limits of each scene, followed by a legend."""
    lines = [told(raw["machine"])]
    for one in raw["comparisons"]:
        names = names_of(raw, one)
        if names:
            lines += ["", heading(one), ""]
            lines += table([titles(names), *(row_of(one, name, names) for name in names)], markdown=markdown)
            lines += ["", *bulleted([*limits(one), *phases(one, names)], markdown=markdown)]
    return "\n".join([*lines, *legend(raw)])


def legend(raw: Raw) -> list[str]:
    """Return the legend of the table."""
    return [
        "wall, CPU: seconds, medians of the runs; vs: how many times faster by wall clock than that row (by CPU);",
        f"differ: images that are not pixel for pixel those of {animation(raw)}",
    ]


def animation(raw: Raw) -> str:
    """Return the name of the animation whose pixels are the reference."""
    return PROGRAMS[raw["machine"]["engine"]].animation


def heading(one: Comparison) -> str:
    """Describe what was rendered and how often."""
    repeats = max((run["repeat"] for run in one["runs"]), default=0)
    medians = f"median of {repeats} runs" if repeats > 1 else "one run"
    sizes = " and ".join(map(plain, one["sizes"]))
    return f"frames {one['frames']} of {one['state']} at {sizes}; {one['ranks']} ranks; {medians} of each row"


def names_of(raw: Raw, one: Comparison) -> list[str]:
    """Return the names of the rows that have results; the comparison may have been interrupted."""
    return [name for name in raw["arguments"]["rows"] if runs_of(one, name)]


def titles(names: Sequence[str]) -> tuple[str, ...]:
    """Return the heading of the table."""
    ratios = (f"vs {name}" for name in BASELINES if name in names)
    return ("", "wall s", "from - to", "CPU s", "images", *ratios, "differ")


def row_of(one: Comparison, name: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the table cells of a row."""
    walls = seconds(one, name, "wall")
    return (
        name,
        f"{statistics.median(walls):.1f}",
        f"{min(walls):.1f} - {max(walls):.1f}",
        f"{median(one, name, 'cpu'):.1f}",
        str(min(run["images"] for run in runs_of(one, name))),
        *(faster(one, name, base) for base in BASELINES if base in names),
        str(different(one, name)),
    )


def faster(one: Comparison, name: str, base: str) -> str:
    """Format the speed-up of a row over another: by wall-clock time and, in brackets, by CPU time."""
    if name == base:
        return "-"
    wall, cpu = (median(one, base, kind) / median(one, name, kind) for kind in ("wall", "cpu"))
    return f"{wall:.2f} ({cpu:.2f})"


def bulleted(lines: Sequence[str], *, markdown: bool) -> list[str]:
    """Return the lines, as a list in Markdown, followed by an empty line unless there are none."""
    return [*(f"- {line}" if markdown else line for line in lines), *([""] if lines else [])]


def limits(one: Comparison) -> list[str]:
    """Describe the limits of the rows, and how close the rows come."""
    lines = []
    for row, way in limits_of(one):
        startup, bare, encoding, limit = (
            median_limit(one, row, way, kind) for kind in ("startup", "bare", "encoding", "seconds")
        )
        cores = next(each["cores"] for each in one["limits"] if each["row"] == row)
        lines.append(
            f"limit of {row}: ({bare:.1f} CPU s of captures + {encoding:.1f} of encoding) ÷ {cores} cores "
            f"+ {startup:.1f} s of start-up = {limit:.1f} s, by {HOW[way]}; its wall is "
            f"{median(one, row, 'wall') / limit:.3f} of that"
        )
    return lines


def limits_of(one: Comparison) -> list[tuple[str, str]]:
    """Return each pair of a row whose limit was measured and the way it was measured."""
    return list(dict.fromkeys((limit["row"], limit["way"]) for limit in one["limits"]))


def median_limit(one: Comparison, row: str, way: str, kind: str) -> float:
    """Return the median over the repeats of one field of a row's limit."""
    found: list[float] = [each[kind] for each in one["limits"] if (each["row"], each["way"]) == (row, way)]
    return statistics.median(found)


def phases(one: Comparison, names: Sequence[str]) -> list[str]:
    """Describe the phases of the rows that keep journals."""
    lines = []
    for name in names:
        parts = [run["phases"] for run in runs_of(one, name) if run["phases"]]
        if parts:
            before, between, after = (statistics.median(times) for times in zip(*parts))
            times = f"{before:.1f} s before the first frame, {between:.1f} s of frames, {after:.1f} s after"
            lines.append(f"{name}: {times}")
    return lines


def runs_of(one: Comparison, name: str) -> list[dict[str, Any]]:
    """Return the runs of a row."""
    return [run for run in one["runs"] if run["row"] == name]


def seconds(one: Comparison, name: str, kind: str) -> list[float]:
    """Return the seconds of every run of a row, by wall clock (``wall``) or CPU (``cpu``)."""
    return [run[kind] for run in runs_of(one, name)]


def median(one: Comparison, name: str, kind: str) -> float:
    """Return the median of the seconds of a row."""
    return statistics.median(seconds(one, name, kind))


def different(one: Comparison, name: str) -> int:
    """Return the largest number of images in a run that differ from the program's own in any pixel."""
    return max((run["different"] for run in runs_of(one, name)), default=0)


def plain(size: str) -> str:
    """Shorten ``4K=3840x2160`` to ``4K``, and ``160x90=160x90`` to ``160x90``."""
    return size.rpartition("=")[0]


def draw(raw: Raw, picture: Path) -> None:
    """Plot the wall-clock time of the rows to a file, one panel per scene."""
    shown = [one for one in raw["comparisons"] if names_of(raw, one)]
    height = 1.2 + 0.42 * len(raw["arguments"]["rows"])
    figure, panels = plotting.panels(len(shown), width=4.6, height=height, sharey=True)
    for axes, one in zip(panels, shown):
        names = names_of(raw, one)
        for place, name in enumerate(names):
            bar(axes, one, place, name, names[0])
        axes.set_yticks(range(len(names)), names)
        axes.set_title(f"{Path(one['state']).stem}, {' and '.join(map(plain, one['sizes']))}")
        axes.set_xlabel(f"seconds for frames {one['frames']}, {one['ranks']} ranks")
        axes.set_xlim(0, 1.34 * max(max(seconds(one, name, "wall")) for name in names))
        axes.grid(axis="y", visible=False)
    panels[0].invert_yaxis()  # once, since the panels share the axis
    text = textwrap.fill(explained(shown), 64 * len(shown))
    figure.suptitle(text, x=0.01, ha="left", fontsize=9, color=plotting.BLACK)
    plotting.save(figure, picture)


def explained(shown: Sequence[Comparison]) -> str:
    """Return the caption of the plot."""
    lines = "; red: at best on these cores" if any(one["limits"] for one in shown) else ""
    return f"wall clock, median, fastest and slowest run; ×: how many times faster than the first row{lines}"


def bar(axes: Any, one: Comparison, place: int, name: str, base: str) -> None:  # noqa: ANN401
    """Draw a row: median, range of the runs, speed-up and limit."""
    wall, walls = median(one, name, "wall"), seconds(one, name, "wall")
    apart = [[wall - min(walls)], [max(walls) - wall]]
    axes.barh(place, wall, height=0.62, color=COLOURS.get(name, plotting.GREY))
    axes.errorbar(wall, place, xerr=apart, color=plotting.BLACK, linewidth=0.9, capsize=2)
    ratio = f"  {median(one, base, 'wall') / wall:.1f}×" if name != base else ""
    axes.annotate(
        f"{wall:.0f} s{ratio}", (max(walls), place), xytext=(5, 0), textcoords="offset points", va="center",
        weight="bold" if name in COLOURS else "normal",
    )  # fmt: skip
    for row, way in limits_of(one):
        if row == name and way == limits_of(one)[0][1]:
            limit = median_limit(one, row, way, "seconds")
            axes.plot([limit, limit], [place - 0.42, place + 0.42], color=plotting.RED, linewidth=1.6)
