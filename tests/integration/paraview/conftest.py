"""Shared fixtures for ParaView 6.1: mpirender, pvbatch and saved scenes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from processes import Run
from second_root import MPIRENDER, PVBATCH, WITH_OSMESA, Root


@pytest.fixture
def run61(second_root: Root, tmp_path: Path) -> Run:
    """Run mpirender in the Debian with ParaView 6.1."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return second_root.run(MPIRENDER, *arguments, cwd=tmp_path, timeout=300, **WITH_OSMESA)

    return run


@pytest.fixture
def pvbatch61(second_root: Root) -> Run:
    """Run a script in the pvbatch of ParaView 6.1."""

    def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        done = second_root.run(*PVBATCH, "--no-mpi", program, *arguments, **WITH_OSMESA)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def scenes61(scenes_of_second_root: SimpleNamespace) -> SimpleNamespace:
    """Return states saved by ParaView 6.1, and its own frames of them."""
    made = scenes_of_second_root
    return SimpleNamespace(state=made.state, frames=lambda name: made.frames(name, "osmesa"), folder=made.folder)
