"""The progress of a pool: what its events add up to, shown as that of a run is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from mpirender.monitor.progress import STARTING, Bar, Lines, duration
from mpirender.run_folder.journal import Record

WORKING = "working"


class Tally:
    """What the events of a pool add up to.

    These are ``ready`` (a rank is), ``outcome`` (with the outcome of a job) and ``note`` (with a text).
    """

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

    def add(self, records: Sequence[Record]) -> None:
        """Count these events in."""
        for record in records:
            if record["event"] == "ready" and self.phase == STARTING:
                self.phase, self._began = WORKING, time.monotonic()
            elif record["event"] == "note":
                self.news.append(record["text"])
            elif record["event"] == "outcome":
                self._add(record)

    def _add(self, record: Record) -> None:
        outcome = record["outcome"]
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
def shown(total: int) -> Iterator[Callable[[Sequence[Record]], None]]:
    """Show the progress on standard error for the time of the block; give what is to be called with new events."""
    tally = Tally(total)
    with (Bar if sys.stderr.isatty() else Lines)(sys.stderr, tally) as board:
        yield board
        board([{"event": "note", "text": tally.summary()}])
