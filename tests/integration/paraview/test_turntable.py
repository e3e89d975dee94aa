"""Move the camera around a scene with --camera orbit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, pixels
from processes import Run


@pytest.mark.slow
def test_without_a_number_a_still_state_gets_a_hundred_frames_and_a_moving_one_keeps_its_own(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    words = ("--camera", "orbit", "--size", SIZE, "--movie", "none", "--ranks", 1)
    done = run("render", scenes.state("still"), *words, "--frames", "99")
    assert done.returncode == 0, done.stderr
    assert "will be equal" not in done.stdout
    done = run("render", scenes.state("still"), *words, "--frames", "100")
    assert (done.returncode, "0-99" in done.stderr) == (2, True), done.stderr
    done = run("render", scenes.state("series"), *words)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "still_renders" / SIZE).glob("*.png")] == ["frame_000099.png"]
    frames = sorted((tmp_path / "series_renders" / SIZE).glob("*.png"))
    assert len(frames) == 6
    assert not np.array_equal(pixels(frames[0]), pixels(scenes.frames("series") / "frame.0001.png"))
