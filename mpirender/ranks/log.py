"""The output of a rank: error lines that the supervisor reads, and a log file for everything else."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def log_of_rank(folder: Path, rank: str) -> Iterator[None]:
    """Redirect everything this process prints, C++ included, to the log of this number during the block."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    log = os.open(folder / f"rank-{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
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
