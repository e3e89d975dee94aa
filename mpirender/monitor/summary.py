"""The summary of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpirender.job import frames as framesets
from mpirender.job.render_job import RenderJob
from mpirender.monitor import cost, rank_table
from mpirender.run_folder.event_values import Cost
from mpirender.run_folder.own_files import table_path
from mpirender.supervisor import timings
from mpirender.supervisor.result import RenderResult
from mpirender.system.text import damaged_lines, duration, listed, plural, rank_or_group, ranks_or_groups

LABEL_WIDTH = 13  # characters of the summary
LISTED = 8  # folders, or movies


def summary(job: RenderJob, result: RenderResult, sheet: Path | None, page: Path | None = None) -> str:
    """Write where the results are, how long the run took and what an image cost."""
    count, unit = len(next(iter(result.frames.values()))), rank_or_group(result.ranks_per_frame)
    kept = f", {result.kept} kept from before" if result.kept else ""
    each = f", {result.seconds_per_image:.2f} s each on a {unit}, {unit}s {result.busy:.0%} busy"
    kept_faulty = f"errors were reported during {plural(result.complained, 'image')}; --on-error warn kept them"
    damaged = damaged_lines(result.skipped)
    frames = [f"{job.output / output.name} ({plural(count, 'image')})" for output in job.outputs]
    rows = [
        ("done in", [duration(result.seconds)]),
        ("images", [f"{result.rendered} rendered{kept}{each if result.rendered else ''}"]),
        ("by", rank_table.table(result.roster)),
        ("time", where_time_went(result)),
        ("cost", _cost(result.cost)),
        ("frames", _some(frames)),
        ("movie", _some([f"{movie} ({float(count / job.rate):.1f} s)" for movie in result.movies])),
        ("spot", list(result.spot)),
        ("restarts", _times(result.restarts, "because ranks died, nodes were taken away or data changed")),
        ("lost nodes", [f"{listed(result.lost_nodes)}; all frames are complete"] if result.lost_nodes else []),
        ("reloads", _times(result.losses, "because renderers were lost")),
        ("warning", [text for text, number in ((kept_faulty, result.complained), (damaged, result.skipped)) if number]),
        ("measured", [str(table_path(job))] if sheet is not None and job.measure else []),
        ("contact sheet", [] if sheet is None else [str(sheet)]),
        ("report", [] if page is None else [str(page)]),
    ]
    lines = ((label if not number else "", text) for label, texts in rows for number, text in enumerate(texts))
    return "\n".join(f"{label:>{LABEL_WIDTH}}  {text}" for label, text in lines)


def _times(count: int, why: str) -> list[str]:
    """Return how often something was necessary; nothing if it never was."""
    times = "once" if count == 1 else f"{count} times"
    return [f"{times}, {why}; all frames are complete"] if count else []


def _cost(spent: Cost | None) -> list[str]:
    """Return what the nodes cost, nothing without a price."""
    return [] if spent is None else [cost.line(spent.hours, spent.dollars, spent.per_image)]


def _some(texts: Sequence[str]) -> list[str]:
    """Return the texts; of very many, as in a study, the first ones and the number of the others."""
    more = len(texts) - LISTED
    return [*texts[:LISTED], f"and {more} more"] if more > 0 else list(texts)


def where_time_went(result: RenderResult) -> list[str]:
    """Write where the time went; empty if nothing was rendered."""
    if not result.rendered:
        return []
    count, each = len(result.spent), result.ranks_per_frame
    who = ranks_or_groups(count, each) if count > 1 else f"the {rank_or_group(each)}"
    share = f"{result.efficiency:.0%} of the time of {who} was spent on rendering"
    return [*timings.table(result.spent, rank_or_group(each)), share]


HANDED_OUT = "rank 0 assigns frames to ranks as they become free"


def schedule_lines(shares: Sequence[Sequence[int]], unit: str = "rank") -> list[str]:
    """Write which frames each rank, or group, renders."""
    return [f"{unit} {rank}: {framesets.text(share) or 'nothing'}" for rank, share in enumerate(shares)]
