"""Give one process exclusive access to the folder of a run, and let signals end it without leaving partial files."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from mpirender.errors import MpirenderError, Stopped
from mpirender.run_folder import lock
from mpirender.run_folder.lock import Lock
from mpirender.system import signals

BEAT_SECONDS = 1.0


@contextlib.contextmanager
def exclusive_access(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock of a folder during the block, which signals end by an exception.

    Yields a function to call from time to time: it raises the error if the lock was lost.

    Raises:
        UsageError: a run uses the folder.
        Stopped: a signal came.
    """
    with ended_by_signals(), lock.held(folder, lock.ENCODE) as held, kept_fresh(held) as check:
        yield check


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


@contextlib.contextmanager
def kept_fresh(held: Lock) -> Iterator[Callable[[], None]]:
    """Refresh the lock during the block, otherwise another run would take it over; yield what raises if it was lost."""
    ended = threading.Event()
    problems: list[MpirenderError] = []

    def beat() -> None:
        try:
            while not ended.wait(BEAT_SECONDS):
                held.beat()
        except MpirenderError as error:
            problems.append(error)

    def check() -> None:
        if problems:
            raise problems[0]

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()
