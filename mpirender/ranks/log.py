"""What a rank says: lines that the supervisor hears, and everything else in a log of its own."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def log_of_rank(folder: Path, rank: str) -> Iterator[None]:
    """Send everything this process prints, C++ included, to the rank's own log for the time of the block.

    Args:
        rank: its number, as in the name of the log.
    """
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
            traceback.print_exc()  # into the log: the terminal gets one line
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        for fd, copy in zip((1, 2), saved):
            os.dup2(copy, fd)
            os.close(copy)


def tell(message: str) -> None:
    """Say each mistake in a line of its own, as the supervisor looks for it."""
    for line in message.splitlines():
        write_line(2, f"mpirender: error: {line}")


def write_line(fd: int, line: str) -> None:
    """Write a line in one piece: pvbatch's print ends it in a second one, and mpiexec may put its own words between."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(fd, f"{line}\n".encode(errors="replace"))
