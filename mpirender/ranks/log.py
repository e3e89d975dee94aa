"""The output of a rank: error lines that the supervisor reads, and a log file for everything else."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

LOG_LINES = 5
LOG_TAIL = 1 << 16  # bytes
BACKTRACE = re.compile(r"\[\S+:\d+\] (\[ ?\d+\]|\*\*\*)")  # Open MPI's, which does not help a scientist


def path_of(folder: Path, rank: str) -> Path:
    """Return the log of a rank, in the folder of the run."""
    return folder / f"rank-{rank}.log"


def redirect_output(log: Path) -> None:
    """Append everything this process prints from now on, C++ included, to a log."""
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


@contextlib.contextmanager
def log_of_rank(folder: Path, rank: str) -> Iterator[None]:
    """Redirect everything this process prints, C++ included, to the log of this number during the block."""
    saved = os.dup(1), os.dup(2)
    redirect_output(path_of(folder, rank))
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # the disk may be full
            traceback.print_exc()  # into the log; the terminal gets one line
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        for fd, copy in zip((1, 2), saved):
            os.dup2(copy, fd)
            os.close(copy)


def log_error(message: str) -> None:
    """Print each line of a message with the prefix by which the supervisor finds errors."""
    for line in message.splitlines():
        write_line(2, f"mpirender: error: {line}")


def write_line(fd: int, line: str) -> None:
    """Write a line with one call: pvbatch's print uses two, between which mpiexec may write something else."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(fd, f"{line}\n".encode(errors="replace"))


def last_log_lines(log: Path) -> list[str]:
    """Return the last lines of a log, without backtraces; none if it cannot be read."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - LOG_TAIL, 0))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        return [line for line in lines if not BACKTRACE.match(line)][-LOG_LINES:]
    return []
