"""Signals that ask a process to stop: they are recorded, so that the images in progress can be finished."""

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


def ignore_signals(but: Sequence[signal.Signals] = ()) -> None:
    """Keep the stop signals from a child process, which does not handle them.

    Slurm sends them to every process of a step, a terminal to every process of its group. The signals are blocked,
    since many programs that start with an ignored signal install a handler of their own. Safe as ``preexec_fn``. The
    child receives the signals ``but``, even if its parent blocks them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, set(SIGNALS) - set(but))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, set(but))


def accept_signals() -> None:
    """Receive the stop signals again that the parent of this process blocked."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


class StopRequest:
    """The stop signals received so far; ``report`` is called once, with the name of the first."""

    def __init__(self, report: Callable[[str], object]) -> None:
        self.signals: list[signal.Signals] = []
        self._report = report
        self._unreported = [True]  # the thread that pops the item reports

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.signals.append(signal.Signals(number))
        self.report(self.name)

    def report(self, name: str) -> None:
        """Report the first signal, once, from whichever thread receives it first."""
        try:
            self._unreported.pop()
        except IndexError:
            return
        self._report(name)

    @property
    def requested(self) -> bool:
        """Whether a signal has been received."""
        return bool(self.signals)

    @property
    def interrupted(self) -> int:
        """How often Ctrl-C was pressed."""
        return self.signals.count(signal.SIGINT)

    @property
    def name(self) -> str:
        """The name of the first signal, empty if there is none."""
        return self.signals[0].name if self.signals else ""


@contextlib.contextmanager
def on_signals(report: Callable[[str], object] = lambda name: None, *, at_once: bool = False) -> Iterator[StopRequest]:
    """Record stop signals during the block instead of ending the process.

    :param report: called with the name of the first signal.
    :param at_once: call it immediately, even while this thread waits inside MPI.
    """
    request = StopRequest(report)
    with handling(request.handle) as handled:
        for number in handled:
            signal.siginterrupt(number, False)  # otherwise reads in the engine's readers would fail midway
        with _reporting_thread(request, handled) if at_once and handled else contextlib.nullcontext():
            yield request


@contextlib.contextmanager
def _reporting_thread(request: StopRequest, numbers: Sequence[signal.Signals]) -> Iterator[None]:
    """Report signals from a thread: Python runs handlers only after the main thread has left MPI."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)

    def listen() -> None:
        while received := os.read(read_end, 1):  # the number of the signal
            if received[0] in numbers:
                request.report(signal.Signals(received[0]).name)

    thread = threading.Thread(target=listen, daemon=True)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write_end)
        thread.join()
        os.close(read_end)


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[signal.Signals] = SIGNALS
) -> Iterator[list[signal.Signals]]:
    """Handle signals during the block; give the signals that are handled.

    An ignored signal (SIGHUP under nohup) stays ignored; also one that the block ignores. Outside the main thread
    Python cannot handle signals, so none is handled there.
    """
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers if main}
    handled = [number for number, was in before.items() if was is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handler)
    try:
        yield handled
    finally:
        for number in [number for number in handled if signal.getsignal(number) is not signal.SIG_IGN]:
            was = before[number]
            signal.signal(number, signal.SIG_DFL if was is None else was)
