"""What a run has made, summed up from its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender.engines import Numbers
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import journal
from mpirender.run_folder.journal import Record
from mpirender.supervisor.timings import Spent, by_rank, efficiency


@dataclass(frozen=True)
class RenderResult:
    """What a run has made.

    Args:
        frames: the images of each size, by its name, in frame order.
        movies: the movies, one per size, in the order of the sizes.
        rendered: number of images rendered by this run.
        kept: number of images that an earlier run had completed.
        seconds: wall-clock time of the run.
        seconds_per_image: mean time to render and write an image on one rank; 0 when none was rendered.
        complained: number of images kept although the engine reported an error (``on_error="warn"``).
        busy: fraction of the ranks' time, from first to last frame, that was spent on frames; 0 to 1.
        warnings: what the run warned of.
        restarts: how often the ranks were started again after a death.
        spent: where the time of each rank went.
        efficiency: share of the time of all ranks, over the whole run, that was spent on rendering; 0 to 1.
        ranks_per_frame: ranks that rendered each frame together; the groups are counted as ranks then.
        measured: numbers about the data of every image, where the job asks for some, those of earlier runs included.
        roster: what each rank of the newest launch recorded of where it renders, on which cores and with what.
    """

    frames: dict[str, list[Path]]
    movies: list[Path]
    rendered: int
    kept: int
    seconds: float
    seconds_per_image: float
    busy: float
    complained: int
    warnings: tuple[str, ...]
    restarts: int
    spent: dict[int, Spent]
    efficiency: float
    ranks_per_frame: int
    measured: dict[Image, Numbers]
    roster: dict[int, Record]


def result_of(job: RenderJob, records: Sequence[Record], seconds: float) -> RenderResult:
    """Sum up a finished run from its records."""
    plan = next(record for record in records if record["event"] == "plan")
    frames = framesets.parse(plan["frames"])
    done = images_done(records).values()
    opened = {record["rank"]: record for record in records if record.get("phase") == "opened"}
    spent = sum(record["seconds"] for record in done)
    seconds_of = by_rank(records)
    complaints = [record["text"] for record in records if record["event"] in ("complaint", "warning")]
    complaints += [text for record in done for text in record["complaints"]]
    return RenderResult(
        frames={output.name: [job.image(output, frame) for frame in frames] for output in job.outputs},
        movies=[job.movie_path(output) for output in job.outputs] if job.movie != "none" else [],
        rendered=len(done),
        kept=plan["total"] - plan["left"],
        seconds=seconds,
        seconds_per_image=spent / len(done) if done else 0.0,
        busy=busy(records),
        spent=seconds_of,
        efficiency=efficiency(seconds_of, seconds),
        ranks_per_frame=job.ranks_per_frame,
        measured=measured(job, plan["fingerprint"]) if job.measure else {},
        roster=opened,
        restarts=sum(record["event"] == "death" for record in records),
        complained=sum(bool(record["complaints"]) for record in done),
        warnings=(*plan["warnings"], *dict.fromkeys(complaints)),
    )


def measured(job: RenderJob, mark: str) -> dict[Image, Numbers]:
    """Return what was measured in each image, from all journals: images may be kept from an earlier run.

    Args:
        mark: the fingerprint of the images.
    """
    last = journal.newest(journal.read(job.folder), mark, job.outputs)
    return {image: record["measured"] for image, record in last.items() if "measured" in record}


def busy(records: Sequence[Record]) -> float:
    """Return the share of the ranks' time between first and last frame that was spent on frames, 0 to 1."""
    done = [record for record in records if record["event"] == "done"]
    takes = [record["time"] for record in records if record["event"] == "take"]
    if not done or not takes:
        return 0.0
    window = max(record["time"] for record in done) - min(takes)
    count = next(record["ranks"] for record in records if record["event"] == "start")
    return min(sum(record["seconds"] for record in done) / (count * window), 1.0) if window > 0 else 1.0


def counts(records: Sequence[Record]) -> tuple[int, int]:
    """Return how many images are done and how many there are to be; 0 if a run's records do not tell yet."""
    plan = next((record for record in records if record["event"] == "plan"), None)
    if plan is None:
        return 0, 0
    return plan["total"] - plan["left"] + len(images_done(records)), plan["total"]


def images_done(records: Sequence[Record]) -> dict[Image, Record]:
    """Return the images that these records say are done, with the newest record of each."""
    return {Image(record["frame"], record["output"]): record for record in records if record["event"] == "done"}
