"""The table and the plot of benchmarks.movie, from its raw results alone."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from benchmarks import plotting
from benchmarks.command import Raw, table, told

NUMBERS = ("tail s", "from - to", "of one-share", "of one-encoder", "CPU s", "frames", "size", "PSNR dB", "segments")


def summary(raw: Raw, *, markdown: bool = False) -> str:
    """Write what was compared, the table, and how to read it."""
    asked = raw["arguments"]
    names = list(dict.fromkeys(run["row"] for run in raw["runs"]))
    repeats = max((run["repeat"] for run in raw["runs"]), default=0)
    medians = f"median of {repeats} runs" if repeats > 1 else "one run"
    frames = f"{asked['frames']} frames ({asked['images']}) at {asked['size']}"
    lines = [
        told(raw["machine"]),
        "",
        f"{asked['movie']} of {frames} by ffmpeg {asked['ffmpeg']}; {asked['ranks']} ranks; {medians} of each row",
        "",
        *table([("", *NUMBERS), *(row_of(raw, name) for name in names)], markdown=markdown),
        "",
        "tail: wall clock from the last frame to the movie in its place, encoded, joined and checked",
        "size: bytes, as share of one-encoder's; PSNR: against the pictures, in the colours that the movie stores",
    ]
    parts = [f"{name} {seconds:.1f}" for name, seconds in raw["parts"].items()]
    return "\n".join([*lines, *([f"CPU seconds of one encoder: {', '.join(parts)}"] if parts else [])])


def row_of(raw: Raw, name: str) -> tuple[str, ...]:
    """Return the cells of a row; seconds are medians over the repeats."""
    runs = runs_of(raw, name)
    walls = [run["wall"] for run in runs]
    last = runs[-1]
    return (
        name,
        f"{statistics.median(walls):.1f}",
        f"{min(walls):.1f} - {max(walls):.1f}",
        ratio(raw, name, "one-share", "wall"),
        ratio(raw, name, "one-encoder", "wall"),
        f"{statistics.median(run['cpu'] for run in runs):.1f}",
        str(last["frames"]),
        ratio(raw, name, "one-encoder", "bytes", digits=1),
        f"{last['psnr']:.2f}",
        str(last["segments"]),
    )


def runs_of(raw: Raw, name: str) -> list[dict[str, Any]]:
    """Return the runs of a row."""
    return [run for run in raw["runs"] if run["row"] == name]


def ratio(raw: Raw, name: str, other: str, kind: str, *, digits: int = 0) -> str:
    """Write the ratio of two rows' medians."""
    if not runs_of(raw, other):
        return "-"
    mine, theirs = (statistics.median(run[kind] for run in runs_of(raw, row)) for row in (name, other))
    return f"{mine / theirs:.{digits}%}"


def draw(raw: Raw, picture: Path) -> None:
    """Draw the seconds of every row's tail into a picture file."""
    names = list(dict.fromkeys(run["row"] for run in raw["runs"]))
    walls = {name: [run["wall"] for run in runs_of(raw, name)] for name in names}
    figure, (axes,) = plotting.panels(1, width=5.2, height=1.2 + 0.42 * len(names))
    for place, name in enumerate(names):
        middle = statistics.median(walls[name])
        axes.barh(place, middle, height=0.62, color=plotting.BLUE if name == "segments" else plotting.GREY)
        axes.annotate(
            f"{middle:.1f} s", (middle, place), xytext=(5, 0), textcoords="offset points", va="center"
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(map(max, walls.values())))
    axes.set_xlabel("seconds from the last frame to the movie")
    axes.grid(axis="y", visible=False)
    plotting.save(figure, picture)
