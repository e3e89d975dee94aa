"""Simulate who renders which frame when: frame costs, ranks and schedules in, makespan and efficiency out.

Nothing here runs anything or looks at a clock; the same numbers give the same result.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpirender.ranks import schedule

DYNAMIC = "dynamic"
BOUND = "bound"
SCHEDULES = ("interleaved", "contiguous", DYNAMIC)

Seconds = NDArray[np.float64]
Draw = np.random.Generator


@dataclass(frozen=True)
class Ranks:
    """The ranks of a run.

    Args:
        ready: seconds from the moment that the first rank is ready to that of each; shape (ranks,).
        speed: of each, 1 as usual: a frame takes its cost divided by the speed of its rank; shape (ranks,).
    """

    ready: Seconds
    speed: Seconds


@dataclass(frozen=True)
class HandOut:
    """What it costs to hand out a frame in the dynamic schedule.

    Args:
        latency: seconds from a rank's being free to its next frame, where nobody else asks.
        service: seconds that who hands out needs for each; those that ask meanwhile wait for one another.
    """

    latency: float = 0.0
    service: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What comes out.

    Args:
        makespan: seconds from the moment that the first rank is ready to the end of the last frame.
        rendering: seconds that all ranks together spend on frames.
        ranks: their number.
    """

    makespan: float
    rendering: float
    ranks: int

    @property
    def efficiency(self) -> float:
        """The share of the ranks' time that is spent on frames, 0 to 1."""
        return self.rendering / (self.ranks * self.makespan)


def simulate(costs: Seconds, ranks: Ranks, kind: str, hand_out: HandOut | None = None) -> Outcome:
    """Return what comes out of a schedule, or of the bound.

    The bound is list scheduling (R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM Journal on Applied
    Mathematics 17, 1969, pages 416-429) in the order of the frames, at no cost: whichever rank is free takes the next
    frame at once. On equal ranks that are ready together its makespan is at most 2 - 1/ranks times the shortest there
    is. To do better on purpose one would have to know what a frame costs before it is rendered.

    Args:
        costs: seconds of each frame on a rank of speed 1, in frame order.
        kind: one of :data:`SCHEDULES`, or :data:`BOUND`.
        hand_out: for the dynamic schedule.
    """
    if kind == BOUND:
        return list_scheduled(costs, ranks, HandOut())
    if kind == DYNAMIC:
        return list_scheduled(costs, ranks, hand_out or HandOut())
    return dealt(costs, ranks, kind)


def dealt(costs: Seconds, ranks: Ranks, kind: str) -> Outcome:
    """Return what comes out where all frames are dealt beforehand, as mpirender itself deals them."""
    shares = schedule.deal(range(len(costs)), len(ranks.ready), kind)
    rendering = np.array([costs[share].sum() for share in shares]) / ranks.speed
    ends = (ranks.ready + rendering)[[bool(share) for share in shares]]
    return Outcome(float(ends.max()), float(rendering.sum()), len(ranks.ready))


def list_scheduled(costs: Seconds, ranks: Ranks, hand_out: HandOut) -> Outcome:
    """Return what comes out where a rank gets the next frame whenever it is free; those who ask first are first."""
    asking = [(float(ready), rank) for rank, ready in enumerate(ranks.ready)]
    heapq.heapify(asking)
    speed = ranks.speed.tolist()
    desk_free = rendering = makespan = 0.0
    for cost in costs.tolist():
        asked, rank = asking[0]
        desk_free = max(desk_free, asked) + hand_out.service
        spent = cost / speed[rank]
        end = desk_free + hand_out.latency + spent
        rendering += spent
        makespan = max(makespan, end)
        heapq.heapreplace(asking, (end, rank))
    return Outcome(makespan, rendering, len(speed))


# --- what frames cost


def constant(count: int, draw: Draw) -> Seconds:
    """Return the same cost for every frame."""
    return np.ones(count)


def log_normal(count: int, draw: Draw) -> Seconds:
    """Return costs that differ by factors: a tenth of the frames costs less than a third, a tenth twice the mean."""
    sigma = 0.8
    return np.exp(sigma * draw.standard_normal(count) - sigma**2 / 2)


def pareto(count: int, draw: Draw) -> Seconds:
    """Return heavy-tailed costs: the dearest of n frames costs about n to the power of 1 ÷ 2.5 times the cheapest."""
    shape = 2.5  # mean and variance are finite, higher moments are not
    return (1 + draw.pareto(shape, count)) * (shape - 1) / shape


def drifting(count: int, draw: Draw) -> Seconds:
    """Return costs that rise sevenfold while the camera draws nearer, with a tenth of noise."""
    return np.linspace(0.25, 1.75, count) * np.clip(1 + 0.1 * draw.standard_normal(count), 0.5, 1.5)


def stepping(count: int, draw: Draw) -> Seconds:
    """Return costs of an animation of four frames for each timestep, the first of which reads its data."""
    return np.where(np.arange(count) % 4 == 0, 2.5, 0.5)


COSTS: dict[str, Callable[[int, Draw], Seconds]] = {
    "constant": constant, "log-normal": log_normal, "pareto": pareto, "drifting": drifting, "stepping": stepping,
}  # fmt: skip


def stretched(measured: Sequence[float], count: int) -> Seconds:
    """Return measured costs as those of a longer or shorter animation of the same scene."""
    places = np.arange(count) * len(measured) // count
    return np.array(measured, float)[places]


def drawn_ranks(count: int, draw: Draw, *, jitter: float, spread: float, per_node: int) -> Ranks:
    """Return ranks that are ready at different times, on nodes of different speed.

    Args:
        jitter: seconds within which all become ready, evenly spread.
        spread: standard deviation of the nodes' speeds, as a share of the mean; none is slower than half of that.
        per_node: ranks of a node, which share its speed.
    """
    ready = draw.uniform(0, jitter, count)
    nodes = np.clip(1 + spread * draw.standard_normal(-(-count // per_node)), 0.5, None)
    return Ranks(ready - ready.min(), np.repeat(nodes, per_node)[:count])
