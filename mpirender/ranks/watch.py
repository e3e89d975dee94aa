"""What a rank watches beside its work: whether its run still owns the folder, and whether processes were stopped.

Each rank watches its child processes and the next rank on its node, which the supervisor cannot see on other machines;
its own fork server watches a rank that is alone on its node. The first rank of a node watches the lock.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from mpirender.errors import TakenOver
from mpirender.ranks import spot_watch
from mpirender.ranks.log import log_error
from mpirender.run_folder import lock
from mpirender.system import background, stopped_processes
from mpirender.system.comm import Comm, same_node
from mpirender.system.stopped_processes import LATER_SECONDS, LOOK_SECONDS, StoppedProcesses, state_of


@contextlib.contextmanager
def watching(world: Comm, folder: Path, run: str, notices: str = "off") -> Iterator[None]:
    """Watch from a thread during the block, on all ranks of a run that has a supervisor (``run`` is not empty).

    The ranks of a node end at once when another run has taken the folder over: that one renders what is not recorded
    yet. The first of them reads the lock for all, because thousands of ranks would burden a shared file system. It
    also watches for ``notices`` of the cloud (``--spot-notices``).
    """
    if not run:
        yield
        return
    rank, pids = ranks_of_node(world)
    following = pids[(rank + 1) % len(pids)]
    neighbor = [following] if following and len(pids) > 1 else []
    watched = StoppedProcesses(lambda: [*neighbor, *stopped_processes.children_of(os.getpid())], LATER_SECONDS)
    reads_lock = rank == 0 or not pids[0]

    def watch(ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            if reads_lock:
                leave_if_taken_over(folder, run, pids)
            for pid in watched.end():
                log_error(f"process {pid} was stopped by a signal, and was ended")

    spot = spot_watch.watching(folder, run, notices) if rank == 0 else contextlib.nullcontext()
    with background.working(watch), spot:
        yield


def ranks_of_node(world: Comm) -> tuple[int, list[int]]:
    """Return the number of this rank on its node, and the process ids of the node's ranks; all ranks call this.

    A rank in a container that numbers processes differently has the id 0.
    """
    node = same_node(world)
    ranks = node.allgather((os.getpid(), state_of(os.getpid())))
    found = [(pid, state, state_of(pid)) for pid, state in ranks]
    return node.rank, [pid if state and now and now.born == state.born else 0 for pid, state, now in found]


def leave_if_taken_over(folder: Path, run: str, ranks: Sequence[int]) -> None:
    """End the ranks of this node, and so their renderers, if the lock of the folder belongs to another run.

    mpiexec would end the others, unless it was stopped itself.
    """
    owner = lock.read(folder)
    if owner is None or owner.run == run:
        return
    log_error("another run has taken over; the ranks of this node end")
    for pid in ranks:
        if pid not in (0, os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    os._exit(TakenOver.exit_code)
