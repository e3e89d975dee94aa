"""Signals that ask a process to stop: remembered, so that what is in flight can end and be recorded."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

# Slurm sends SIGTERM, and before the end of the time limit whatever --signal asks for, usually SIGUSR1; a terminal
# sends SIGINT (Ctrl-C) and, when it is closed, SIGHUP.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


class StopRequest:
    """The signals that have come so far."""

    def __init__(self) -> None:
        self.signals: list[signal.Signals] = []

    def remember(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.signals.append(signal.Signals(number))

    @property
    def asked(self) -> bool:
        """Whether any has come."""
        return bool(self.signals)

    @property
    def interrupted(self) -> int:
        """How often Ctrl-C was pressed."""
        return self.signals.count(signal.SIGINT)

    @property
    def name(self) -> str:
        """The name of the first one, empty before it comes."""
        return self.signals[0].name if self.signals else ""


@contextlib.contextmanager
def on_signals() -> Iterator[StopRequest]:
    """Remember signals for the time of the block instead of dying of them.

    One that is ignored (SIGHUP under nohup) stays so. Outside the main thread Python cannot handle signals, and whoever
    owns that thread does.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, request.remember)
        signal.siginterrupt(number, False)  # else reads in the engine's readers would fail midway
    try:
        yield request
    finally:
        for number in handled:
            handler = before[number]
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
