"""A process beside a rank that compresses its pictures and writes them, while the rank renders the next one.

It is a process since VTK keeps Python's interpreter lock while it renders: a thread would get no turn between
compressing, writing and syncing. It is forked before MPI and OpenGL come up, of which it must have nothing, gets
pictures through shared memory, and ends with its rank.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.ranks import png
from mpirender.system import files, signals
from mpirender.system.child_process import end_with_parent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLOTS = 2  # pictures in shared memory: one is written while the next one comes
LONGEST = 1 << 16  # bytes of a message
KIB = 1024

Facts = Mapping[str, Any]


class WriterGone(Exception):
    """The process that writes the pictures has died."""


class Writer:
    """What a rank knows of its writing process."""

    def __init__(self) -> None:
        """Start the process. No thread and no connection may be there that must not be doubled."""
        self._memory = os.memfd_create("mpirender pictures")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if not self._pid:
            ours.close()
            _serve(theirs, self._memory)
        theirs.close()
        self._socket = ours
        self._slots: mmap.mmap | None = None
        self._free = list(range(SLOTS))
        self._slot_of: dict[int, int] = {}
        self._results: list[tuple[int, Facts]] = []

    def close(self) -> None:
        """End the process; it writes what it has got."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):  # its death was noticed before
            os.waitpid(self._pid, 0)

    def hold(self, largest: int) -> None:
        """Make room for pictures of at most so many bytes; memory is taken up as they come."""
        size = SLOTS * largest
        os.ftruncate(self._memory, size)
        self._slots = mmap.mmap(self._memory, size)

    def put(self, ticket: int, picture: NDArray[np.uint8], order: Mapping[str, Any]) -> None:
        """Hand a picture over; waits until there is room for it.

        Args:
            ticket: by which its result is known, a new one for each picture.
            picture: rows from the top, shape (height, width, channels), 8 bits a channel; may be changed afterwards.
            order: ``part`` (where it is written), ``place`` (its name in the end), ``level`` and ``threads``.

        Raises:
            WriterGone: the process has died.
        """
        import numpy as np

        assert self._slots is not None, "hold() comes first"
        while not self._free:
            self._receive(None)
        slot = self._free.pop()
        self._slot_of[ticket] = slot
        start = slot * (len(self._slots) // SLOTS)
        room = np.frombuffer(self._slots, np.uint8, picture.size, start).reshape(picture.shape)
        np.copyto(room, picture)
        message = {"ticket": ticket, "start": start, "shape": picture.shape, "memory": len(self._slots), **order}
        try:
            self._socket.send(json.dumps(message).encode())
        except OSError:
            raise WriterGone(self._death()) from None

    def results(self, patience: float | None = 0.0) -> list[tuple[int, Facts]]:
        """Return what has become of pictures since the last call, by their tickets.

        Facts are ``bytes`` and ``digest`` of the file, ``written`` (seconds) and ``memory`` (peak of the process,
        bytes), or ``errno`` and ``error``.

        Args:
            patience: seconds to wait for pictures that are being written; None for all of them.

        Raises:
            WriterGone: the process has died.
        """
        end = None if patience is None else time.monotonic() + patience
        while self._slot_of and self._receive(None if end is None else max(end - time.monotonic(), 0.0)):
            pass
        results, self._results = self._results, []
        return results

    def _receive(self, patience: float | None) -> bool:
        """Take in one result; say whether there was one."""
        if not select.select([self._socket], [], [], patience)[0]:
            return False
        message = b""
        with contextlib.suppress(OSError):
            message = self._socket.recv(LONGEST)
        if not message:
            raise WriterGone(self._death())
        facts = json.loads(message)
        ticket = facts.pop("ticket")
        self._free.append(self._slot_of.pop(ticket))
        self._results.append((ticket, facts))
        return True

    def _death(self) -> str:
        status = os.waitpid(self._pid, 0)[1]
        how = f"signal {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else f"status {status}"
        return f"the process that writes the images has died ({how})"


def _serve(orders: socket.socket, memory: int) -> None:
    """Write pictures until the rank closes its end; what the forked process does, and it does not return."""
    code = 1
    try:
        end_with_parent(signal.SIGKILL)
        signals.ignore_signals()  # the rank hears of them, and its images in flight are to end
        _let_go(but=(orders.fileno(), memory))
        desk = _Desk(orders, memory)
        while message := orders.recv(LONGEST):
            desk.take(json.loads(message))
        desk.close()
        code = 0
    finally:
        os._exit(code)


def _let_go(but: tuple[int, ...]) -> None:
    """Close all files that came along but these: launchers learn of a rank's death from the ends of its connections."""
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    for number in [int(link.name) for link in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in but:
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(number)


class _Desk:
    """The writing process: a picture for each thread of one pool, whose strips the threads of another compress."""

    def __init__(self, orders: socket.socket, memory: int) -> None:
        self._socket, self._memory = orders, memory
        self._lock = threading.Lock()
        self._pictures = ThreadPoolExecutor(SLOTS)
        self._strips: ThreadPoolExecutor | None = None
        self._slots: mmap.mmap | None = None

    def take(self, order: dict[str, Any]) -> None:
        """Begin with a picture."""
        if self._slots is None:
            self._slots = mmap.mmap(self._memory, order["memory"])
        if self._strips is None and order["threads"] > 1:
            self._strips = ThreadPoolExecutor(order["threads"])
        self._pictures.submit(self._answer, order)

    def close(self) -> None:
        """End when everything is written."""
        self._pictures.shutdown()

    def _answer(self, order: dict[str, Any]) -> None:
        try:
            facts = self._write(order)
        except OSError as error:
            facts = {"errno": error.errno, "error": f"{type(error).__name__}: {error}"}
        except Exception as error:  # whatever it is, the rank must hear of it
            facts = {"errno": 0, "error": f"{type(error).__name__}: {error}"}
        with self._lock:
            self._socket.send(json.dumps({"ticket": order["ticket"], **facts}).encode())

    def _write(self, order: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        started = time.perf_counter()
        height, width, channels = order["shape"]
        assert self._slots is not None
        flat = np.frombuffer(self._slots, np.uint8, height * width * channels, order["start"])
        each = map if self._strips is None else self._strips.map
        part = Path(order["part"])
        try:
            png.write(part, flat.reshape(height, width, channels), order["level"], each)
            facts = files.put_in_place(part, Path(order["place"]))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
        return {**facts, "written": time.perf_counter() - started, "memory": peak}
