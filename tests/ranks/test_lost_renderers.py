"""Lose renderers while a run goes on: the rank replaces its renderer, and nothing is launched anew."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from movies import read_back
from mpirender.run_folder import events
from processes import Pattern, Run
from records import done_frames, records
from renderer_faults import inflict, pattern_subject
from renderers import renderer_pid
from runs import SMALL, rank_pid, running, started


def reloads(output: Path) -> list[events.Reload]:
    return [record for record in records(output) if isinstance(record, events.Reload)]


def assert_launched_once(output: Path) -> None:
    assert len(records(output, "launch")) == 1
    assert records(output, "death") == []


@pytest.mark.parametrize(
    ("how", "named", "tried"),
    [("SIGSEGV", "signal SIGSEGV", 2), ("SIGKILL", "signal SIGKILL", 4), ("0", "exit code 0", 2)],
)
def test_a_frame_that_kills_its_renderer_fails_after_some_attempts_and_the_others_finish(
    run: Run, pattern: Pattern, tmp_path: Path, how: str, named: str, tried: int
) -> None:
    """Anyone may have sent SIGKILL, so the frame may not be the cause."""
    scene = pattern(json.dumps({"frames": 10, "seconds": 0.02, "kill": [4], "how": how, "say": "drawing"}))
    done = run("render", scene, *SMALL)
    output = tmp_path / "test_renders"
    assert done.returncode == 4
    attempts = {2: "twice", 4: "4 times"}[tried]
    assert f": the renderer died ({named}) (tried {attempts})" in done.stderr
    assert f"to try 160x90 frame 4 alone: mpirender render {scene}" in done.stderr
    assert "its rank's log: drawing 4" in done.stderr
    assert "1 of 10 images missing, so no movie was made" in done.stderr
    assert f"died ({named}) at 160x90 frame 4; it loads the scene again" in done.stdout
    assert done_frames(output) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    lost = sorted((loss.rank, loss.reason, loss.image.frame) for loss in reloads(output))
    assert lost == sorted((number % 2, f"died ({named})", 4) for number in range(tried)), "on one rank after the other"
    assert_launched_once(output)
    assert running(tmp_path) == ""


@pytest.mark.parametrize("rank", [0, 1])
def test_a_renderer_killed_once_costs_its_frame_in_progress_a_second_rendering_and_nothing_else(
    pattern: Pattern, tmp_path: Path, rank: int
) -> None:
    scene, output = pattern('{"frames": 16, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene) as process:
        os.kill(renderer_pid(rank_pid(output, rank)), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"warning: the renderer of rank {rank} on {os.uname().nodename} died (signal SIGKILL)" in out
    assert "reloads  once, because renderers were lost; all frames are complete" in out
    assert done_frames(output) == list(range(16)), "every frame is completed exactly once"
    takes = Counter(record.image.frame for record in records(output, "take"))
    assert sum(takes.values()) <= 17
    assert_launched_once(output)
    assert read_back(output / "test_160x90.mp4").frames == 16


@pytest.mark.slow
def test_renderers_killed_or_stopped_at_random_cost_at_most_a_second_rendering_of_their_images(tmp_path: Path) -> None:
    """The command ``python tests/support/renderer_faults.py`` does the same with many more."""
    inflict(pattern_subject(tmp_path), tmp_path, kills=8, stops=1, seed=16)


@pytest.mark.slow
def test_a_renderer_that_is_stopped_is_replaced_after_10_seconds(pattern: Pattern, tmp_path: Path) -> None:
    scene, output = pattern('{"frames": 16, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene) as process:
        os.kill(renderer_pid(rank_pid(output, 1)), signal.SIGSTOP)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "was stopped by a signal for 10 s, and was ended" in out
    assert done_frames(output) == list(range(16))
    assert_launched_once(output)
    assert running(tmp_path) == ""


def test_a_renderer_lost_while_it_opens_the_scene_is_replaced(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern('{"frames": 4, "kill_load": {"0": [1, 2], "1": [1]}, "how": "SIGSEGV"}')
    done = run("render", scene, *SMALL)
    assert done.returncode == 0, done.stderr
    assert "reloads  3 times" in done.stdout
    assert {loss.image for loss in reloads(tmp_path / "test_renders")} == {None}
    assert_launched_once(tmp_path / "test_renders")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_scene_that_always_kills_its_renderer_is_one_error_and_nothing_hangs(
    run: Run, pattern: Pattern, tmp_path: Path, rank: int
) -> None:
    scene = pattern(json.dumps({"frames": 4, "kill_load": {str(rank): [1, 2, 3]}, "how": "SIGSEGV"}))
    done = run("render", scene, *SMALL, timeout=60)
    assert done.returncode == 4
    log = tmp_path / "test_renders" / ".mpirender" / f"rank-000{rank}.log"
    lost = "3 renderers in a row were lost; the last one died (signal SIGSEGV)"
    assert done.stderr == f"mpirender: error: {lost}; see {log}\n"
    assert_launched_once(tmp_path / "test_renders")
    assert running(tmp_path) == ""


@pytest.mark.parametrize("schedule", ["interleaved", "dynamic"])
def test_a_rank_whose_renderers_cannot_load_the_scene_again_gives_up_and_the_others_render_its_frames(
    run: Run, pattern: Pattern, tmp_path: Path, schedule: str
) -> None:
    scene = pattern('{"frames": 12, "seconds": 0.1, "kill_load": {"1": [2, 3, 4]}, "how": "SIGSEGV"}')
    done = run("render", scene, *SMALL, "--renew-renderer", 2, "--schedule", schedule)
    output = tmp_path / "test_renders"
    assert done.returncode == 0, done.stderr
    assert done_frames(output) == list(range(12))
    assert len([record for record in records(output, "done") if record.rank == 1]) == 2
    assert "3 renderers in a row were lost" in records(output, "fail")[0].reason
    assert all(fail.blameless for fail in records(output, "fail"))
    if schedule == "dynamic":
        assert len(records(output, "fail")) == 1, "it takes no more frames"
    assert_launched_once(output)


def test_renewed_renderers_render_the_same_frames(run: Run, pattern: Pattern, rendered: Path, tmp_path: Path) -> None:
    done = run("render", pattern(), *SMALL, "--renew-renderer", 1, "--output", tmp_path / "renewed")
    assert done.returncode == 0, done.stderr
    assert "reloads" not in done.stdout
    assert "renewed" not in done.stdout.replace(str(tmp_path / "renewed"), "")
    planned = reloads(tmp_path / "renewed")
    assert [one.reason for one in planned] == ["renewed after 1 image (--renew-renderer)"] * 4
    assert all(one.planned for one in planned)
    digests = [
        {one.image: one.digest for one in records(output, "done")} for output in (rendered, tmp_path / "renewed")
    ]
    assert digests[0] == digests[1]
