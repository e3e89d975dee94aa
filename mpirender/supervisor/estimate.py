"""What a whole run will take, predicted from a few of its frames. All functions here compute from measured numbers.

The seconds of the other frames are interpolated over the animation, then dealt to ranks as the schedule does.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpirender.job.options import DYNAMIC
from mpirender.movie.segment_plan import plan
from mpirender.ranks import schedule

Seconds = NDArray[np.float64]

LEAST, MOST, SHARE = 6, 20, 0.05  # frames of a sample, if each rank gets two of them; part of all frames
CONFIDENCE = 2.0  # standard deviations: 95 of 100 runs are within
FEW = 3.0  # over the degrees of freedom: by how much Student's t exceeds 2 standard deviations
DRIFT = 0.05  # standard deviation, relative, between runs of the same scene on the same machine
LEFT_OUT = 1.5  # variance of the error at a point that is interpolated from two neighbors, relative to that of a point
DRAWS = 5  # of the scatter of frames around the curve
MOST_DRAWN = 200_000  # frames in all draws together
JOIN = 4 / 3  # times a movie of one image, for which ffmpeg starts three times; joining starts it four times
KEY_FRAMES = 250  # a key frame at least every so many frames
SCATTER = 1.25  # times that it may have taken less than others let expect; only to lower it would bias the sum
RISE = 2.0  # times that the first frame of a rank may have taken longer than its next ones because it was the first


@dataclass(frozen=True)
class SampledFrame:
    """A frame that was rendered for the estimate, at all outputs."""

    place: int  # among the frames of the run, from 0
    seconds: float
    first: bool = False  # whether it was the first that its rank rendered, which often takes longer


@dataclass(frozen=True)
class MovieCost:
    """What encoding a movie takes: of one encoder, with as many beside it as there are ranks on a node."""

    output: str
    fixed: float  # seconds of starting and checking, in addition to those of each frame
    per_frame: float
    key_bytes: float  # of a key frame, and of another frame
    frame_bytes: float
    doubt: float = 0.0  # seconds by which ``per_frame`` may be wrong: how much the images move is not measured


@dataclass(frozen=True)
class Measured:
    """What was measured of a run that rendered some of its frames."""

    frames: int  # of the whole run
    sample: tuple[SampledFrame, ...]  # in the order of their places
    start: float  # seconds from the command until the ranks begin to render
    trial: float  # those of them for the order trial and the survey of color ranges, whose results are recorded
    end: float  # seconds after the last frame, without the movie
    movies: tuple[MovieCost, ...]
    codec: str
    schedule: str
    transparent: bool = False


@dataclass(frozen=True)
class Prediction:
    """Seconds that a run takes; ``error`` is half the width of the interval that holds 95 of 100 runs."""

    nodes: int
    ranks: int
    start: float
    frames: float
    movie: float
    end: float
    error: float

    @property
    def total(self) -> float:
        """Seconds of the whole command."""
        return self.start + self.frames + self.movie + self.end


def sample_size(frames: int, ranks: int) -> int:
    """Return how many frames to render for an estimate: 1 in 20, but two for each rank."""
    least, most = max(LEAST, 2 * ranks), max(MOST, 2 * ranks)
    return min(max(math.ceil(frames * SHARE), least), most, frames)


def sample_places(frames: int, size: int, stride: int = 1) -> list[int]:
    """Return the places of the frames to render: spread evenly with both ends, and what follows two of them.

    Two of them are ``stride`` frames after another one, as a rank renders them. They show what a frame takes after the
    one before it, and how large it is in the movie.
    """
    if size >= frames or size < LEAST or frames < 4 * size * stride:
        return [round(place) for place in np.linspace(0, frames - 1, min(size, frames))]
    spread = [round(place) for place in np.linspace(0, frames - 1, size - 2)]
    followed = (spread[len(spread) // 3], spread[2 * len(spread) // 3])
    return sorted({*spread, *(place + stride for place in followed)})


class Curve:
    """Seconds per frame over the animation, through the frames of a sample."""

    def __init__(self, frames: int, sample: Sequence[SampledFrame]) -> None:
        self.frames = frames
        self._places = np.array([one.place for one in sample], float)
        self._seconds = np.array([one.seconds for one in sample], float)
        firsts = [number for number, one in enumerate(sample) if one.first]
        corrected = [self._without_start(number) for number in firsts]
        excess = [self._seconds[number] - value for number, value in zip(firsts, corrected)]
        self.first = float(np.mean(excess)) if excess else 0.0  # seconds that the first frame of a rank takes longer
        self._seconds[firsts] = corrected

    def _without_start(self, number: int) -> float:
        """Return what the first frame of a rank would have taken later, by its neighbors in the sample."""
        own = float(self._seconds[number])
        if len(self._seconds) < LEAST:
            return own
        others = np.delete(np.arange(len(self._seconds)), number)
        if number == 0:  # a line through the next two
            (x1, x2), (y1, y2) = self._places[1:3], self._seconds[1:3]
            guess = y1 - (y2 - y1) / (x2 - x1) * (x1 - self._places[0])
        else:
            guess = np.interp(self._places[number], self._places[others], self._seconds[others])
        return min(max(float(guess), own / RISE), own * SCATTER)

    @property
    def costs(self) -> Seconds:
        """The seconds of every frame."""
        return np.interp(np.arange(self.frames), self._places, self._seconds)

    @property
    def residuals(self) -> Seconds:
        """The error at each inner frame of the sample if it is interpolated from its neighbors, scaled to a frame's."""
        if len(self._seconds) < 3:
            return np.zeros(0)
        before, here, after = self._places[:-2], self._places[1:-1], self._places[2:]
        share = (here - before) / (after - before)
        guess = self._seconds[:-2] * (1 - share) + self._seconds[2:] * share
        return np.array((self._seconds[1:-1] - guess) / math.sqrt(LEFT_OUT))

    @property
    def spread(self) -> tuple[float, float, float]:
        """The mean of all frames, and the least and most of the sample."""
        return float(self.costs.mean()), float(self._seconds.min()), float(self._seconds.max())

    def error(self) -> float:
        """Return the standard deviation of the sum over all frames."""
        if len(self.residuals) == 0:
            return 0.5 * float(self.costs.sum()) * (len(self._seconds) < self.frames)
        each = math.sqrt(float(np.mean(self.residuals**2)))
        unknown = self.frames - len(self._seconds)
        return unknown * each / math.sqrt(len(self._seconds))


