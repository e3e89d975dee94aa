"""Notice that a process that should work has stopped: it exceeds a limit, was stopped by a signal, or does nothing."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from typing import NamedTuple

CRASH_SECONDS = 5.0  # without doing anything in the handler of a crash, which may wait for a lock for ever
# A library that prints a backtrace blocks one of these while it does so. Threads that block all signals are no sign:
# they block the other one too, which nothing blocks alone. (A renderer blocks the stop signals, as SIGTERM.)
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
NO_CRASH = signal.SIGWINCH
STOPPED_SECONDS = 10.0  # in which a process that someone stopped (SIGSTOP) may be continued
IDLE_SECONDS = 600.0  # without any CPU time, reading or writing
SLOWER = 20  # times the slowest image so far
LEAST_SECONDS = 600.0
FIRST_SECONDS = 4 * 3600.0
LOOK_SECONDS = 1.0  # between two looks; a longer pause means that this process was suspended itself, with its job


def time_limit(asked: float | None, slowest: float) -> float:
    """Return the seconds after which an image counts as hanging: the limit that the user asked for, if not None.

    Otherwise it is 20 times the ``slowest`` image so far, at least 10 minutes; 4 hours as long as no image is done (0).
    """
    if asked is not None:
        return asked
    return max(SLOWER * slowest, LEAST_SECONDS) if slowest else FIRST_SECONDS


class Problem(NamedTuple):
    """Why a process has ended or is to be ended; ``blameless``: not because of what it was working on."""

    reason: str
    blameless: bool = False


class StallWatch:
    """Watches a child process of this machine while it carries out an order."""

    def __init__(self, pid: int, limit: float | None, *, idle: bool = True) -> None:
        """Begin now; ``limit``: seconds that it may take, None for any; ``idle``: it must not be idle for long."""
        self._folder, self._limit, self._watches_idle = Path(f"/proc/{pid}"), limit, idle
        self._last = self._looked = time.monotonic()
        self._waited = self._stopped = self._idle = 0.0
        self._activity: object = None

    def problem(self) -> Problem | None:
        """Return why the process is to be ended, None as long as it may work; call this at least once a second."""
        now = time.monotonic()
        self._waited += min(now - self._last, 2 * LOOK_SECONDS)
        self._last = now
        if self._limit is not None and self._waited > self._limit:
            return Problem(f"took longer than {self._limit:g} s and was ended", blameless=self._stopped > 0)
        if now - self._looked < LOOK_SECONDS:
            return None
        passed, self._looked = min(now - self._looked, 2 * LOOK_SECONDS), now
        state, activity = self._look()
        self._stopped = self._stopped + passed if state == "T" else 0.0
        waits_for_itself = state == "S" and activity == self._activity
        self._idle = self._idle + passed if waits_for_itself else 0.0
        self._activity = activity
        if self._stopped > STOPPED_SECONDS:
            return Problem("was stopped by a signal for 10 s, and was ended", blameless=True)
        if self._idle > CRASH_SECONDS and (crash := self._crash()):
            return Problem(f"died (signal {crash}), hung while it printed a backtrace, and was ended")
        if self._watches_idle and self._idle > IDLE_SECONDS:
            return Problem(f"did nothing for {IDLE_SECONDS / 60:.0f} minutes and was ended")
        return None

    def _look(self) -> tuple[str, object]:
        """Return the state of the process (``S``: it sleeps; proc_pid_stat(5)), and what it has done so far."""
        with contextlib.suppress(OSError, IndexError):  # it has just ended
            fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
            transferred = ""
            with contextlib.suppress(OSError):  # some systems forbid it
                transferred = (self._folder / "io").read_text()
            children = [link.read_text() for link in self._folder.glob("task/*/children")]
            return fields[0], (fields[11:15], transferred, any(children) and time.monotonic())
        return "", None

    def _crash(self) -> str:
        """Return the name of the signal whose handler a thread is in, empty for none."""
        for status in self._folder.glob("task/*/status"):
            with contextlib.suppress(OSError, IndexError):  # the thread has just ended
                blocked = int(status.read_text().split("SigBlk:")[1].split()[0], 16)
                crashes = [number for number in CRASHES if blocked >> (number - 1) & 1]
                if crashes and not blocked >> (NO_CRASH - 1) & 1:
                    return crashes[0].name
        return ""
