"""The tests of what is done with a scene, once more with ParaView 6.1: they differ in nothing but who renders."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_color_maps import test_the_pictures_are_those_of_the_same_range_by_hand as with_a_range
from test_orbit_camera import test_a_still_state_is_turned_as_by_hand  # noqa: F401
from test_overrides import (  # noqa: F401
    test_the_pictures_are_those_of_the_same_things_done_by_hand,
)
from test_script import script, test_the_pictures_are_those_of_the_script_run_in_pvpython  # noqa: F401
from test_sweep import test_every_combination_is_the_picture_made_by_hand  # noqa: F401

from images import SIZE, assert_same_pictures
from processes import Run
from repository import SUPPORT
from second_root import MPIRENDER, WITH_OSMESA, Root

pytestmark = pytest.mark.slow
PVBATCH = ("pvbatch", "--opengl-window-backend", "OSMesa")


@pytest.fixture
def run(second_root: Root, tmp_path: Path) -> Run:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return second_root.run(MPIRENDER, *arguments, cwd=tmp_path, timeout=300, **WITH_OSMESA)

    return run


@pytest.fixture
def pvbatch(second_root: Root) -> Run:
    def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        done = second_root.run(*PVBATCH, "--no-mpi", program, *arguments, **WITH_OSMESA)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def scenes(scenes_of_second_root: SimpleNamespace) -> SimpleNamespace:
    made = scenes_of_second_root
    return SimpleNamespace(state=made.state, frames=lambda name: made.frames(name, "osmesa"), folder=made.folder)


@pytest.mark.parametrize("how", ["global", "RTData=100,220"])
def test_the_pictures_are_those_of_the_same_range_by_hand(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, how: str
) -> None:
    with_a_range(run, scenes, pvbatch, tmp_path, how)


ONE_BY_ONE = """
import sys
from paraview import simple
simple._DisableFirstRenderCameraReset()
simple.LoadState(sys.argv[1])
view = simple.GetActiveView()
view.AxesGrid.Visibility = 0
simple.GetColorTransferFunction("RTData").AutomaticRescaleRangeMode = "Clamp and update every timestep"
simple.Render(view)
simple.GetAnimationScene().AnimationTime = 1
for number in range(6):
    simple.GetAnimationScene().AnimationTime = number / 5
    simple.SaveScreenshot(f"{sys.argv[2]}/frame.{number}.png", view, ImageResolution=[480, 270])
"""


def test_a_clamped_range_is_that_of_its_frame(run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path) -> None:
    """In SaveAnimation of ParaView 6.1 it is that of the frame before."""
    (tmp_path / "reference").mkdir()
    by_hand = tmp_path / "by_hand.py"
    by_hand.write_text(ONE_BY_ONE)
    pvbatch(by_hand, scenes.state("annotated"), tmp_path / "reference")
    words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--color-range", "clamp", "--output", tmp_path / "out")
    done = run("render", scenes.state("annotated"), *words, "--set", "RenderView1.AxesGrid.Visibility=0")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


def test_ranks_share_frames(run: Run, scenes: SimpleNamespace, second_root: Root, tmp_path: Path) -> None:
    """As ParaView does on two ranks, data in pieces and axes around them."""
    settings = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "LP_NUM_THREADS": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }  # fmt: skip
    words = [SUPPORT / "save_animation.py", scenes.state("pulse"), tmp_path / "reference", SIZE]
    second_root.need("mpiexec", "-n", 2, *PVBATCH, "--sym", *words, **settings, **WITH_OSMESA)
    words = ["--size", SIZE, "--movie", "none", "--ranks", 5, "--ranks-per-frame", 2, "--output", tmp_path / "out"]
    done = run("render", scenes.state("pulse"), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "groups 0-1 of 2 ranks on" in done.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")
