"""A child process of a rank that compresses and writes its images while the rank renders the next one.

VTK keeps Python's interpreter lock while it renders, which would block a thread. The process is forked before MPI and
OpenGL start, so that it inherits nothing of them, gets the images through shared memory, and ends with its rank.
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

SLOTS = 2  # images in shared memory: one is written while the next one is rendered
MAX_MESSAGE = 1 << 16  # bytes
KIB = 1024

Facts = Mapping[str, Any]


class WriterDied(Exception):
    """The process that writes the images has died."""


class ImageWriter:
    """The rank's end of the writing process; its methods raise WriterDied if the process has died."""

    def __init__(self) -> None:
        """Fork the process; call this before any thread or connection exists."""
        self._memory = os.memfd_create("mpirender images")
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if not self._pid:
            own.close()
            _serve(other, self._memory)
        other.close()
        self._socket = own
        self._slots: mmap.mmap | None = None
        self._free = list(range(SLOTS))
        self._slot_of: dict[int, int] = {}
        self._results: list[tuple[int, Facts]] = []

    def close(self) -> None:
        """End the process after it has written the images it has received."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):  # it has died before
            os.waitpid(self._pid, 0)

    def reserve(self, largest: int) -> None:
        """Reserve shared memory for images of at most ``largest`` bytes; it is allocated when they are written."""
        os.ftruncate(self._memory, SLOTS * largest)
        self._slots = mmap.mmap(self._memory, SLOTS * largest)

    def put(self, ticket: int, picture: NDArray[np.uint8], order: Mapping[str, Any]) -> None:
        """Pass an image to the process; wait until a slot is free.

        :param ticket: a new number for each image, which its result carries.
        :param picture: rows from the top, shape (height, width, channels), uint8; it may be changed afterwards.
        :param order: ``part`` (temporary path), ``place`` (final path), ``level`` (of compression) and ``threads``.
        """
        import numpy as np

        assert self._slots is not None, "call reserve() first"
        while not self._free:
            self._receive(None)
        slot = self._free.pop()
        self._slot_of[ticket] = slot
        start = slot * (len(self._slots) // SLOTS)
        target = np.frombuffer(self._slots, np.uint8, picture.size, start).reshape(picture.shape)
        np.copyto(target, picture)
        message = {"ticket": ticket, "start": start, "shape": picture.shape, "memory": len(self._slots), **order}
        try:
            self._socket.send(json.dumps(message).encode())
        except OSError:
            raise WriterDied(self._how_it_died()) from None

    def results(self, patience: float | None = 0.0) -> list[tuple[int, Facts]]:
        """Return the results since the last call, with their tickets.

        A result has ``bytes`` and ``digest`` of the file, ``written`` (seconds) and ``memory`` (peak of the process,
        bytes), or ``errno`` and ``error``.

        Wait at most ``patience`` seconds for images that are being written; None waits for all of them.
        """
        end = None if patience is None else time.monotonic() + patience
        while self._slot_of and self._receive(None if end is None else max(end - time.monotonic(), 0.0)):
            pass
        results, self._results = self._results, []
        return results

    def _receive(self, patience: float | None) -> bool:
        """Receive one result; return whether there was one."""
        if not select.select([self._socket], [], [], patience)[0]:
            return False
        message = b""
        with contextlib.suppress(OSError):
            message = self._socket.recv(MAX_MESSAGE)
        if not message:
            raise WriterDied(self._how_it_died())
        facts = json.loads(message)
        ticket = facts.pop("ticket")
        self._free.append(self._slot_of.pop(ticket))
        self._results.append((ticket, facts))
        return True

    def _how_it_died(self) -> str:
        status = os.waitpid(self._pid, 0)[1]
        how = f"signal {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else f"status {status}"
        return f"the process that writes the images has died ({how})"


def _serve(orders: socket.socket, memory: int) -> None:
    """Write images until the rank closes its end; the main function of the process, which does not return."""
    code = 1
    try:
        end_with_parent(signal.SIGKILL)
        signals.ignore_signals()  # the rank handles them, and its images in progress must be finished
        _close_files(but=(orders.fileno(), memory))
        writer = _Process(orders, memory)
        while message := orders.recv(MAX_MESSAGE):
            writer.take(json.loads(message))
        writer.images.shutdown()  # when every image is written
        code = 0
    finally:
        os._exit(code)


def _close_files(but: tuple[int, ...]) -> None:
    """Close all inherited files except these: launchers notice the death of a rank by its closed connections."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for number in [int(link.name) for link in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number not in but:
            with contextlib.suppress(OSError):  # the file of the list itself
                os.close(number)


class _Process:
    """The writing process: one thread pool writes an image per thread, another compresses strips of them."""

    def __init__(self, orders: socket.socket, memory: int) -> None:
        self._socket, self._memory = orders, memory
        self._lock = threading.Lock()
        self.images = ThreadPoolExecutor(SLOTS)
        self._strips: ThreadPoolExecutor | None = None
        self._slots: mmap.mmap | None = None

    def take(self, order: dict[str, Any]) -> None:
        """Start to write an image."""
        if self._slots is None:
            self._slots = mmap.mmap(self._memory, order["memory"])
        if self._strips is None and order["threads"] > 1:
            self._strips = ThreadPoolExecutor(order["threads"])
        self.images.submit(self._write_and_report, order)

    def _write_and_report(self, order: dict[str, Any]) -> None:
        try:
            facts = self._write(order)
        except Exception as error:  # the rank must get a result
            facts = {"errno": getattr(error, "errno", None) or 0, "error": f"{type(error).__name__}: {error}"}
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
