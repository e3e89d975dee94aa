"""Run pools on two ranks, and find the processes that they started."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from mpirender.pool import run_jobs

HOST = os.uname().nodename
run = partial(run_jobs.run, engine="pattern", ranks=2, launcher="none", quiet=True)
slow = pytest.mark.slow
either_way = pytest.mark.parametrize("launcher", ["mpiexec", "none"])
one_way_in_haste = pytest.mark.parametrize("launcher", [pytest.param("mpiexec", marks=slow), "none"])


def told(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def running(mark: Path) -> list[str]:
    """Return the processes that a test started, found by the mark in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"MARK_OF_TEST={mark}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (OSError, NotADirectoryError):
            pass
    return [words for words in found if words]  # zombies have no command line
