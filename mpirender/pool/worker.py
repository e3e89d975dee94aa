"""The program of a pool's ranks (:mod:`mpirender.pool`): each calls the user's function with one job after the other.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.pool.worker TAG

A rank connects to the process that started it, receives the function, sets itself up to render, and receives jobs.
From then on the ranks exchange no messages with each other, so none waits for another.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any, cast

if __name__ == "__main__":
    from mpirender.system import site

    site.extend_module_path()

from mpirender import engines
from mpirender.errors import LaunchFailed, one_line
from mpirender.pool import pickling
from mpirender.pool.messages import Hello, Ready, Result, Setup, Task, describe, traceback_of
from mpirender.pool.pickling import Main
from mpirender.ranks import backends
from mpirender.ranks.log import log_of_rank
from mpirender.ranks.mpi import abort_all, check_world, finalize, start_mpi, wait_for_all
from mpirender.system.comm import Comm
from mpirender.system.site import POOL

CONNECT_SECONDS = 60.0
MODULE = "mpirender.pool.worker"
LOG = 1  # file descriptor
LOG_BYTES_SHOWN = 4000

Function = Callable[[Any], Any]


def main() -> None:
    """Run this rank; on an error print it in one line and end all ranks."""
    if len(sys.argv) not in (2, 3) or POOL not in os.environ:
        sys.exit("mpirender.pool starts this program: mpirender.pool.run(function, jobs)")
    world = start_mpi()
    alone = int(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        check_world(world)
        connection = connect()
        number = world.rank if alone is None else alone
        send(connection, Hello(sys.argv[1], number, socket.gethostname(), os.getpid()))
        setup: Setup = pickle.loads(connection.recv_bytes())
        imitate_caller(setup)
        with log_of_rank(Path(setup.logs), f"{number:04d}"):
            work(world, connection, setup, alone)
    except BaseException as error:  # whatever it is: the other ranks must not wait for this one
        abort_all(world, error)
    finalize(world, 0)


def connect() -> Connection:
    """Connect to the process that started this rank; raise LaunchFailed if none of its addresses can be reached."""
    server = json.loads(os.environ[POOL])
    os.environ[POOL] = ""  # programs that the user's function starts need not know the key, only that this is a rank
    key, problems = bytes.fromhex(server["key"]), []
    for host, port in server["addresses"]:
        try:
            stream = socket.create_connection((host, port), CONNECT_SECONDS)
            stream.settimeout(None)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(stream.detach())
            answer_challenge(connection, key)
            deliver_challenge(connection, key)
            return connection
        except (OSError, EOFError, AuthenticationError) as error:
            problems.append(f"{host}:{port}: {one_line(str(error)) or type(error).__name__}")
    raise LaunchFailed(
        f"{socket.gethostname()} cannot reach the program that started its ranks ({'; '.join(problems)}); "
        "allow connections from its nodes to that machine, or start the program on one of the nodes (sbatch)"
    )


def imitate_caller(setup: Setup) -> None:
    """Give this process the modules, arguments and current folder of the program that the user started."""
    # At the end of the path: the packages of pvbatch itself come first.
    sys.path.extend(path for path in setup.module_path if path not in sys.path)
    sys.argv[:] = setup.arguments
    with contextlib.suppress(OSError):  # in a container, or on another machine, it may not exist
        os.chdir(setup.folder)
    Path(setup.logs).mkdir(parents=True, exist_ok=True)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # pvbatch has streams of its own
            stream.reconfigure(line_buffering=True)  # so that the log of a rank that dies is complete


def work(world: Comm, connection: Connection, setup: Setup, alone: int | None) -> None:
    """Set this rank up to render, load the function, and call it for each job until there are no more."""
    with backends.chosen(world, engines.get(setup.engine), setup.programs, local_rank=alone):
        function, ready = load(setup)
        send(connection, ready)
        while (task := receive(connection)) is not None:
            send(connection, call(function, task, setup.main))
        wait_for_all(world)  # the X server on which others render may be that of this rank


def load(setup: Setup) -> tuple[Function, Ready]:
    """Return the user's function, or why it cannot be loaded."""
    try:
        return pickling.loads(setup.function, setup.main.in_rank), Ready()
    except BaseException as error:  # the user's module may do anything, even end the process
        return lambda job: None, Ready(describe(error), traceback_of(error))


def send(connection: Connection, message: object) -> None:
    """Send a message to the process that started this rank."""
    connection.send_bytes(pickling.dumps(message))


def receive(connection: Connection) -> Task | None:
    """Wait for a job; None means that there are no more."""
    try:
        return cast("Task | None", pickle.loads(connection.recv_bytes()))
    except (EOFError, OSError):  # the process that started this rank is gone, and so is the launcher
        os._exit(1)


def call(function: Function, task: Task, main: Main) -> Result:
    """Call the function with a job; an exception becomes part of the result, even one that ends the process."""
    start, log_length = time.monotonic(), length_of_log()
    try:
        value = function(pickling.loads(task.job, main.in_rank))
    except BaseException as error:
        details = traceback_of(error) + log_since(log_length)
        return Result(task.number, None, describe(error), details, time.monotonic() - start)
    seconds = time.monotonic() - start
    try:
        return Result(task.number, pickling.dumps(value), seconds=seconds)
    except BaseException as error:
        problem = f"the return value of the function cannot be sent back: {describe(error)}"
        return Result(task.number, None, problem, traceback_of(error), seconds)


def length_of_log() -> int:
    """Return how much this rank has printed, in bytes."""
    with contextlib.suppress(OSError):  # the function may have closed its standard output
        return os.fstat(LOG).st_size
    return 0


def log_since(length: int) -> str:
    """Return the end of what this rank has printed since its log had this length, messages of the engine included."""
    with contextlib.suppress(OSError):
        with Path(f"/proc/self/fd/{LOG}").open("rb") as log:  # opened again, since descriptor 1 can only be written
            log.seek(max(length, length_of_log() - LOG_BYTES_SHOWN))
            printed = log.read(LOG_BYTES_SHOWN)
        if printed.strip():
            return f"\nIt had printed:\n{printed.decode(errors='replace')}"
    return ""


if __name__ == "__main__":
    # Not this module's own main: ParaView runs the scripts of a state in __main__, after "from numpy import *".
    from mpirender.pool.worker import main as run_rank

    run_rank()
