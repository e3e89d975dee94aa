"""A process among those that a launcher started: how it finds the others, waits for them, and ends with them."""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from typing import NoReturn

from mpirender.errors import (
    EncodeFailed,
    FramesMissing,
    MpirenderError,
    NoSpace,
    Stopped,
    TakenOver,
    ToolMissing,
    one_line,
)
from mpirender.ranks.log import tell
from mpirender.system.comm import Comm

# How launchers tell a process the size of the world it was started in: Open MPI; MPICH and its kin.
WORLD_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def enter() -> Comm:
    """Start MPI and return the communicator of all processes; where that is not possible say so and end."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        tell(f"mpi4py cannot be used here ({one_line(str(error))}); install one that fits this Python and MPI")
        sys.exit(ToolMissing.exit_code)
    return MPI.COMM_WORLD


def check_world(world: Comm) -> None:
    """Make sure that the ranks see each other.

    Raises:
        ToolMissing: the launcher started several processes, yet each believes to be rank 0 of 1.
    """
    from mpi4py import MPI

    library = MPI.Get_library_version()
    started = max(int(os.environ.get(name, "1")) for name in WORLD_SIZES)
    if world.size == 1 and started > 1:
        raise ToolMissing(
            f"mpiexec started {started} ranks but each believes it is alone: mpi4py here uses another MPI "
            f"({library.splitlines()[0][:60].rstrip(', ')}) than mpiexec; "
            "name the mpiexec of that MPI with --mpiexec, or install an mpi4py for yours"
        )


def wait_for_all(comm: Comm) -> None:
    """Wait until all ranks are here, asleep: MPI's own waiting would take a core from those that still render."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.02)


def leave(world: Comm, code: int) -> NoReturn:
    """End the process, when all are here, without the engine's clean-up, which would call an X server that may be gone.

    MPI would wait for the others, too, but awake.
    """
    from mpi4py import MPI

    wait_for_all(world)
    MPI.Finalize()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_all(world: Comm, error: BaseException) -> NoReturn:
    """Say what is wrong and end all ranks, with the exit code of the error."""
    if not isinstance(error, MpirenderError):
        traceback.print_exception(type(error), error, error.__traceback__)
        tell(f"rank {world.rank} of {world.size} on {socket.gethostname()}: {type(error).__name__}: {error}")
        world.Abort(1)
        raise AssertionError("Abort does not return")
    tell(error.message)
    # These are raised by rank 0 when the others are done; there is nothing to cut off.
    if isinstance(error, (FramesMissing, EncodeFailed, Stopped)) and not isinstance(error, (NoSpace, TakenOver)):
        leave(world, error.exit_code)
    world.Abort(error.exit_code)
    raise AssertionError("Abort does not return")
