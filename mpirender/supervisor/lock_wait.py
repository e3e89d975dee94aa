"""How a run waits for the lock of an earlier run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mpirender.errors import Stopped, UsageError
from mpirender.run_folder import events, lock
from mpirender.run_folder.events import Event
from mpirender.system import slurm
from mpirender.system.signals import StopRequest
from mpirender.system.slurm import Allocation

Watch = Callable[[Sequence[Event]], None]
Continued = Callable[[Stopped], Stopped]

POLL_SECONDS = 0.05
WAIT_SECONDS = 1.0  # between attempts to take the lock


class LockWait:
    """Waits for the lock of an earlier run: if Slurm has restarted this job, or it is not clear whether that run lives.

    Slurm restarts a job on other nodes, where a dead owner of the lock is recognized only by its silence.
    """

    def __init__(self, allocation: Allocation | None, stop: StopRequest, watch: Watch, continued: Continued) -> None:
        restarted = allocation is not None and allocation.run > 1
        self._deadline = time.monotonic() + (2 * lock.DEAD_SECONDS if restarted else 0)
        self._stop, self._watch, self._continued, self._noted = stop, watch, continued, False

    def refused(self, error: UsageError) -> None:
        """Raise the error that another run has the lock, or wait before another attempt."""
        if time.monotonic() >= self._deadline:
            raise UsageError([f"{text}; {slurm.NO_ARRAY}" for text in error.mistakes]) if slurm.in_array() else error
        self.pause(WAIT_SECONDS)

    def pause(self, seconds: float) -> None:
        """Wait, with a note the first time; raise Stopped on a signal."""
        if not self._noted:
            self._noted = True
            self._watch([events.Note(f"waiting up to {2 * lock.DEAD_SECONDS:.0f} s for the lock of the previous run")])
        end = time.monotonic() + seconds
        while not self._stop.requested and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        if self._stop.requested:
            name = self._stop.name
            raise self._continued(Stopped(f"stopped on {name}", "run the same command again", signal=name))
