"""Reasons, other than a signal, for which the ranks are asked to end before their work is done."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from mpirender.errors import MpirenderError, Stopped
from mpirender.launcher.placement import Placement
from mpirender.run_folder.events import Notice
from mpirender.run_folder.run_state import RunState, progress
from mpirender.run_folder.spot import announced
from mpirender.supervisor.budget import Budget
from mpirender.supervisor.growth import MORE_NODES, Growth

SPOT_NOTICE = "a spot notice"  # what the ranks stop "on"
PRICE_LIMIT = "the price limit"
LONG_SECONDS = 100.0  # an image that takes longer may not be finished between the notice and the loss of the node
MARGIN_SECONDS = 5.0  # before a node is taken away, for the launcher to end


@dataclass(frozen=True)
class EarlyEnd:
    """The ranks are asked to end; images in progress are finished."""

    reason: str  # what they stop "on", for the journals
    text: str = ""  # the reason as a clause
    error: Callable[[], MpirenderError] | None = None  # makes the error with which the run ends; None: it continues
    nodes: frozenset[str] = frozenset()  # without these nodes
    deadline: float | None = None  # in seconds since the epoch, after which the ranks are killed

    def grace(self) -> float:
        """Return the seconds that images in progress have, 0 for as long as they take."""
        return 0.0 if self.deadline is None else max(self.deadline - time.time(), 0.0)


class EarlyEnds:
    """Looks for reasons to end a launch."""

    def __init__(self, run: RunState, budget: Budget | None, growth: Growth | None = None) -> None:
        self.run, self.budget, self.growth = run, budget, growth

    def look(self, placement: Placement, slowest: float = 0.0) -> EarlyEnd | None:
        """Return why the ranks of this placement are to end, None for no reason.

        :param slowest: seconds of the slowest image, 0 before one is complete.
        """
        run, budget = self.run, self.budget
        if budget is not None and budget.exceeded(run):
            return EarlyEnd(PRICE_LIMIT, error=lambda: budget.error(run))
        if not run.notices and (self.growth is None or not self.growth.possible.nodes):
            return None
        images = progress(run)
        if images is not None and not images.left:
            return None
        if early := self._notice(placement, slowest):
            return early
        if self.growth is not None and (text := self.growth.reason(run, slowest)):
            return EarlyEnd(MORE_NODES, text, lambda: self._stopped(text, MORE_NODES))
        return None

    def _notice(self, placement: Placement, slowest: float) -> EarlyEnd | None:
        run = self.run
        here = socket.gethostname()
        by_host = {short(node): node for node in placement.nodes or (here,)}
        leaving = {
            by_host[short(host)]: notice
            for host, notice in run.notices.items()
            if short(host) in by_host and (notice.at or slowest > LONG_SECONDS)
        }
        return self._leave(leaving, placement, here) if leaving else None

    def _leave(self, leaving: dict[str, Notice], placement: Placement, here: str) -> EarlyEnd:
        """Return the end of a launch whose nodes ``leaving`` are taken away; ``here`` is the supervisor's host."""
        text = "; ".join(map(announced, leaving.values()))
        times = [notice.at for notice in leaving.values() if notice.at]
        deadline = min(times) - MARGIN_SECONDS if times else None
        others = placement.on([node for node in placement.nodes if node not in leaving])
        if others.ranks and short(here) not in map(short, leaving):
            return EarlyEnd(SPOT_NOTICE, text, None, frozenset(leaving), deadline)
        return EarlyEnd(SPOT_NOTICE, text, lambda: self._stopped(text, SPOT_NOTICE), frozenset(leaving), deadline)

    def _stopped(self, text: str, reason: str) -> Stopped:
        so_far = f"; {images.done} of {images.total} images are done" if (images := progress(self.run)) else ""
        return Stopped(f"{text}{so_far}", "run the same command again to continue", signal=reason)


def short(host: str) -> str:
    """Return the name of a host without its domain."""
    return host.partition(".")[0]
