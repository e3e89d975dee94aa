"""Render a few frames of a job for an estimate, as a run that the whole job continues, and measure them."""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mpirender.engines.base import Inspection
from mpirender.errors import MpirenderError, UsageError
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import LARGEST, RankRequest, cores, on_this_host
from mpirender.movie.segment_plan import plan
from mpirender.run_folder import events, folder, journal
from mpirender.run_folder.events import Done, Event
from mpirender.run_folder.run_state import LaunchState, RankSession, RunHistory, RunState
from mpirender.supervisor import movie_trial, preflight, run
from mpirender.supervisor.estimate import Measured, MovieCost, SampledFrame, sample_places, sample_size
from mpirender.supervisor.run import Watch
from mpirender.system import host, slurm

FAR = 4  # ranks; with more, a rank seldom renders two frames of one timestep


@dataclass(frozen=True)
class Sample:
    """What was measured of the frames that were rendered for an estimate."""

    measured: Measured
    frames: tuple[int, ...]  # the numbers of the frames that are done
    ranks: int  # groups of ranks that rendered them
    group: int  # ranks in each group
    nodes: int
    threads: int  # cores of each rank
    memory: int  # largest peak of a rank, in bytes
    node_memory: int  # that a job may take on a machine, in bytes
    image_bytes: dict[str, float] = field(default_factory=dict)  # mean size of an image, by output
    follow: float = 1.0  # seconds of frames that follow another one on a rank, relative to those that jump


def with_end(sample: Sample, seconds: float) -> Sample:
    """Return the sample of a run whose command takes so many seconds more at its end."""
    return dataclasses.replace(sample, measured=dataclasses.replace(sample.measured, end=sample.measured.end + seconds))


def frames_of(job: RenderJob, inspection: Inspection) -> tuple[int, ...]:
    """Return the frames of a job.

    :raises UsageError: they are known only after a script has run.
    """
    frames = tuple(preflight.frames_of(job, inspection))
    if not frames and not inspection.frames_known:
        raise UsageError(f"{job.scene.name}: its frames are known only after it has run; name them with --frames")
    return frames


def render(job: RenderJob, inspection: Inspection, wanted: int | None, watch: Watch = lambda _: None) -> Sample:
    """Render some frames of a job into its folder, and measure them.

    :param wanted: how many frames; None for as many as an estimate needs.
    :raises MpirenderError: the job cannot be rendered.
    """
    before = host.age()
    chosen = chosen_frames(job, inspection, wanted)
    began = time.time() - before
    render_frames(job, inspection, chosen, watch)
    return _sample(job, frames_of(job, inspection), chosen, began)


def render_frames(job: RenderJob, inspection: Inspection, chosen: Sequence[int], watch: Watch) -> LaunchState:
    """Render some frames of a job into its folder, without a movie; return the launch of the ranks that did it."""
    # In blocks, so that the frames with which ranks begin are spread over the animation.
    part = dataclasses.replace(job, sample=framesets.text(chosen), movie="none", schedule="contiguous")
    try:
        run.render(part, watch, inspection)
    except MpirenderError:
        with contextlib.suppress(MpirenderError):  # another run may use the folder
            folder.write_down(job)
        raise
    folder.write_down(job)  # whoever reads the folder must see the whole job
    launch = RunHistory(journal.read(job.folder)).newest(None).planned
    assert launch is not None  # the run has ended without an error
    return launch


def chosen_frames(job: RenderJob, inspection: Inspection, wanted: int | None) -> list[int]:
    """Check a job, and return the frames to render for an estimate, ``wanted`` of them or as many as it needs.

    :raises MpirenderError: the job cannot be rendered.
    """
    frames = frames_of(job, inspection)
    preflight.check(job, inspection)
    groups = _groups_here(job, len(frames) * len(job.outputs))
    size = min(wanted or sample_size(len(frames), groups), len(frames))
    if inspection.order_dependent:
        return list(frames[:size])
    return [frames[place] for place in sample_places(len(frames), size, _stride(job, groups))]


def _stride(job: RenderJob, groups: int) -> int:
    """Return how many frames a rank is from one frame to its next one, 1 if ranks seldom share a timestep anyway."""
    return groups if groups <= FAR and job.schedule != "contiguous" else 1


