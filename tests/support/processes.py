"""Run programs, and find the processes that a run started."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Pattern = Callable[..., Path]  # writes a scene of the test pattern


def need(tool: str) -> str:
    """Return the path of a tool; fail the test if it is missing."""
    path = shutil.which(tool)
    if path is None:
        pytest.fail(f"{tool} is not installed; bash tests/run.sh installs it", pytrace=False)
    return path


def marked(mark: Path) -> dict[str, str]:
    """Return an environment with a mark that identifies all processes of a run."""
    return {**os.environ, "MARK_OF_TEST": str(mark)}


def x_servers(mark: Path) -> list[int]:
    """Return the X servers started by a run with this mark."""
    found = []
    for pid in subprocess.run(["pgrep", "Xvfb"], capture_output=True, text=True, check=False).stdout.split():
        with contextlib.suppress(OSError):
            if f"MARK_OF_TEST={mark}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(int(pid))
    return found


def ports(pid: int) -> list[tuple[str, str]]:
    """Return the addresses and ports on which a process listens."""
    listed = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    return re.findall(rf"LISTEN +\d+ +\d+ +(\S+):(\d+) .*\bpid={pid},", listed)
