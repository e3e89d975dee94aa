"""What a rank watches beside its work: whether its run still owns the folder, and whether processes were stopped.

Each rank watches its child processes and the next rank on its node, which the supervisor cannot see on other machines.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from mpirender.errors import TakenOver
from mpirender.ranks.log import log_error
from mpirender.run_folder import lock
from mpirender.system import stopped_processes
from mpirender.system.comm import Comm, same_node
from mpirender.system.stopped_processes import LOOK_SECONDS, StoppedProcesses, state_of

LATER_SECONDS = 6.0  # than the supervisor, which records whose process was stopped, so that no image is blamed


@contextlib.contextmanager
def watching(world: Comm, folder: Path, run: str) -> Iterator[None]:
    """Watch from a thread during the block, on all ranks of a run that has a supervisor (``run`` is not empty).

    This rank ends at once when another run has taken the folder over: that one renders what is not recorded yet.
    """
    if not run:
        yield
        return
    ended, neighbor = threading.Event(), next_on_node(world)
    watched = StoppedProcesses(lambda: [*neighbor, *stopped_processes.children_of(os.getpid())], LATER_SECONDS)

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            leave_if_taken_over(folder, run)
            for pid in watched.end():
                log_error(f"process {pid} was stopped by a signal, and was ended")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def next_on_node(world: Comm) -> list[int]:
    """Return the process id of the next rank on this node, nothing if there is none; all ranks call this."""
    node = same_node(world)
    ranks = node.allgather((os.getpid(), state_of(os.getpid())))
    pid, state = ranks[(node.rank + 1) % node.size]
    found = state_of(pid)  # containers may number processes differently
    return [pid] if node.size > 1 and found and state and found.born == state.born else []


def leave_if_taken_over(folder: Path, run: str) -> None:
    """End this process, and so its renderer, if the lock of the folder belongs to another run."""
    owner = lock.read(folder)
    if owner is not None and owner.run != run:
        log_error("another run has taken over; this rank ends")
        os._exit(TakenOver.exit_code)
