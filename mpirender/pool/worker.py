"""The program of a pool's ranks (:mod:`mpirender.pool`): each calls the user's function with one job after the other.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.pool.worker TAG

Each connects to the process that has started it, is told the function there, is set up to render, and is handed jobs.
There is no message among the ranks from then on, so that none waits for another.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import socket
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    from mpirender.system import site

    site.extend_module_path()

from mpirender import engines
from mpirender.errors import LaunchFailed, one_line
from mpirender.job.programs import Programs
from mpirender.pool import pickling
from mpirender.pool.pickling import Main
from mpirender.ranks import backends
from mpirender.ranks.log import log_of_rank
from mpirender.ranks.mpi import check_world, end_all, enter, leave, wait_for_all
from mpirender.system.comm import Comm
from mpirender.system.site import POOL

CONNECT_SECONDS = 60.0
MODULE = "mpirender.pool.worker"
LOG = 1  # file descriptor
MOST_SHOWN = 4000  # bytes of a log

Call = Callable[[Any], Any]


class Hello(NamedTuple):
    """What a rank says first.

    Args:
        tag: that of the start it belongs to.
    """

    tag: str
    rank: int
    host: str
    pid: int


class Orders(NamedTuple):
    """What a rank is told first.

    Args:
        engine: name of the engine.
        programs: its programs, and the hardware to render on.
        function: the user's, pickled.
        main: the program that the user has started.
        path: where that finds its modules.
        words: its arguments.
        folder: where it stands.
        logs: folder for the logs of the ranks.
    """

    engine: str
    programs: Programs
    function: bytes
    main: Main
    path: tuple[str, ...]
    words: tuple[str, ...]
    folder: str
    logs: str


class Ready(NamedTuple):
    """What a rank says when it can take jobs, or why it never will.

    Args:
        problem: why the function cannot be loaded, in a line; empty where it is.
        details: the traceback.
    """

    problem: str = ""
    details: str = ""


class Task(NamedTuple):
    """A job for a rank, by its number; pickled."""

    number: int
    job: bytes


class Answer(NamedTuple):
    """What has come of a job.

    Args:
        value: what the function has returned, pickled; None where it failed.
        error: type and message of the exception, in a line; empty for none.
        details: the traceback, and what was printed meanwhile.
        seconds: that the function took.
    """

    number: int
    value: bytes | None = None
    error: str = ""
    details: str = ""
    seconds: float = 0.0


def main() -> None:
    """Run this rank; on an error say it in one line and end all ranks."""
    if len(sys.argv) not in (2, 3) or POOL not in os.environ:
        sys.exit("mpirender.pool starts this program: mpirender.pool.run(function, jobs)")
    world = enter()
    alone = int(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        check_world(world)
        line = connected()
        number = world.rank if alone is None else alone
        say(line, Hello(sys.argv[1], number, socket.gethostname(), os.getpid()))
        orders: Orders = pickle.loads(line.recv_bytes())
        settle(orders)
        with log_of_rank(Path(orders.logs), f"{number:04d}"):
            work(world, line, orders, alone)
    except BaseException as error:  # whatever it is: the other ranks must not wait for this one
        end_all(world, error)
    leave(world, 0)


def connected() -> Connection:
    """Connect to the process that has started this rank.

    Raises:
        LaunchFailed: it is at none of its addresses.
    """
    told = json.loads(os.environ[POOL])
    os.environ[POOL] = ""  # what the user's function starts need not know the key; that this is a rank it must
    key, problems = bytes.fromhex(told["key"]), []
    for host, port in told["at"]:
        try:
            stream = socket.create_connection((host, port), CONNECT_SECONDS)
            stream.settimeout(None)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Connection(stream.detach())
            answer_challenge(line, key)
            deliver_challenge(line, key)
            return line
        except (OSError, EOFError, AuthenticationError) as error:
            problems.append(f"{host}:{port}: {one_line(str(error)) or type(error).__name__}")
    raise LaunchFailed(
        f"{socket.gethostname()} does not reach the program that has started its ranks ({'; '.join(problems)}); "
        "let its nodes connect to that machine, or start the program on one of them (sbatch)"
    )


def settle(orders: Orders) -> None:
    """Make this process look like the one that the user has started, as far as the function may look."""
    # At the end: pvbatch's own packages are never shadowed.
    sys.path.extend(path for path in orders.path if path not in sys.path)
    sys.argv[:] = orders.words
    with contextlib.suppress(OSError):  # in a container, or on another machine, it may not be there
        os.chdir(orders.folder)
    Path(orders.logs).mkdir(parents=True, exist_ok=True)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # pvbatch has streams of its own
            stream.reconfigure(line_buffering=True)  # a rank that dies has said what it has said


def work(world: Comm, line: Connection, orders: Orders, alone: int | None) -> None:
    """Set this rank up to render, load the function, and do what is handed out until there is no more."""
    with backends.chosen(world, engines.get(orders.engine), orders.programs, alone=alone):
        function, ready = loaded(orders)
        say(line, ready)
        while (task := heard(line)) is not None:
            say(line, answer(function, task, orders.main))
        wait_for_all(world)  # the X server on which others render may be that of this rank


def loaded(orders: Orders) -> tuple[Call, Ready]:
    """Return the user's function, or why it cannot be loaded."""
    try:
        return pickling.loads(orders.function, orders.main.in_rank), Ready()
    except BaseException as error:  # the user's module may do anything, end the process, too
        return answer_nothing, Ready(shown(error), traceback_of(error))


