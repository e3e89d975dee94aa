"""End processes that a signal has stopped (SIGSTOP): they hold up a run for ever, and nothing reports them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

ENDED_SECONDS = 12.0  # longer than a rank takes to notice that its renderer was stopped, and which image it had
STOPPED = f"stopped by a signal for {ENDED_SECONDS:g} s, and was ended"
LATER_SECONDS = 6.0  # more for others than the supervisor, which records whose process it was: no image is blamed
LOOK_SECONDS = 2.0  # between two looks; a longer pause means that this process was suspended itself, with its job


class ProcessState(NamedTuple):
    """What the kernel says about a process; see proc_pid_stat(5)."""

    state: str  # ``T``: stopped by a signal
    parent: int
    born: int  # when it was started, in clock ticks since boot: the kernel reuses process ids


def state_of(pid: int) -> ProcessState | None:
    """Return the state of a process, None if there is none."""
    with contextlib.suppress(OSError, IndexError):
        # The name before the fields may contain anything.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return ProcessState(fields[0].decode(), int(fields[1]), int(fields[19]))
    return None


def children_of(pid: int) -> list[int]:
    """Return the processes that the main thread of a process has started."""
    with contextlib.suppress(OSError):
        return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that these have started."""
    children: dict[int, list[int]] = defaultdict(list)
    for number in (int(entry.name) for entry in Path("/proc").glob("[0-9]*")):
        if state := state_of(number):
            children[state.parent].append(number)
    found = list(children[pid])
    for one in found:
        found += children[one]
    return found


class StoppedProcesses:
    """Ends the processes that stay stopped; someone may stop a process for a moment and continue it."""

    def __init__(self, find: Callable[[], Iterable[int]], later: float = 0.0) -> None:
        """``find`` returns the ids of the processes to watch; ``later``: seconds more that they have."""
        self._find, self._seconds, self._looked = find, ENDED_SECONDS + later, time.monotonic()
        self._stopped: dict[tuple[int, int], float] = {}  # by id and birth: the seconds for which it has been stopped

    def end(self, before: Callable[[int], object] = bool) -> list[int]:
        """Kill those that have been stopped for too long, and return their ids; call this often.

        :param before: is called with the id of each before it is killed.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return []
        passed, self._looked = min(now - self._looked, 2 * LOOK_SECONDS), now
        states = {pid: state for pid in self._find() if (state := state_of(pid))}
        stopped = [(pid, state.born) for pid, state in states.items() if state.state == "T"]
        self._stopped = {one: self._stopped.get(one, 0.0) + passed for one in stopped}
        late = [pid for (pid, _), seconds in self._stopped.items() if seconds > self._seconds]
        return [pid for pid in late if _kill(pid, before)]


def _kill(pid: int, before: Callable[[int], object]) -> bool:
    before(pid)
    with contextlib.suppress(OSError):  # it belongs to another user
        os.kill(pid, signal.SIGKILL)
        return True
    return False
