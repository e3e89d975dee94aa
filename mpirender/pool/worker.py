"""The program of a pool's ranks (:mod:`mpirender.pool`): each lets its renderer call the user's function with jobs.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.pool.worker TAG

A rank connects to the process that started it, receives the function, sets itself up to render, and receives jobs.
From then on the ranks exchange no messages with each other, so none waits for another. The function runs in a child
process (:mod:`mpirender.pool.function_process`): if that dies or exceeds the time limit, its job alone is lost.
"""

from __future__ import annotations

import json
import os
import pickle
import socket
import sys
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

if __name__ == "__main__":
    from mpirender.system import site

    site.extend_module_path()

from mpirender import engines
from mpirender.errors import LaunchFailed, RendererFailed, one_line
from mpirender.pool import handshake, pickling
from mpirender.pool.function_process import FunctionProcess
from mpirender.pool.messages import Hello, Lost, Result, Setup, Task, Unfit
from mpirender.ranks import backends, renderer_process
from mpirender.ranks.log import log_of_rank, path_of
from mpirender.ranks.mpi import abort_all, check_world, finalize, start_mpi, wait_for_all
from mpirender.ranks.reloading import ReloadingRenderer
from mpirender.ranks.renderer import RENDERER, Renderer, RendererLost
from mpirender.system.site import POOL

CONNECT_SECONDS = 60.0
AGAIN_SECONDS = 0.2
MODULE = "mpirender.pool.worker"


def main() -> None:
    """Run this rank; on an error print it in one line and end all ranks."""
    if sys.argv[1:2] == [RENDERER]:
        renderer_process.run(int(sys.argv[2]), FunctionProcess())
    if len(sys.argv) not in (2, 3) or POOL not in os.environ:
        sys.exit("mpirender.pool starts this program: mpirender.pool.run(function, jobs)")
    process = Renderer(FunctionProcess, module=MODULE)  # it must not inherit anything of MPI
    world = start_mpi()
    alone = int(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        check_world(world)
        connection = connect()
        number = world.rank if alone is None else alone
        send(connection, Hello(sys.argv[1], number, socket.gethostname(), os.getpid()))
        setup: Setup = pickle.loads(connection.recv_bytes())
        engine, logs, name = engines.get(setup.engine), Path(setup.logs), f"{number:04d}"
        logs.mkdir(parents=True, exist_ok=True)
        process.log = path_of(logs, name)
        with log_of_rank(logs, name), backends.chosen(world, engine, setup.programs, local_rank=alone):
            work(connection, setup, process)
            wait_for_all(world)  # the X server on which others render may be that of this rank
    except BaseException as error:  # whatever it is: the other ranks must not wait for this one
        abort_all(world, error)
    finalize(world, 0)


def connect() -> Connection:
    """Connect to the process that started this rank; raise LaunchFailed if none of its addresses can be reached."""
    server = json.loads(os.environ[POOL])
    os.environ[POOL] = ""  # programs that this process starts need not know the key
    key, problems = bytes.fromhex(server["key"]), []
    for host, port in server["addresses"]:
        try:
            return connect_to(host, port, key)
        except (OSError, EOFError, AuthenticationError) as error:
            problems.append(f"{host}:{port}: {one_line(str(error)) or type(error).__name__}")
    raise LaunchFailed(
        f"{socket.gethostname()} cannot reach the program that started its ranks ({'; '.join(problems)}); "
        "allow connections from its nodes to that machine, or start the program on one of the nodes (sbatch)"
    )


def connect_to(host: str, port: int, key: bytes) -> Connection:
    """Connect to an address, also if so many others connect at the same time that the server drops some of them.

    :raises OSError, EOFError, AuthenticationError: nobody is there who has the key.
    """
    end = time.monotonic() + CONNECT_SECONDS
    while True:
        with socket.create_connection((host, port), CONNECT_SECONDS) as stream:
            try:
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                handshake.prove(stream, key)
                stream.settimeout(None)
                return Connection(stream.detach())
            except (OSError, EOFError):
                if time.monotonic() > end:
                    raise
        time.sleep(AGAIN_SECONDS)


def work(connection: Connection, setup: Setup, process: Renderer) -> None:
    """Let the renderer load the function, and call it for each job until there are no more."""
    log: tuple[str, ...] = ()

    def record(lost: RendererLost, _: object) -> None:
        nonlocal log
        log = lost.log

    renderer = ReloadingRenderer(process, record, idle=False)  # a function may wait for something
    try:
        send(connection, renderer.make_ready("load", setup, process.environment, process.log))
        while (task := receive(connection)) is not None:
            send(connection, call(renderer, task, setup.timeout))
            if not renderer.is_ready:
                send(connection, renderer.make_ready())
    except RendererFailed:
        send(connection, Unfit(renderer.hopeless, "\n".join(log)))
        while receive(connection) is not None:
            pass
    process.close()


def call(renderer: ReloadingRenderer, task: Task, limit: float | None) -> Result | Lost:
    """Let the renderer call the function with a job, for at most ``limit`` seconds, None for any."""
    try:
        return cast(Result, renderer.attempt(task.number, "call", task, limit=limit))
    except RendererLost as lost:
        return Lost(task.number, lost.reason, lost.blameless, "\n".join(lost.log))


def send(connection: Connection, message: object) -> None:
    """Send a message to the process that started this rank."""
    connection.send_bytes(pickling.dumps(message))


def receive(connection: Connection) -> Task | None:
    """Wait for a job; None means that there are no more."""
    try:
        return cast("Task | None", pickle.loads(connection.recv_bytes()))
    except (EOFError, OSError):  # the process that started this rank is gone, and so is the launcher
        os._exit(1)


if __name__ == "__main__":
    # Not this module's own main: ParaView runs the scripts of a state in __main__, after "from numpy import *".
    from mpirender.pool.worker import main as run_rank

    run_rank()