def makespan(costs: Seconds, ranks: int, kind: str) -> float:
    """Return the seconds until the last rank has rendered its frames, by a schedule."""
    if len(costs) == 0:
        return 0.0
    if kind == DYNAMIC and ranks > 1:
        free = [0.0] * min(ranks, len(costs))
        for cost in costs.tolist():
            heapq.heapreplace(free, free[0] + cost)
        return max(free)
    return max(float(costs[share].sum()) for share in schedule.deal(range(len(costs)), ranks, kind) if share)


def frames_seconds(curve: Curve, left: Sequence[int], ranks: int, kind: str) -> float:
    """Return the seconds that ranks take for the frames at these places, with the scatter of the sample around it."""
    costs, scatter = curve.costs[list(left)], curve.residuals
    draws = min(DRAWS, MOST_DRAWN // max(len(costs), 1)) if len(scatter) else 0
    if not draws or len(costs) == 0:
        return makespan(costs, ranks, kind)
    scatter = scatter - scatter.mean()
    found = []
    for seed in range(draws):
        added = np.array(random.Random(seed).choices(scatter.tolist(), k=len(costs)))
        found.append(makespan(np.maximum(costs + added, 0.1 * costs), ranks, kind))
    return float(np.mean(found))


def movie_seconds(measured: Measured, ranks: int) -> float:
    """Return the seconds of encoding all movies, cut into segments as the ranks do it."""
    costs = {movie.output: movie for movie in measured.movies}
    segments = plan(costs, measured.frames, range(ranks), measured.codec, transparent=measured.transparent)
    busy: dict[int, float] = dict.fromkeys(range(ranks), 0.0)
    for one in segments:
        cost = costs[one.output]
        busy[one.rank] += cost.fixed + cost.per_frame * (one.stop - one.start)
    first = [costs[one.output] for one in segments if one.count > 1 and one.number == 0]
    joined = sum(JOIN * (cost.fixed + cost.per_frame) for cost in first)
    return max(busy.values(), default=0.0) + joined


def confidence(measured: Measured) -> float:
    """Return how many standard deviations of the sample hold 95 of 100 runs: Student's t."""
    return CONFIDENCE + FEW / max(len(measured.sample) - 2, 1)


def predict(measured: Measured, nodes: int, ranks: int, done: Collection[int] = (), kind: str = "") -> Prediction:
    """Predict a run on so many ranks, or groups of ranks; ``done`` are the places of frames that it need not render.

    :param kind: another schedule than that of the measured run.
    """
    curve = Curve(measured.frames, measured.sample)
    left = [place for place in range(measured.frames) if place not in done]
    frames = frames_seconds(curve, left, ranks, kind or measured.schedule) + max(curve.first, 0.0)
    start = measured.start - (measured.trial if done else 0.0)
    movie = movie_seconds(measured, ranks)
    share = len(left) / measured.frames if measured.frames else 0.0
    sampling = curve.error() * share / max(min(ranks, len(left)), 1)
    drift = DRIFT * (start + frames + movie + measured.end)
    per_frame = sum(one.per_frame for one in measured.movies)
    doubt = movie * sum(one.doubt for one in measured.movies) / per_frame if per_frame else 0.0
    error = math.hypot(confidence(measured) * sampling, CONFIDENCE * drift, doubt)
    return Prediction(nodes, ranks, start, frames, movie, measured.end, error)


def movie_bytes(measured: Measured, ranks: int) -> dict[str, float]:
    """Return the size of each movie, by output."""
    costs = {movie.output: movie for movie in measured.movies}
    segments = plan(costs, measured.frames, range(ranks), measured.codec, transparent=measured.transparent)
    sizes: dict[str, float] = dict.fromkeys(costs, 0.0)
    for one in segments:
        count = one.stop - one.start
        keys = -(-count // KEY_FRAMES)
        sizes[one.output] += keys * costs[one.output].key_bytes + (count - keys) * costs[one.output].frame_bytes
    return sizes


def node_counts(ranks_per_node: int, frames: int, most: int = 8) -> list[int]:
    """Return the numbers of nodes to predict: 1, 2, 4 … as long as each rank has frames to render."""
    return [
        nodes
        for nodes in (1, 2, 4, 8, 16, 32, 64)
        if nodes == 1 or (nodes * ranks_per_node <= frames and nodes <= most)
    ]


def gains(measured: Measured, ranks: int, kinds: Mapping[str, str]) -> dict[str, float]:
    """Return the part of the time that other schedules would save, by name."""
    now = predict(measured, 1, ranks).total
    return {name: 1 - predict(measured, 1, ranks, kind=kind).total / now for name, kind in kinds.items()}
