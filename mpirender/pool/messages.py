"""The messages between a pool and its ranks, pickled."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import NamedTuple, Union

from mpirender.errors import one_line
from mpirender.job.programs import Programs
from mpirender.pool.pickling import Main

OWN_FOLDER = str(Path(__file__).parent)


class Hello(NamedTuple):
    """The first message of a rank."""

    tag: str  # the tag of the launch that it belongs to
    rank: int
    host: str
    pid: int


class Setup(NamedTuple):
    """The first message to a rank."""

    engine: str  # name of the engine
    programs: Programs  # programs of the engine, and the hardware to render on
    function: bytes  # the user's function, pickled
    main: Main  # the program that the user started
    module_path: tuple[str, ...]  # where that program finds its modules
    arguments: tuple[str, ...]  # its arguments
    folder: str  # its current folder
    logs: str  # folder for the logs of the ranks
    timeout: float | None = None  # seconds that a job may take, None for any


class Ready(NamedTuple):
    """A rank can take jobs, or reports why it never will."""

    problem: str = ""  # why the function cannot be loaded, in one line; empty if it is loaded
    details: str = ""  # the traceback


class Task(NamedTuple):
    """A job for a rank, by its number; pickled."""

    number: int
    job: bytes


class Result(NamedTuple):
    """The result of a job."""

    number: int
    value: bytes | None = None  # the return value of the function, pickled; None if it failed
    error: str = ""  # type and message of the exception, in one line; empty for none
    details: str = ""  # the traceback, and what was printed during the job
    seconds: float = 0.0  # run time of the function


class Lost(NamedTuple):
    """The renderer of a rank was lost with a job; the rank starts another one, and is ready when that is."""

    number: int
    reason: str  # how it ended
    blameless: bool  # not because of the job
    log: str  # the last lines that it printed


class Unfit(NamedTuple):
    """A rank takes no more jobs, since it lost several renderers in a row."""

    reason: str
    log: str  # the last lines that the last one printed


class Gone(NamedTuple):
    """The connection of a rank has ended; made by the server."""


FromRank = Union[Hello, Ready, Result, Lost, Unfit, Gone]


def describe(error: BaseException) -> str:
    """Return type and message of an exception in one line."""
    return ": ".join(filter(None, [type(error).__name__, one_line(str(error))]))


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception as Python prints it, without the lines of this package."""
    first = error.__traceback__
    while first is not None and first.tb_frame.f_code.co_filename.startswith(OWN_FOLDER):
        first = first.tb_next
    return "".join(traceback.format_exception(type(error), error, first))
