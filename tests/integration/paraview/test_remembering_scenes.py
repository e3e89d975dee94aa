"""Scenes that remember earlier frames: find them by a trial, and compute these frames first or refuse the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from processes import Run
from repository import SUPPORT

pytestmark = pytest.mark.slow
WORDS = ("--size", SIZE, "--movie", "none")

# Replaces the script of a scene.
MAKER = """
import sys
from paraview import simple
simple.LoadState(sys.argv[1])
simple.FindSource("Shape").Script = open(sys.argv[2]).read()
simple.SaveState(sys.argv[3])
"""
# A superquadric whose roundness depends on the time and on kept state.
SHAPE = """
import builtins, random
from vtkmodules.vtkFiltersSources import vtkSuperquadricSource
time = self.GetOutputInformation(0).Get(self.GetExecutive().UPDATE_TIME_STEP())
{kept}
source = vtkSuperquadricSource()
source.SetThetaRoundness(roundness)
source.Update()
self.GetOutput().ShallowCopy(source.GetOutput())
"""
KEPT = {
    "nothing": "roundness = 0.2 + 0.3 * time",
    "in self": "self.total = getattr(self, 'total', 0.2) + 0.1 * time\nroundness = self.total",
    "outside": "builtins.total = getattr(builtins, 'total', 0.2) + 0.1\nroundness = builtins.total",
    "chance": "roundness = random.random()",
}


@pytest.fixture
def scripted(scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path) -> Callable[[str], Path]:
    """Create a state whose script keeps state in one of the ways of KEPT."""

    def make(how: str) -> Path:
        (tmp_path / "maker.py").write_text(MAKER)
        (tmp_path / "script.py").write_text(SHAPE.format(kept=KEPT[how]))
        pvbatch(tmp_path / "maker.py", scenes.state("broken/raises"), tmp_path / "script.py", tmp_path / "shape.pvsm")
        return tmp_path / "shape.pvsm"

    return make


@pytest.mark.parametrize("how", ["nothing", "in self", "outside"])
def test_frames_are_those_of_the_animation_whatever_a_script_keeps(
    run: Run, scripted: Callable[[str], Path], pvbatch: Run, tmp_path: Path, how: str
) -> None:
    state = scripted(how)
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE)
    done = run("render", state, *WORDS, "--ranks", 2, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = "frames depend on earlier frames (found by a test), it seems because of Shape"
    assert (found in done.stdout) == (how != "nothing")
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


def test_a_script_that_no_order_makes_right_is_refused_unless_allowed(
    run: Run, scripted: Callable[[str], Path], tmp_path: Path
) -> None:
    words = ("render", scripted("chance"), *WORDS, "--output", tmp_path / "out")
    done = run(*words, "--ranks", 2)
    assert done.returncode == 2
    assert "shape.pvsm: its frames are not reproducible, it seems because of Shape" in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))
    allowed = run(*words, "--ranks", 1, "--allow-order-dependence")
    assert allowed.returncode == 0, allowed.stderr
    assert "8 rendered" in allowed.stdout
