"""The progress of a pool: what its events add up to, shown as that of a run is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mpirender.monitor.phases import STARTING
from mpirender.monitor.progress import Bar, Lines
from mpirender.pool.task_queue import JobEnded, Outcome, PoolEvent, RankReady
from mpirender.run_folder.events import Note
from mpirender.system.text import duration

WORKING = "working"


class Tally:
    """What the events of a pool add up to."""

    unit_of_work = "jobs"

    def __init__(self, total: int) -> None:
        self.total = total
        self.phase = STARTING
        self.news: list[str] = []
        self.dealt_with = 0
        self.failed = 0
        self._done = 0  # of those that the function was called with
        self._started = self._began = time.monotonic()
        self._told: set[str] = set()

    def add(self, new: Sequence[PoolEvent]) -> None:
        """Count these events in."""
        for event in new:
            if isinstance(event, RankReady) and self.phase == STARTING:
                self.phase, self._began = WORKING, time.monotonic()
            elif isinstance(event, Note):
                self.news.append(event.text)
            elif isinstance(event, JobEnded):
                self._add(event.outcome)

    def _add(self, outcome: Outcome[Any, Any]) -> None:
        self.dealt_with += 1
        self._done += outcome.rank is not None
        self.failed += bool(outcome.error)
        if outcome.error and outcome.error not in self._told:  # the same for very many jobs is told once
            self._told.add(outcome.error)
            self.news.append(f"warning: {outcome.name}: {outcome.error}")

    def text(self) -> str:
        """Say in a few words how fast it goes and when it ends."""
        if self.phase == STARTING or not self._done:
            return self.phase
        each = (time.monotonic() - self._began) / self._done
        parts = [f"{1 / max(each, 1e-3):.2f} jobs/s" if each < 1 else f"{duration(each)} a job"]
        if self.dealt_with < self.total:
            parts.append(f"{duration(each * (self.total - self.dealt_with))} left")
        return ", ".join([*parts, *self._failures()])

    def summary(self) -> str:
        """Say how it has ended."""
        took = duration(time.monotonic() - self._started)
        return ", ".join([f"{self.dealt_with} jobs in {took}", *self._failures()])

    def _failures(self) -> list[str]:
        return [f"{self.failed} failed"] if self.failed else []


@contextlib.contextmanager
def shown(total: int) -> Iterator[Callable[[Sequence[PoolEvent]], None]]:
    """Show the progress on standard error for the time of the block; give what is to be called with new events."""
    tally = Tally(total)
    with (Bar if sys.stderr.isatty() else Lines)(sys.stderr, tally) as board:
        yield board
        board([Note(tally.summary())])
