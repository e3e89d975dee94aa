"""Check that doctor reports missing tools and how to install them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from processes import Run


@pytest.mark.slow
def test_doctor_ends_with_a_real_two_rank_run(run: Run) -> None:
    """A missing engine is not an error if another one is installed."""
    done = run("doctor", env={**os.environ, "MPIRENDER_BLENDER": "/no/blender"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert " absent  blender" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "ok  2-rank run" in last
    assert "8 test images and a movie" in last


def test_doctor_names_what_is_missing_and_the_line_that_installs_it(run: Run, tmp_path: Path) -> None:
    """Doctor reports every engine as missing only if none is usable."""
    without = {**os.environ, "PATH": str(tmp_path), "MPIRENDER_BLENDER": "/no/blender"}
    done = run("doctor", env=without)
    assert done.returncode == 3
    assert re.search(r"MISSING  mpiexec +.*\n +fix: .*apt-get install openmpi-bin", done.stdout)
    assert re.search(r"MISSING  pvbatch +.*\n +fix: .*apt-get install paraview", done.stdout)
    assert re.search(r"MISSING  blender +/no/blender: no such .*\n +fix: pip install 'mpirender\[", done.stdout)
