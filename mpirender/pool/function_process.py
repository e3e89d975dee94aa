"""What runs in the renderer of a pool's rank: it loads the user's function and calls it with job after job."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mpirender.pool import pickling
from mpirender.pool.messages import Ready, Result, Setup, Task, describe, traceback_of
from mpirender.pool.pickling import Main
from mpirender.ranks.log import redirect_output
from mpirender.ranks.renderer_process import change_environment
from mpirender.system import signals
from mpirender.system.site import POOL

LOG = 1  # file descriptor
LOG_BYTES_SHOWN = 4000


class FunctionProcess:
    """The orders for calling a function."""

    def __init__(self) -> None:
        signals.accept_signals()  # programs that the function starts inherit what this process does with them
        os.environ[POOL] = ""  # they need not know the key, only that this is a rank
        self._function: Callable[[Any], Any]
        self._main: Main

    def load(self, setup: Setup, environment: Mapping[str, str | None], log: Path) -> Ready:
        """Load the user's function; ``environment``: variables to change before; ``log``: for all that is printed."""
        redirect_output(log)
        change_environment(environment)
        imitate_caller(setup)
        self._main = setup.main
        try:
            self._function = pickling.loads(setup.function, setup.main.in_rank)
        except BaseException as error:  # the user's module may do anything, even end the process
            return Ready(describe(error), traceback_of(error))
        return Ready()

    def call(self, task: Task) -> Result:
        """Call the function with a job; an exception becomes part of the result, even one that ends the process."""
        start, log_length = time.monotonic(), length_of_log()
        try:
            value = self._function(pickling.loads(task.job, self._main.in_rank))
        except BaseException as error:
            details = traceback_of(error) + log_since(log_length)
            return Result(task.number, None, describe(error), details, time.monotonic() - start)
        seconds = time.monotonic() - start
        try:
            return Result(task.number, pickling.dumps(value), seconds=seconds)
        except BaseException as error:
            problem = f"the return value of the function cannot be sent back: {describe(error)}"
            return Result(task.number, None, problem, traceback_of(error), seconds)


def imitate_caller(setup: Setup) -> None:
    """Give this process the modules, arguments and current folder of the program that the user started."""
    # At the end of the path: the packages of pvbatch itself come first.
    sys.path.extend(path for path in setup.module_path if path not in sys.path)
    sys.argv[:] = setup.arguments
    with contextlib.suppress(OSError):  # in a container, or on another machine, it may not exist
        os.chdir(setup.folder)


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
