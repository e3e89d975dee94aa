"""Run programs, and find those that a run has started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Pattern = Callable[..., Path]  # writes a scene of the test pattern


def need(tool: str) -> str:
    """Return the path of a tool; fail loudly where it is missing: these tests are nothing without it."""
    path = shutil.which(tool)
    if path is None:
        pytest.fail(f"{tool} is not installed; bash tests/run.sh installs it", pytrace=False)
    return path


def marked(mark: Path) -> dict[str, str]:
    """Return an environment by which everything that a run starts is known again."""
    return {**os.environ, "MARK_OF_TEST": str(mark)}


def x_servers(mark: Path) -> list[int]:
    """Return the X servers that a run with this mark has started."""
    found = []
    for pid in subprocess.run(["pgrep", "Xvfb"], capture_output=True, text=True, check=False).stdout.split():
        with contextlib.suppress(OSError):
            if f"MARK_OF_TEST={mark}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(int(pid))
    return found