def _groups_here(job: RenderJob, images: int) -> int:
    """Return how many ranks, or groups of them, a run of this job would have here."""
    allocation, request = slurm.allocation(), RankRequest.of(job, min(images, LARGEST))
    if allocation is None:
        return on_this_host(request).groups
    return max((request.useful or sum(allocation.nodes.values())) // request.group, 1)


def _sample(job: RenderJob, frames: Sequence[int], chosen: Sequence[int], began: float) -> Sample:
    """Measure the newest run in the folder of a job; its command began at this time, without the other checks."""
    past = journal.read(job.folder)
    state = RunHistory(past).newest(None)
    launch = state.planned
    assert launch is not None
    assert launch.plan is not None  # the run has ended without an error
    outcomes = journal.newest(past, launch.plan.fingerprint, job.outputs)
    done = {image: one for image, one in outcomes.items() if isinstance(one, Done)}
    firsts, seconds = first_frames(past), seconds_of(job, frames, done)
    place = {frame: number for number, frame in enumerate(frames)}
    sampled = tuple(SampledFrame(place[frame], spent, frame in firsts) for frame, spent in seconds.items())
    opened = [one.opened for one in launch.sessions.values() if one.opened is not None]
    stride = _stride(job, launch.ranks)
    pairs = [(frame, frames[place[frame] + stride]) for frame in chosen if place[frame] + stride < len(frames)]
    pairs = [pair for pair in pairs if pair[1] in chosen and pair[0] in seconds and pair[1] in seconds]
    start, trial, end = times(state, launch)
    movies = _movies(job, len(frames), [*seconds], pairs, launch)
    measured = Measured(
        len(frames), sampled, state.began - began + start, trial, end, movies,
        job.movie_codec if job.movie != "none" else "", job.schedule, job.transparent_background,
    )  # fmt: skip
    return Sample(
        measured, tuple(seconds), launch.ranks, launch.ranks_per_frame,
        nodes=len({one.start.host for one in launch.sessions.values()}),
        threads=max((one.threads for one in opened), default=1),
        memory=max((one.memory for one in done.values()), default=0),
        node_memory=min((one.node_memory for one in opened if one.node_memory), default=0),
        image_bytes={
            output.name: statistics.fmean(one.bytes for image, one in done.items() if image.output == output.name)
            for output in job.outputs
        },
        follow=_follow(seconds, [pair for pair in pairs if pair[0] not in firsts]),
    )  # fmt: skip


def seconds_of(job: RenderJob, frames: Sequence[int], done: Mapping[Image, Done]) -> dict[int, float]:
    """Return the seconds of each frame that is done at all outputs."""
    found = {}
    for frame in frames:
        images = [done[image] for output in job.outputs if (image := Image(frame, output.name)) in done]
        if len(images) == len(job.outputs):
            found[frame] = sum(one.seconds for one in images)
    return found


def first_frames(past: Sequence[Event]) -> set[int]:
    """Return the frames that were the first of a rank."""
    waiting: set[int] = set()
    found: set[int] = set()
    for event in past:
        if isinstance(event, events.Start):
            waiting.add(event.rank)
        elif isinstance(event, events.Take) and event.rank in waiting:
            waiting.remove(event.rank)
            found.add(event.image.frame)
    return found


def times(state: RunState, launch: LaunchState) -> tuple[float, float, float]:
    """Return seconds of a launch: until all ranks render, those of them for what is recorded, and after the frames."""
    began = launch.launch.time if launch.launch is not None else state.began
    sessions = [one for one in launch.sessions.values() if _at(one, "render") and _at(one, "gather")]
    render = max(_at(one, "render") for one in sessions)
    trial = max(_lasted(one, "trial") + _lasted(one, "survey") for one in sessions)
    tail = min(_at(one, "gather") - _at(one, "render") - one.spent for one in sessions)
    end = state.finished - max(_at(one, "gather") for one in sessions)
    return max(render - began, 0.0), trial, max(end, 0.0) + max(tail, 0.0)


def _at(session: RankSession, phase: str) -> float:
    """Return when a rank began with a phase, 0 if it did not."""
    return next((at for name, at in session.phases if name == phase), 0.0)


def _lasted(session: RankSession, phase: str) -> float:
    """Return how long a phase of a rank lasted."""
    pairs = zip(session.phases, session.phases[1:])
    return sum(ended - began for (name, began), (_, ended) in pairs if name == phase)


def _movies(
    job: RenderJob, count: int, done: Sequence[int], pairs: Sequence[tuple[int, int]], launch: LaunchState
) -> tuple[MovieCost, ...]:
    """Measure the encoding of each movie, with the encoders and threads that the movie will get on this machine."""
    if job.movie == "none":
        return ()
    codec = job.movie_codec
    names = [output.name for output in job.outputs]
    segments = plan(names, count, range(launch.ranks), codec, transparent=job.transparent_background)
    working = len({one.rank for one in segments})
    encoders = min(working, cores())
    return tuple(
        movie_trial.measure(job, output, done, pairs=pairs, encoders=encoders, threads=max(cores() // encoders, 1))
        for output in job.outputs
    )


def _follow(seconds: dict[int, float], pairs: Sequence[tuple[int, int]]) -> float:
    """Return the seconds of the second frames of pairs relative to the first: the most of two or more pairs, else 1."""
    shares = [seconds[second] / seconds[first] for first, second in pairs if seconds[first] > 0]
    return max(shares) if len(shares) > 1 else 1.0
