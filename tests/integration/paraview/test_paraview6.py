"""Render cases in which ParaView 6.1 differs from 5.11."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from processes import Run
from repository import SUPPORT
from second_root import PVBATCH, WITH_OSMESA, Root

pytestmark = pytest.mark.slow


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


def test_a_clamped_range_is_that_of_its_frame(
    run61: Run, scenes61: SimpleNamespace, pvbatch61: Run, tmp_path: Path
) -> None:
    """SaveAnimation of ParaView 6.1 uses the range of the previous frame instead."""
    (tmp_path / "reference").mkdir()
    by_hand = tmp_path / "by_hand.py"
    by_hand.write_text(ONE_BY_ONE)
    pvbatch61(by_hand, scenes61.state("annotated"), tmp_path / "reference")
    words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--color-range", "clamp", "--output", tmp_path / "out")
    done = run61("render", scenes61.state("annotated"), *words, "--set", "RenderView1.AxesGrid.Visibility=0")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


def test_ranks_share_frames(run61: Run, scenes61: SimpleNamespace, second_root: Root, tmp_path: Path) -> None:
    """The images match those of ParaView itself on two ranks, with partitioned data and axes around it."""
    settings = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "LP_NUM_THREADS": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }  # fmt: skip
    words = [SUPPORT / "save_animation.py", scenes61.state("pulse"), tmp_path / "reference", SIZE]
    second_root.need("mpiexec", "-n", 2, *PVBATCH, "--sym", *words, **settings, **WITH_OSMESA)
    words = ["--size", SIZE, "--movie", "none", "--ranks", 5, "--ranks-per-frame", 2, "--output", tmp_path / "out"]
    done = run61("render", scenes61.state("pulse"), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "groups 0-1 of 2 ranks on" in done.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


def test_frames_are_those_of_the_animation_where_a_filter_draws_random_numbers(
    run61: Run, pvbatch61: Run, tmp_path: Path
) -> None:
    state = tmp_path / "random.pvsm"
    pvbatch61(SUPPORT / "make_random_scenes.py", state, "MaskPoints")
    pvbatch61(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE)
    done = run61("render", state, "--size", SIZE, "--movie", "none", "--ranks", 2, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "frames depend on earlier frames (found by a test)" in done.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")
