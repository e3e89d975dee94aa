"""Measure whether a run would be faster with other options, on a few of its frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mpirender.engines.base import Inspection
from mpirender.job.render_job import RenderJob
from mpirender.supervisor import estimate
from mpirender.supervisor.estimate import Curve
from mpirender.supervisor.run import Watch
from mpirender.supervisor.sample import Sample, frames_of, render_frames, seconds_of

FRAMES = 4  # of a measurement, if each rank gets two of them
ONE_PASS = "--one-pass"


@dataclass(frozen=True)
class Advice:
    """An option, and the part of the time that it saves; less than 0 if it takes longer."""

    option: str
    gain: float
    how: str  # how the gain is known


def measure(
    job: RenderJob, inspection: Inspection, sample: Sample, watching: Callable[[], AbstractContextManager[Watch]]
) -> list[Advice]:
    """Return what was measured of other options.

    :param watching: is entered for each run of the ranks, and gives what follows its events.
    :raises MpirenderError: the job cannot be rendered.
    """
    found = []
    if sample.ranks > 1 and sample.nodes == 1:
        with watching() as watch:
            found.append(fewer_ranks(job, inspection, sample, watch))
    if not job.one_pass and any(ONE_PASS in line for line in inspection.advice):
        with watching() as watch:
            found.append(one_pass(job, inspection, sample, watch))
    return found


def fewer_ranks(job: RenderJob, inspection: Inspection, sample: Sample, watch: Watch) -> Advice:
    """Measure half as many ranks, each with twice the threads, on frames beside those of the sample.

    These frames count for the run as well.
    """
    groups = sample.ranks // 2
    frames, done = frames_of(job, inspection), set(sample.frames)
    beside = [frame for before, frame in zip(frames, frames[1:]) if frame not in done and before in done]
    chosen = spread(beside or list(frames), max(FRAMES, 2 * groups))
    part = dataclasses.replace(job, ranks=groups * sample.group)
    launch = render_frames(part, inspection, chosen, watch)
    ratio = _relative(sample, seconds_of(job, frames, launch.done), frames)
    now = estimate.predict(sample.measured, 1, sample.ranks)
    costs = Curve(sample.measured.frames, sample.measured.sample).costs
    other = now.total - now.frames + estimate.makespan(costs * ratio, groups, sample.measured.schedule)
    threads = max(sample.threads * sample.ranks // groups, 1)
    return Advice(f"--ranks {part.ranks}", 1 - other / now.total, f"measured, with {threads} threads each")


def one_pass(job: RenderJob, inspection: Inspection, sample: Sample, watch: Watch) -> Advice:
    """Measure ``--one-pass`` on frames of the sample, whose images are other ones then and do not count."""
    frames = frames_of(job, inspection)
    chosen = spread(list(sample.frames), max(FRAMES, 2 * sample.ranks))
    with TemporaryDirectory(prefix="trial-", dir=job.folder) as folder:
        other = dataclasses.replace(job, one_pass=True, output=Path(folder), price=None, price_limit=None)
        launch = render_frames(other, inspection, chosen, watch)
        found = seconds_of(other, frames, launch.done)
    saved = (1 - _relative(sample, found, frames)) * estimate.predict(sample.measured, 1, sample.ranks).frames
    gain = saved / estimate.predict(sample.measured, 1, sample.ranks).total
    return Advice(ONE_PASS, gain, "measured; the images differ, for example in the size of text")


def spread(frames: Sequence[int], count: int) -> list[int]:
    """Return some of these frames, spread evenly over them."""
    count = min(count, len(frames))
    return [frames[round(place * (len(frames) - 1) / max(count - 1, 1))] for place in range(count)]


def _relative(sample: Sample, found: Mapping[int, float], frames: Sequence[int]) -> float:
    """Return the seconds of frames relative to those that the sample says, without what a first frame takes longer."""
    place = {frame: number for number, frame in enumerate(frames)}
    costs = Curve(sample.measured.frames, sample.measured.sample).costs
    ratios = sorted(seconds / float(costs[place[frame]]) for frame, seconds in found.items() if costs[place[frame]] > 0)
    return ratios[(len(ratios) - 1) // 2] if ratios else 1.0
