"""``--camera orbit``: a turntable, the same as turned by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, assert_same_pictures, pixels
from mpirender import engines
from mpirender.job.render_job import RenderJob
from paraview_states import state
from processes import Run
from repository import SUPPORT


@pytest.mark.parametrize("text", ["around", "orbit:", "orbit:0", "orbit:-3", "orbit:1.5", "orbits"])
@pytest.mark.parametrize("scene", ["cone.py", "orbit.pvsm"])
def test_what_is_no_camera_is_told(text: str, scene: str) -> None:
    content = b"" if scene == "cone.py" else state()
    seen = engines.for_scene(Path(scene)).inspect(content, RenderJob(scene, camera=text))
    assert f"--camera {text!r} must be orbit, or orbit:N for a turn of N frames" in seen.mistakes


def test_a_pattern_has_no_camera(run: Run, pattern) -> None:
    done = run("render", pattern(), "--camera", "orbit")
    assert (done.returncode, "--camera is of no use for test patterns; leave it out" in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_still_state_is_turned_as_by_hand(run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path) -> None:
    """Also one whose data would change: with a number of frames they stand still."""
    for name, count in (("still", 5), ("annotated", 4)):
        (tmp_path / name).mkdir()
        pvbatch(SUPPORT / "turntable.py", scenes.state(name), tmp_path / name, SIZE, count)
        words = ("--camera", f"orbit:{count}", "--size", SIZE, "--movie", "none", "--ranks", 2)
        done = run("render", scenes.state(name), *words, "--output", tmp_path / f"{name}_out")
        assert done.returncode == 0, done.stderr
        assert_same_pictures(tmp_path / f"{name}_out" / SIZE, tmp_path / name)


@pytest.mark.slow
def test_without_a_number_a_still_state_gets_a_hundred_frames_and_a_moving_one_keeps_its_own(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--camera", "orbit", "--size", SIZE, "--movie", "none", "--output", tmp_path / "out")
    done = run("render", scenes.state("still"), *words, "--frames", "99")
    assert done.returncode == 0, done.stderr
    assert "will be equal" not in done.stdout
    done = run("render", scenes.state("still"), *words, "--frames", "100")
    assert (done.returncode, "0-99" in done.stderr) == (2, True), done.stderr
    done = run("render", scenes.state("series"), *words)
    assert done.returncode == 0, done.stderr
    frames = sorted((tmp_path / "out" / SIZE).glob("*.png"))
    assert len(frames) == 6 + 1  # the 99th of the other scene is none of these
    assert not np.array_equal(pixels(frames[0]), pixels(scenes.frames("series") / "frame.0001.png"))
