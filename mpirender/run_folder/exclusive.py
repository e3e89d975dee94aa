"""Give one process exclusive access to the folder of a run, and let signals end it without leaving partial files."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from mpirender.errors import Stopped
from mpirender.run_folder import lock
from mpirender.system import signals

BEAT_SECONDS = 1.0


@contextlib.contextmanager
def exclusive_access(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock of a folder during the block, and keep it fresh; signals end the block by an exception.

    Yields a function to call from time to time: it raises the error if the lock was lost.

    :raises UsageError: a run uses the folder.
    :raises Stopped: a signal came.
    """
    ended = threading.Event()

    def keep_fresh() -> None:
        while not ended.wait(BEAT_SECONDS):
            held.beat()

    with ended_by_signals(), lock.held(folder, lock.ENCODE) as held, ThreadPoolExecutor(1) as pool:
        try:
            beating = pool.submit(keep_fresh)
            yield lambda: beating.result() if beating.done() else None
        finally:
            ended.set()


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals raise :class:`Stopped` during the block, so that no partial file stays. Ctrl-C raises by itself."""
    numbers = [number for number in signals.SIGNALS if number != signal.SIGINT]

    def end(number: int, _frame: FrameType | None) -> None:
        for other in numbers:  # another one would interrupt the clean-up
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(f"stopped on {signal.Signals(number).name}; run the same command again")

    with signals.handling(end, numbers):
        yield
