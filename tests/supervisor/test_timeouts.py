"""End the renderer of an image that takes longer than its time limit, or the ranks of its group."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import Pattern, Run
from records import done_frames, records
from runs import SMALL, running


@pytest.mark.slow
def test_a_frame_that_hangs_costs_its_renderer_and_the_other_rank_goes_on(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    done = run("render", pattern('{"frames": 10, "hang": [5], "seconds": 0.02}'), *SMALL, "--frame-timeout", 2)
    output = tmp_path / "test_renders"
    assert done.returncode == 4
    assert "160x90 frames 5: rank 0 on" in done.stderr
    assert "the renderer took longer than 2 s and was ended (tried twice)" in done.stderr
    assert set(range(10)) - set(done_frames(output)) == {5}
    assert [(loss.rank, loss.image.frame) for loss in records(output, "reload")] == [(1, 5), (0, 5)]
    first = next(loss.time for loss in records(output, "reload"))
    meanwhile = [record.image.frame for record in records(output, "done") if record.time < first]
    assert {0, 2, 4, 6, 8} <= set(meanwhile), "rank 0 has done its frames"
    assert len(records(output, "launch")) == 1
    assert running(tmp_path) == ""


@pytest.mark.slow
def test_a_frame_that_hangs_in_a_group_is_set_aside_and_the_rest_finishes(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene = pattern('{"frames": 10, "hang": [5]}')
    done = run("render", scene, *SMALL, "--ranks-per-frame", 2, "--frame-timeout", 1.5)
    assert done.returncode == 4
    assert "160x90 frames 5: set aside after 2 deaths" in done.stderr
    assert "took too long for 160x90 frame 5" in done.stderr
    assert set(range(10)) - set(done_frames(tmp_path / "test_renders")) == {5}
    assert running(tmp_path) == ""
