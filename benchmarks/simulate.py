"""Simulate the schedules: compute makespan and efficiency from frame costs and ranks.

The simulation is deterministic: it starts no process and reads no clock.
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

    :param ready: seconds until each rank is ready, counted from the moment the first is; shape (ranks,).
    :param speed: relative speed of each rank, by which the cost of a frame is divided; shape (ranks,).
    """

    ready: Seconds
    speed: Seconds


@dataclass(frozen=True)
class HandOut:
    """Cost of handing out a frame in the dynamic schedule.

    :param latency: seconds from the request of a rank to its next frame if no other rank is waiting.
    :param service: seconds to serve one request; simultaneous requests are served one after the other.
    """

    latency: float = 0.0
    service: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Result of a simulation.

    :param makespan: seconds from the moment the first rank is ready to the end of the last frame.
    :param rendering: seconds that all ranks together spend on frames.
    :param ranks: number of ranks.
    """

    makespan: float
    rendering: float
    ranks: int

    @property
    def efficiency(self) -> float:
        """Fraction of the ranks' time that is spent on frames, 0 to 1."""
        return self.rendering / (self.ranks * self.makespan)


def simulate(costs: Seconds, ranks: Ranks, kind: str, hand_out: HandOut | None = None) -> Outcome:
    """Simulate a schedule or the bound.

    The bound is list scheduling (R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", SIAM Journal on Applied
    Mathematics 17, 1969, pages 416-429) in frame order at no cost: a free rank takes the next frame at once. On equal
    ranks that are ready at the same time, its makespan is at most 2 - 1/ranks times the optimum. A systematically
    better schedule would have to know the cost of a frame before rendering it.

    :param costs: seconds of each frame on a rank of speed 1, in frame order.
    :param kind: one of :data:`SCHEDULES`, or :data:`BOUND`.
    :param hand_out: for the dynamic schedule.
    """
    if kind == BOUND:
        return list_scheduled(costs, ranks, HandOut())
    if kind == DYNAMIC:
        return list_scheduled(costs, ranks, hand_out or HandOut())
    return dealt(costs, ranks, kind)


def dealt(costs: Seconds, ranks: Ranks, kind: str) -> Outcome:
    """Simulate a static schedule, with the frames dealt by mpirender's own function."""
    shares = schedule.deal(range(len(costs)), len(ranks.ready), kind)
    rendering = np.array([costs[share].sum() for share in shares]) / ranks.speed
    ends = (ranks.ready + rendering)[[bool(share) for share in shares]]
    return Outcome(float(ends.max()), float(rendering.sum()), len(ranks.ready))


def list_scheduled(costs: Seconds, ranks: Ranks, hand_out: HandOut) -> Outcome:
    """Simulate list scheduling: free ranks get the next frame in the order of their requests."""
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


# --- frame costs


def constant(count: int, draw: Draw) -> Seconds:
    """Return the same cost for every frame."""
    return np.ones(count)


def log_normal(count: int, draw: Draw) -> Seconds:
    """Return log-normal costs: 10 % of the frames cost less than 1/3 of the mean, 10 % more than twice the mean."""
    sigma = 0.8
    return np.exp(sigma * draw.standard_normal(count) - sigma**2 / 2)


def pareto(count: int, draw: Draw) -> Seconds:
    """Return heavy-tailed costs: the most expensive of n frames costs about n^(1/2.5) times the cheapest."""
    shape = 2.5  # mean and variance are finite, the higher moments are not
    return (1 + draw.pareto(shape, count)) * (shape - 1) / shape


def drifting(count: int, draw: Draw) -> Seconds:
    """Return costs that rise sevenfold, as when a camera approaches, with 10 % noise."""
    return np.linspace(0.25, 1.75, count) * np.clip(1 + 0.1 * draw.standard_normal(count), 0.5, 1.5)


def stepping(count: int, draw: Draw) -> Seconds:
    """Return the costs of an animation with four frames per timestep, the first of which reads the data."""
    return np.where(np.arange(count) % 4 == 0, 2.5, 0.5)


COSTS: dict[str, Callable[[int, Draw], Seconds]] = {
    "constant": constant, "log-normal": log_normal, "pareto": pareto, "drifting": drifting, "stepping": stepping,
}  # fmt: skip


def stretched(measured: Sequence[float], count: int) -> Seconds:
    """Stretch or compress measured costs to a longer or shorter animation of the same scene."""
    places = np.arange(count) * len(measured) // count
    return np.array(measured, float)[places]


def drawn_ranks(count: int, draw: Draw, *, jitter: float, spread: float, per_node: int) -> Ranks:
    """Draw ranks that are ready at different times, on nodes of different speed.

    :param jitter: time in seconds within which all ranks become ready, uniformly distributed.
    :param spread: standard deviation of the nodes' speeds, relative to the mean; no speed is below half the mean.
    :param per_node: ranks per node; they have the same speed.
    """
    ready = draw.uniform(0, jitter, count)
    nodes = np.clip(1 + spread * draw.standard_normal(-(-count // per_node)), 0.5, None)
    return Ranks(ready - ready.min(), np.repeat(nodes, per_node)[:count])
