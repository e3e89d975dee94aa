"""A private X server on each node, for engines that can only render through GLX.

The ranks of a node share it, and no other user of the node gets in: it asks for a cookie. It picks a free display
number (``-displayfd``), and ends with the rank that started it, however that rank ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO

from mpirender.errors import ToolMissing
from mpirender.system import child_process
from mpirender.system.comm import Comm, same_node

END = signal.SIGINT
COOKIE_BYTES = 16
ANY_FAMILY = b"\xff\xff"  # of addresses
ATTEMPTS = 3  # to start a server that someone kills
END_SECONDS = 1.0  # for a server that has closed its pipe to end
START_SECONDS = 60.0  # a loaded node may take its time; a broken server ends at once


@contextlib.contextmanager
def private_display(comm: Comm) -> Iterator[None]:
    """Give every rank of comm, and its renderer, a DISPLAY on an X server of its own node for the time of the block.

    :raises ToolMissing: there is no Xvfb, or it does not start.
    """
    node = same_node(comm)
    number, problem, cookie = 0, "", os.urandom(COOKIE_BYTES)
    with contextlib.ExitStack() as stack:
        if node.rank == 0:
            try:
                number = stack.enter_context(running(cookie))
            except ToolMissing as error:
                problem = str(error)
        problem, number, cookie = node.bcast((problem, number, cookie), root=0)
        if problem:
            raise ToolMissing(problem)
        file = stack.enter_context(authority(cookie))
        os.environ.update(DISPLAY=f":{number}", XAUTHORITY=path_of(file, os.getpid()))
        yield


@contextlib.contextmanager
def server() -> Iterator[dict[str, str]]:
    """Run an X server for the time of the block; give the environment in which child processes reach it.

    :raises ToolMissing: there is no Xvfb, or it does not start.
    """
    cookie = os.urandom(COOKIE_BYTES)
    with running(cookie) as number, authority(cookie) as file:
        yield {"DISPLAY": f":{number}", "XAUTHORITY": path_of(file, os.getpid())}


def authority(cookie: bytes) -> IO[bytes]:
    """Return a file without a name that holds the cookie for any display, as libXau reads it."""
    fields = (b"", b"", b"MIT-MAGIC-COOKIE-1", cookie)  # address, display number, name, data
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever calls this closes it
    file.write(ANY_FAMILY + b"".join(struct.pack(">H", len(field)) + field for field in fields))
    file.flush()
    return file


def path_of(file: IO[bytes], process: int | str = "self") -> str:
    """Return the path under which a file without a name can be opened by the process that has it, or by others."""
    return f"/proc/{process}/fd/{file.fileno()}"


@contextlib.contextmanager
def running(cookie: bytes) -> Iterator[int]:
    """Run Xvfb for those who have the cookie during the block; give its display number.

    :raises ToolMissing: it is not installed, or it did not name its display.
    """
    program = shutil.which("Xvfb")
    if program is None:
        raise ToolMissing(
            "rendering through GLX takes an X server and Xvfb is not installed; "
            "install it (Debian, Ubuntu: apt-get install xvfb; Red Hat: dnf install xorg-x11-server-Xvfb)"
        )
    for _ in range(ATTEMPTS):
        server, number = _start(program, cookie)
        if number.isdigit() or not _was_killed(server):
            break
    if not number.isdigit():
        raise ToolMissing(f"the X server {program} does not start; try it by hand: Xvfb -displayfd 1")
    try:
        yield int(number)
    finally:
        server.send_signal(END)
        server.wait()


def _start(program: str, cookie: bytes) -> tuple[subprocess.Popen[bytes], str]:
    """Start Xvfb; return it with its display number, empty if it does not name one."""
    ready, announce = os.pipe()
    try:
        with authority(cookie) as file:
            # -noreset: without it the server resets when its last client leaves and the next rank's connection dies.
            options = ["-noreset", "-nolisten", "tcp", "-auth", path_of(file), "-screen", "0", "1280x1024x24"]
            # The images in progress would be lost if the server ended on a stop signal before its rank does.
            server = child_process.start(
                [program, "-displayfd", str(announce), *options], errors=subprocess.DEVNULL, end_signal=END,
                only_end_signal=True, pass_fds=[announce, file.fileno()],
            )  # fmt: skip
        os.close(announce)
        return server, _first_line(ready)
    finally:
        os.close(ready)


def _was_killed(server: subprocess.Popen[bytes]) -> bool:
    """End a server that has not named its display; return whether someone else had killed it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return server.wait(END_SECONDS) == -signal.SIGKILL
    server.kill()
    server.wait()
    return False


def _first_line(pipe: int) -> str:
    """Read up to the end of the line; an empty string when the writer ends or time runs out before it."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([pipe], [], [], START_SECONDS)[0]:
            return ""
        if not (byte := os.read(pipe, 1)):
            return ""
        line += byte
    return line.decode().strip()
