"""Render with a pool in Blender, as a Python module and as a program."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import errands
from images import pixels
from mpirender.pool import run_jobs
from processes import need

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("program", ["module", "program"])
def test_a_job_at_which_blender_crashes_costs_itself_and_nothing_else(
    need_bpy: None, program: str, tmp_path: Path
) -> None:
    pictures = [str(tmp_path / f"{number}.png") for number in range(3)]
    blender = sys.executable if program == "module" else need("blender")
    outcomes = run_jobs.run(
        errands.blender_picture, [pictures[0], "crash", *pictures[1:]], engine="blender", blender=blender, ranks=1,
        launcher="mpiexec", max_restarts=0, timeout=300, quiet=True,
    )  # fmt: skip
    lost = "set aside after 2 deaths; the last: the renderer died (signal SIGSEGV)"
    assert [outcome.error for outcome in outcomes] == ["", lost, "", ""]
    first, *others = (pixels(Path(picture)) for picture in pictures)
    assert first.std() > 0, "there is something to see"
    assert all(np.array_equal(first, other) for other in others), "each renderer renders the same"
