"""Signals that ask a process to stop: remembered, so that what is in flight can end and be recorded."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

# Slurm sends SIGTERM, and before the end of the time limit whatever --signal asks for, usually SIGUSR1; a terminal
# sends SIGINT (Ctrl-C) and, when it is closed, SIGHUP.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def ward_off(but: Sequence[signal.Signals] = ()) -> None:
    """Let these signals not reach a child process, which knows nothing of what they are meant for.

    Slurm sends them to every process of a step, a terminal to every process of its group. Called in the child, as
    ``preexec_fn``: they are blocked, since many programs that are told to ignore them set handlers of their own.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, set(SIGNALS) - set(but))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, set(but))  # its parent may be one that is to hear of none


class StopRequest:
    """The signals that have come so far; ``tell`` is called with the name of the first one when it comes."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.signals: list[signal.Signals] = []
        self._tell = tell
        self._untold = [True]  # whoever takes it tells

    def remember(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.signals.append(signal.Signals(number))
        self.announce(self.name)

    def announce(self, name: str) -> None:
        """Tell of the first signal, once, from whichever thread hears of it first."""
        try:
            self._untold.pop()
        except IndexError:
            return
        self._tell(name)

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
def on_signals(tell: Callable[[str], object] = lambda name: None, *, at_once: bool = False) -> Iterator[StopRequest]:
    """Remember signals for the time of the block instead of dying of them.

    Args:
        tell: called with the name of the first one when it comes.
        at_once: also while this thread is inside an engine that lets other threads run meanwhile.
    """
    request = StopRequest(tell)
    with contextlib.ExitStack() as stack:
        handled = stack.enter_context(handling(request.remember))
        for number in handled:
            signal.siginterrupt(number, False)  # else reads in the engine's readers would fail midway
        if at_once and handled:
            stack.enter_context(_overheard(request, handled))
        yield request


@contextlib.contextmanager
def _overheard(request: StopRequest, numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """Let a thread tell of signals: Python runs handlers when the main thread is back from an engine, in minutes."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)

    def listen() -> None:
        while heard := os.read(ours, 1):  # the number of the signal
            if heard[0] in numbers:
                request.announce(signal.Signals(heard[0]).name)

    thread = threading.Thread(target=listen, daemon=True)
    before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(theirs)
        thread.join()
        os.close(ours)


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals] = SIGNALS
) -> Iterator[list[signal.Signals]]:
    """Handle signals for the time of the block; give those that are.

    One that is ignored (SIGHUP under nohup) stays so. Outside the main thread Python cannot handle signals, and whoever
    owns that thread does.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers if main}
    handled = [number for number, was in before.items() if was is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handler)
    try:
        yield handled
    finally:
        for number in handled:
            was = before[number]
            signal.signal(number, signal.SIG_DFL if was is None else was)
