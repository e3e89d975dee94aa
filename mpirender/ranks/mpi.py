"""Start MPI, wait without using the CPU, end all ranks together, and print their hosts for the launcher probe."""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from mpirender import errors
from mpirender.ranks.log import log_error, write_line
from mpirender.system.comm import Comm
from mpirender.system.text import whole_number

HELLO = "--hello"  # instead of a job: the program only prints the hosts
HOSTS = "mpirender: hosts of the ranks: "  # what the line with the hosts begins with
BLIND = "mpirender: hosts without the folder: "  # the same of the hosts that do not see a file
SEEN_SECONDS = 5.0  # for a file made on another node to appear on a busy file system
# The number of started processes, as Open MPI and MPICH (with its derivatives) report it.
WORLD_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def start_mpi() -> Comm:
    """Start MPI and return the communicator of all processes; if that fails, report it and exit."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        log_error(
            f"mpi4py cannot be used here ({errors.one_line(str(error))}); install one that fits this Python and MPI"
        )
        sys.exit(errors.ToolMissing.exit_code)
    return MPI.COMM_WORLD


def print_hosts(places: Sequence[str] = ()) -> NoReturn:
    """Print the hosts of all ranks on rank 0, by which the launcher probe sees whether the launcher connects them.

    Also print which of them do not see one of these files.
    """
    world = start_mpi()
    found = world.gather((socket.gethostname(), all(map(_is_seen, places))), root=0)
    if found is not None:
        write_line(1, HOSTS + " ".join(host for host, _ in found))
        if blind := dict.fromkeys(host for host, sees in found if not sees):
            write_line(1, BLIND + " ".join(blind))
    finalize(world, 0)


def _is_seen(place: str) -> bool:
    end = time.monotonic() + SEEN_SECONDS
    while not (seen := Path(place).exists()) and time.monotonic() < end:
        time.sleep(0.2)
    return seen


def started_processes(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many processes mpiexec started together with this one, from the variables that it sets; 1 without."""
    return max(whole_number(environ.get(name, "")) or 1 for name in WORLD_SIZES)


def check_world(world: Comm) -> None:
    """Raise ToolMissing if MPI does not connect the ranks: several were started, but each is rank 0 of 1."""
    from mpi4py import MPI

    library = MPI.Get_library_version()
    started = started_processes()
    if world.size == 1 and started > 1:
        raise errors.ToolMissing(
            f"mpiexec started {started} ranks but each believes it is alone: mpi4py here uses another MPI "
            f"({library.splitlines()[0][:60].rstrip(', ')}) than mpiexec; "
            "name the mpiexec of that MPI with --mpiexec, or install an mpi4py for yours"
        )


def wait_for_all(comm: Comm) -> None:
    """Wait for all ranks and sleep meanwhile: MPI's own barrier would take a core from ranks that still render."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.02)


def finalize(world: Comm, code: int) -> NoReturn:
    """Wait for all ranks, then exit without the engine's clean-up, which may need an X server that has ended."""
    from mpi4py import MPI

    wait_for_all(world)
    MPI.Finalize()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def abort_all(world: Comm, error: BaseException) -> NoReturn:
    """Report an error and end all ranks with its exit code."""
    if isinstance(error, errors.MpirenderError):
        code = error.exit_code
        log_error(error.message)
    else:
        code = 1
        traceback.print_exception(type(error), error, error.__traceback__)
        log_error(f"rank {world.rank} of {world.size} on {socket.gethostname()}: {type(error).__name__}: {error}")
    # Rank 0 raises these when the other ranks have finished, so no rank needs to be aborted.
    at_the_end = isinstance(error, (errors.FramesMissing, errors.EncodeFailed, errors.Stopped))
    if at_the_end and not isinstance(error, (errors.NoSpace, errors.RendererFailed, errors.TakenOver)):
        finalize(world, code)
    world.Abort(code)
    raise AssertionError("Abort does not return")
