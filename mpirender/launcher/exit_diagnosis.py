"""Which rank died first and how, read from what the launcher and the ranks printed."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpirender.errors import (
    BY_EXIT_CODE,
    NO_SPACE,
    FramesMissing,
    MpirenderError,
    NoSpace,
    UsageError,
)
from mpirender.launcher.process import MARK


@dataclass(frozen=True)
class Casualty:
    """Which rank has died first, as far as the launcher told, and how."""

    rank: int | None = None
    pid: int | None = None
    how: str = ""


# What is said of the rank that died first: by itself, by Open MPI 4 and 5, by MPICH and its kin, by Slurm's srun.
DEATHS = (
    r"mpirender: error: rank (?P<rank>\d+) of \d+ on \S+: (?P<how>.+)",
    r"process rank (?P<rank>\d+) with PID \d+ on node \S+ exited on signal (?P<signal>\d+)",
    r"Process name: \[.+,(?P<rank>\d+)\]\s+Exit code:\s+(?P<code>\d+)",
    r"due to process rank (?P<rank>\d+) with PID \d+ on\s+node \S+ exiting (?P<how>improperly)",
    r"BAD TERMINATION OF ONE OF YOUR .+\s+=\s+PID (?P<pid>\d+) RUNNING AT \S+\s+=\s+EXIT CODE: (?P<wait>\d+)",
    r"srun: error: \S+: tasks? (?P<rank>\d+)[\d,-]*: (?P<how>.+)",
)


def first_death(said: Sequence[str]) -> Casualty:
    """Find in what was printed which rank died first, and how; the launcher then ended the others.

    Args:
        said: the lines that the launcher and the ranks printed.
    """
    text = "\n".join(said)
    found = next(filter(None, (re.search(pattern, text) for pattern in DEATHS)), None)
    if found is None:
        return Casualty()
    told = {name: value for name, value in found.groupdict().items() if value is not None}
    rank, pid = (int(told[name]) if name in told else None for name in ("rank", "pid"))
    return Casualty(rank, pid, _how(told))


def _how(told: Mapping[str, str]) -> str:
    if "signal" in told:
        return ending(-int(told["signal"]))
    if "code" in told:
        return ending(int(told["code"]))
    if "wait" in told:  # MPICH gives what wait(2) returns
        return ending(-int(told["wait"]) if int(told["wait"]) < 128 else int(told["wait"]) >> 8)
    return told["how"]


def ending(code: int) -> str:
    """Say how a process ended: by which signal (negative, or 128 more than it) or with which exit code."""
    number = -code if code < 0 else code - 128
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(number).name}"
    return f"exit code {code}"


def told(said: Sequence[str], code: int) -> MpirenderError | None:
    """Return the error that the ranks themselves have told, None if they died without a word.

    Args:
        said: the lines that they and the launcher printed.
        code: how it ended.
    """
    lines = list(dict.fromkeys(line[line.index(MARK) + len(MARK) :] for line in said if MARK in line))
    kind = BY_EXIT_CODE.get(code)
    if kind is None or not lines:
        return None
    if kind is FramesMissing and (full := [line for line in lines if NO_SPACE in line]):
        return NoSpace(full[0])
    return kind(lines) if issubclass(kind, UsageError) else kind("\n".join(lines))
