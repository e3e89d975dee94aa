"""Set aside an image that takes longer than its time limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import Pattern, Run
from records import done_frames
from runs import SMALL, running


@pytest.mark.slow
def test_a_frame_that_hangs_is_found_and_set_aside_and_the_rest_finishes(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    done = run("render", pattern('{"frames": 10, "hang": [5]}'), *SMALL, "--frame-timeout", 1.5)
    assert done.returncode == 4
    assert "160x90 frames 5: set aside after 2 deaths" in done.stderr
    assert "took too long for 160x90 frame 5" in done.stderr
    assert set(range(10)) - set(done_frames(tmp_path / "test_renders")) == {5}
    assert running(tmp_path) == ""
