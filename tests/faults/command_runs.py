"""Run mpirender as a user does, and check what every end of it must be, whatever was done to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

EXIT_CODES = {0, 2, 3, 4, 5, 6, 75, 130}
SECONDS = 120.0


def mpirender(
    words: list[object], folder: Path, seconds: float = SECONDS, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder: it ends in time, with a documented exit code, and prints no traceback."""
    command = [sys.executable, "-m", "mpirender", *map(str, words)]
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True,
            errors="replace", timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AssertionError(f"no end after {seconds:g} s: {words}") from None
    told = f"{words}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode in EXIT_CODES, told
    assert "Traceback" not in done.stdout + done.stderr, told
    return done
