"""The result of a run: images, movies and what they cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from mpirender.engines.base import Numbers
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import journal, spot
from mpirender.run_folder.cost import total_cost
from mpirender.run_folder.event_values import Cost
from mpirender.run_folder.events import Done, Opened
from mpirender.run_folder.run_state import RunHistory, RunState, lost_nodes
from mpirender.supervisor.timings import Spent, by_rank, efficiency


@dataclass(frozen=True)
class RenderResult:
    """The result of a run."""

    frames: dict[str, list[Path]]  # the images of each size, by its name, in frame order
    movies: list[Path]  # the movies, one per size, in the order of the sizes
    rendered: int  # number of images rendered by this run
    kept: int  # number of images that an earlier run had completed
    seconds: float  # wall-clock time of the run
    seconds_per_image: float  # mean time to render and write an image on one rank; 0 when none was rendered
    busy: float  # fraction of the ranks' time, from first to last frame, that was spent on frames; 0 to 1
    complained: int  # number of images kept although the engine reported an error (``on_error="warn"``)
    warnings: tuple[str, ...]  # each text once
    restarts: int  # how often the ranks were started again after one of them died
    losses: int  # how often a renderer was lost and replaced
    spent: dict[int, Spent]  # where the time of each rank went
    efficiency: float  # share of the time of all ranks, over the whole run, that was spent on rendering; 0 to 1
    ranks_per_frame: int  # ranks that rendered each frame together; the groups are counted as ranks then
    # In the data of every image, also of earlier runs, where the job asks for some; the times also of a study.
    measured: dict[Image, Numbers]
    times: dict[Image, float | None]  # animation time of these images
    roster: dict[int, Opened]  # where each rank of the newest launch renders, on which cores and with what
    cost: Cost | None = None  # of this run and the earlier ones in its folder, None without a price
    spot: tuple[str, ...] = ()  # what a cloud announced about nodes, and what was lost with them
    lost_nodes: tuple[str, ...] = ()  # of its Slurm job, by this run and by earlier ones
    skipped: int = 0  # number of damaged lines in the journals, which were skipped


def result_of(job: RenderJob, state: RunState, seconds: float, *, skipped: int = 0) -> RenderResult:
    """Sum up a finished run; ``skipped`` are the damaged lines of the journals that the supervisor found."""
    plans = [launch.plan for launch in state.launches.values() if launch.plan is not None]
    frames = framesets.parse(plans[0].frames)
    done = list(state.done.values())
    seconds_of = by_rank(state.sessions)
    complaints = [text for one in done for text in one.complaints]
    outcomes = complete(job, plans[0].fingerprint) if job.measure or job.vary else {}
    opened = {rank: session.opened for rank, session in state.now.sessions.items()}
    return RenderResult(
        frames={output.name: [job.image(output, frame) for frame in frames] for output in job.outputs},
        movies=[job.movie_path(output) for output in job.outputs] if job.movie != "none" else [],
        rendered=len(done),
        kept=plans[0].total - plans[0].left,
        seconds=seconds,
        seconds_per_image=sum(one.seconds for one in done) / len(done) if done else 0.0,
        busy=busy(state),
        spent=seconds_of,
        efficiency=efficiency(seconds_of, seconds),
        ranks_per_frame=job.ranks_per_frame,
        measured={image: one.measured for image, one in outcomes.items() if one.measured},
        times={image: one.scene_time for image, one in outcomes.items()},
        roster={rank: one for rank, one in sorted(opened.items()) if one is not None},
        restarts=len(state.deaths),
        losses=len(state.losses),
        complained=sum(bool(one.complaints) for one in done),
        warnings=tuple(dict.fromkeys([*state.warnings, *complaints])),
        cost=total_cost(state),
        spot=tuple(spot.story(state, time.time())),
        lost_nodes=tuple(lost_nodes(runs_of_job(job, state), state.run)),
        skipped=plans[-1].skipped + skipped,
    )


def runs_of_job(job: RenderJob, state: RunState) -> list[RunState]:
    """Return the runs of the same Slurm job as this one, which is the last; without Slurm only this one."""
    launch = state.now.launch
    if launch is None or launch.allocation < 2:
        return [state]
    runs = RunHistory(journal.read(job.folder)).runs.values()
    return [run for run in runs if (launch.job, launch.cluster) in run.slurm_jobs]


def complete(job: RenderJob, fingerprint: str) -> dict[Image, Done]:
    """Return the records of all complete images, from all journals: an earlier run may have rendered them."""
    outcomes = journal.newest(journal.read(job.folder), fingerprint, job.outputs)
    return {image: one for image, one in outcomes.items() if isinstance(one, Done)}


def busy(state: RunState) -> float:
    """Return the share of the ranks' time between first and last frame that was spent on frames, 0 to 1."""
    done = state.done.values()
    takes = [session.first_take for session in state.sessions if session.first_take is not None]
    if not done or not takes:
        return 0.0
    window = max(one.time for one in done) - min(takes)
    count = state.sessions[0].start.ranks
    return min(sum(one.seconds for one in done) / (count * window), 1.0) if window > 0 else 1.0
