"""A private X server on each node, for engines that can only render through GLX.

The ranks of a node share it. It is started without a number of its own (``-displayfd`` lets the server pick a free one)
and ends with the rank that started it, however that rank ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

from mpirender import stopping
from mpirender.errors import ToolMissing
from mpirender.processes import end_with_parent

END = signal.SIGINT
START_SECONDS = 60.0  # a loaded node may take its time; a broken server ends at once


@contextlib.contextmanager
def private_display(comm: Any) -> Iterator[None]:  # noqa: ANN401 - an mpi4py communicator; mpi4py may be missing
    """Give every rank of comm a DISPLAY on an X server of its own node for the time of the block.

    Raises:
        ToolMissing: there is no Xvfb, or it does not start.
    """
    node = comm.Split_type(type_shared(), key=comm.rank)
    server = None
    answer: tuple[str, str] | None = None
    if node.rank == 0:
        try:
            server, number = start()
            answer = ("", f":{number}")
        except ToolMissing as error:
            answer = (str(error), "")
    problem, display = node.bcast(answer, root=0)
    if problem:
        raise ToolMissing(problem)
    os.environ["DISPLAY"] = display
    os.environ.pop("XAUTHORITY", None)
    try:
        yield
    finally:
        if server is not None:
            end(server)


def type_shared() -> int:
    """Return MPI_COMM_TYPE_SHARED; a function so that this module imports without MPI."""
    from mpi4py import MPI

    return int(MPI.COMM_TYPE_SHARED)


def start() -> tuple[subprocess.Popen[bytes], int]:
    """Start Xvfb; return its process and its display number.

    Raises:
        ToolMissing: it is not installed, or it ended or stayed silent instead of naming its display.
    """
    program = shutil.which("Xvfb")
    if program is None:
        raise ToolMissing(
            "this ParaView can only render through an X server and Xvfb is not installed; "
            "install it (Debian, Ubuntu: apt-get install xvfb; Red Hat: dnf install xorg-x11-server-Xvfb)"
        )
    ready, announce = os.pipe()
    try:
        # -noreset: without it the server resets when its last client leaves and the next rank's connection dies.
        server = subprocess.Popen(
            [program, "-displayfd", str(announce), "-noreset", "-nolisten", "tcp", "-screen", "0", "1280x1024x24"],
            pass_fds=[announce], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=_end_with_rank,  # noqa: PLW1509 - it calls the kernel alone
        )  # fmt: skip
        os.close(announce)
        number = _first_line(ready)
    finally:
        os.close(ready)
    if not number.isdigit():
        server.kill()
        server.wait()
        raise ToolMissing(f"the X server {program} does not start; try it by hand: Xvfb -displayfd 1")
    return server, int(number)


def end(server: subprocess.Popen[bytes]) -> None:
    """End an X server."""
    server.send_signal(END)
    server.wait()


def _first_line(pipe: int) -> str:
    """Read up to the end of the line; an empty string when the writer ends or time runs out before it."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([pipe], [], [], START_SECONDS)[0]:
            return ""
        byte = os.read(pipe, 1)
        if not byte:
            return ""
        line += byte
    return line.decode().strip()


def _end_with_rank() -> None:
    """Leave the server only the signal with which its rank ends it.

    Others, which Slurm sends to every process of a step, are for the ranks: with the server the images in flight would
    be lost. It cannot be told to ignore them, since it sets handlers of its own, but it does not unblock them.
    """
    end_with_parent(END)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(stopping.SIGNALS) - {END})
