"""Run a benchmark from the command line, and describe the machine for raw results that tests write."""

from __future__ import annotations

import subprocess
import sys

from repository import REPOSITORY

MACHINE = {
    "cpu": "Some CPU", "cores": 2, "nodes": 1, "engine": "paraview", "version": "5.11.0", "mpirender": "0.1.0",
    "date": "2024-05-01T10:00:00",
}  # fmt: skip


def told(arguments: list[object], module: str = "compare", seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a benchmark from the command line."""
    words = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    return subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds, check=False)
