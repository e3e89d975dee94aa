"""What the nodes of runs have cost, by the journals: time on each node, from the start of a run until its end.

A node that is lost counts until the run has noticed it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mpirender.run_folder.event_values import NO_COST, Cost
from mpirender.run_folder.run_state import RunState
from mpirender.system.text import rounded

HOUR = 3600.0  # seconds


def dollars(amount: float) -> str:
    """Write an amount of money."""
    return f"${rounded(amount)}"


def own_cost(run: RunState, now: float | None = None) -> Cost:
    """Return what a run has cost by itself.

    :param now: seconds since the epoch, for a run that has not ended; None if it has, perhaps without a record of that.
    """
    if not run.nodes:
        return NO_COST
    end = run.finished or (run.heard if now is None else now)
    times = [*(one.time for one in run.nodes[1:]), end]
    hours = dollars = 0.0
    begin = run.nodes[0].time - run.nodes[0].since
    for nodes, until in zip(run.nodes, times):
        spent = len(nodes.names) * max(until - begin, 0.0) / HOUR
        hours += spent
        dollars += spent * nodes.price
        begin = until
    return Cost(hours, dollars, run.images)


def total_cost(run: RunState, now: float | None = None) -> Cost | None:
    """Return what a run and the runs before it in the folder have cost, None for a run without a price."""
    return own_cost(run, now).plus(run.nodes[-1].earlier) if run.nodes else None


def cost_of_all(runs: Iterable[RunState]) -> Cost:
    """Return what runs that have ended have cost together; those without a price cost nothing."""
    total = NO_COST
    for run in runs:
        total = total.plus(own_cost(run))
    return total
