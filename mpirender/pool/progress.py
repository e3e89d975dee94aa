"""The progress of a pool, shown like the progress of a run."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mpirender.monitor import progress
from mpirender.monitor.phases import STARTING
from mpirender.pool.task_queue import JobEnded, Outcome, PoolEvent, PoolWatch, RankReady
from mpirender.run_folder.events import Note
from mpirender.system.text import duration

WORKING = "working"


class PoolProgress(progress.Tally):
    """The counts of a pool, from its events."""

    unit_of_work = "jobs"

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self._called = 0  # jobs that the function was called with
        self._started = self._began = time.monotonic()

    def add(self, new: Sequence[PoolEvent]) -> None:
        """Count these events."""
        for event in new:
            if isinstance(event, RankReady) and self.phase == STARTING:
                self.phase, self._began = WORKING, time.monotonic()
            elif isinstance(event, Note):
                self.news.append(event.text)
            elif isinstance(event, JobEnded):
                self._count(event.outcome)

    def _count(self, outcome: Outcome[Any, Any]) -> None:
        self.dealt_with += 1
        self._called += outcome.rank is not None
        self.failed += bool(outcome.error)
        self.warn([outcome.error] if outcome.error else [], f"{outcome.name}: ")  # an error that jobs share: once

    def text(self) -> str:
        """Return the speed and the remaining time."""
        if self.phase == STARTING or not self._called:
            return self.phase
        each = (time.monotonic() - self._began) / self._called
        parts = [f"{1 / max(each, 1e-3):.2f} jobs/s" if each < 1 else f"{duration(each)} a job"]
        if self.dealt_with < self.total:
            parts.append(f"{duration(each * (self.total - self.dealt_with))} left")
        return self.with_failures(parts)

    def summary(self) -> str:
        """Return the final counts and the time."""
        return self.with_failures([f"{self.dealt_with} jobs in {duration(time.monotonic() - self._started)}"])


@contextlib.contextmanager
def shown(total: int) -> Iterator[PoolWatch]:
    """Show the progress on standard error during the block; yield a function for the events."""
    counts = PoolProgress(total)
    with progress.shown(sys.stderr, counts) as bar:
        yield bar
        bar([Note(counts.summary())])
