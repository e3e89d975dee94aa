"""Reasons, other than a signal, for which the ranks are asked to end before their work is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mpirender.errors import MpirenderError


@dataclass(frozen=True)
class EarlyEnd:
    """The ranks are asked to end; images in progress are finished."""

    reason: str  # for the journals: they stop "on" it
    error: Callable[[], MpirenderError]  # makes the error with which the run ends then