def answer_nothing(job: object) -> None:
    """Stand for a function that cannot be loaded; nobody hands out a job to it."""


def say(line: Connection, message: object) -> None:
    """Say something to the process that has started this rank."""
    line.send_bytes(pickling.dumps(message))


def heard(line: Connection) -> Task | None:
    """Wait for a job; None says that there is none any more."""
    try:
        task: Task | None = pickle.loads(line.recv_bytes())
    except (EOFError, OSError):  # whoever has started this is gone, and with it the launcher
        os._exit(1)
    return task


def answer(function: Call, task: Task, main: Main) -> Answer:
    """Call the function with a job; whatever it raises is the answer, also when it wants the process to end."""
    start, printed = time.monotonic(), length_of_log()
    try:
        value = function(pickling.loads(task.job, main.in_rank))
    except BaseException as error:
        details = traceback_of(error) + log_since(printed)
        return Answer(task.number, None, shown(error), details, time.monotonic() - start)
    seconds = time.monotonic() - start
    try:
        return Answer(task.number, pickling.dumps(value), seconds=seconds)
    except BaseException as error:
        problem = f"what the function has returned cannot be sent back: {shown(error)}"
        return Answer(task.number, None, problem, traceback_of(error), seconds)


def length_of_log() -> int:
    """Return how much this rank has printed, in bytes."""
    with contextlib.suppress(OSError):  # the function may have done anything to its standard output
        return os.fstat(LOG).st_size
    return 0


def log_since(place: int) -> str:
    """Return the last of what this rank has printed since its log was so long: the engine's own words, too."""
    with contextlib.suppress(OSError):
        with Path(f"/proc/self/fd/{LOG}").open("rb") as log:  # anew: it is open for writing alone
            log.seek(max(place, length_of_log() - MOST_SHOWN))
            said = log.read(MOST_SHOWN)
        if said.strip():
            return f"\nIt had printed:\n{said.decode(errors='replace')}"
    return ""


def shown(error: BaseException) -> str:
    """Return type and message of an exception in one line."""
    return ": ".join(filter(None, [type(error).__name__, one_line(str(error))]))


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception as Python prints it, without the lines of this program."""
    here = error.__traceback__
    while here is not None and here.tb_frame.f_code.co_filename in (__file__, pickling.__file__):
        here = here.tb_next
    return "".join(traceback.format_exception(type(error), error, here))


if __name__ == "__main__":
    # Not this module's own main: ParaView runs the scripts of a state in __main__, after "from numpy import *".
    from mpirender.pool.worker import main as run_rank

    run_rank()
