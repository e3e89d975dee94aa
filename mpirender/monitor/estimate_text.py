"""The estimate of a run as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mpirender.job import frames as framesets
from mpirender.job.render_job import RenderJob
from mpirender.run_folder.cost import dollars
from mpirender.supervisor.disk_estimate import amount
from mpirender.supervisor.estimate_report import WORTH, Estimate, Row
from mpirender.system.text import duration, plural, rank_or_group, rounded

LABEL_WIDTH = 10  # characters
HEAD = ("nodes", "ranks", "start-up", "frames", "movie", "whole run", "core-hours")


def text(job: RenderJob, estimate: Estimate) -> str:
    """Write an estimate."""
    lines = (
        (label if not number else "", line)
        for label, found in _rows(job, estimate)
        for number, line in enumerate(found)
    )
    return "\n".join(f"{label:>{LABEL_WIDTH}}  {line}" for label, line in lines)


def _rows(job: RenderJob, estimate: Estimate) -> Iterator[tuple[str, Sequence[str]]]:
    sizes = ", ".join(map(str, job.outputs))
    done = (
        f"{framesets.named(estimate.sampled)} {'is' if len(estimate.sampled) == 1 else 'are'} done; render keeps them"
    )
    yield "frames", [f"{estimate.frames} at {sizes}; {done}"]
    mean, least, most = estimate.per_frame
    unsure = f" ± {rounded(estimate.per_frame_error)}" if estimate.per_frame_error else ""
    unit, measured = rank_or_group(job.ranks_per_frame), f"measured: {rounded(least)} to {rounded(most)} s"
    yield "a frame", [f"takes {rounded(mean)}{unsure} s on a {unit} ({measured})"]
    yield "whole run", table(estimate.rows)
    left = estimate.left
    yield "left", [f"{duration(left.total)} ± {duration(left.error)} here, on {plural(left.ranks, 'rank')}"]
    if estimate.memory:
        fit = f"; {plural(estimate.fitting, 'rank')} fit on a node like this, which has {amount(estimate.node_memory)}"
        yield "memory", [f"up to {amount(estimate.memory)} a rank{fit if estimate.fitting else ''}"]
    movies = [f"about {amount(size)} {name}" for name, size in estimate.movie_bytes.items()]
    yield "disk", [f"{amount(estimate.image_bytes)} of images", *(["movie: " + ", ".join(movies)] if movies else [])]
    faster = [one for one in estimate.advice if one.gain >= WORTH]
    yield "advice", [f"{one.option} saves about {one.gain:.0%} ({one.how})" for one in faster]
    yield "as fast", [f"{one.option} ({one.how})" for one in estimate.advice if abs(one.gain) < WORTH]
    slower = [one for one in estimate.advice if one.gain <= -WORTH]
    yield "slower", [f"{one.option} takes {-one.gain:.0%} more ({one.how})" for one in slower]
    yield "note", estimate.notes


def table(rows: Sequence[Row]) -> list[str]:
    """Write what the run takes on several numbers of nodes, as aligned lines."""
    priced = any(row.dollars is not None for row in rows)
    cells = [(*HEAD, *(("cost",) if priced else ())), *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in cells]


def _cells(row: Row) -> tuple[str, ...]:
    one = row.prediction
    cost = () if row.dollars is None else (dollars(row.dollars),)
    whole = f"{duration(one.total)} ± {duration(one.error)}"
    parts = (duration(one.start + one.end), duration(one.frames), duration(one.movie))
    return (str(one.nodes), str(one.ranks), *parts, whole, rounded(row.core_hours), *cost)
