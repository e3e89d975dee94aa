"""Processes that this one starts: none of them outlives it."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask the kernel to send this process a signal when its parent dies, so that kill -9 of the parent leaves nothing.

    It is called in the child, as ``preexec_fn``. The kernel takes the thread that started the child for its parent: a
    child that is to last must be started from a thread that lasts. A program with rights of its own (setuid) is spared.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
