"""Scripts in a Blender file: handlers see what they see in Blender's animation, and frames with state are in order."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from blender_runs import rendered
from images import assert_same_pictures
from processes import Run

pytestmark = pytest.mark.slow
SIZE = "160x90"


def logs(of: Path) -> list[list[str]]:
    """Return what handlers wrote down in each process."""
    return [path.read_text().splitlines() for path in sorted(of.parent.glob(f"{of.name}-*"))]


def test_handlers_see_each_frame_once_and_beginning_and_end_once_in_each_renderer(
    run: Run, blends: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial for order dependence runs them, too: in processes that do not end with ``render_complete``."""
    monkeypatch.setenv("HOOKS", str(tmp_path / "own"))
    blends.animate(blends.file("hooks"), tmp_path / "images", scripts=True)
    (own,) = logs(tmp_path / "own")
    assert own.pop() == "frame_change_post 1 []", "Blender goes back to where it was"
    for ranks in (1, 3):
        words = ("--allow-scripts", "--ranks", ranks, "--movie", "none", "--output", tmp_path / str(ranks))
        rendered(run, blends.file("hooks"), *words, env={**os.environ, "HOOKS": str(tmp_path / f"on{ranks}")})
        seen = [log for log in logs(tmp_path / f"on{ranks}") if log[-1].startswith("render_complete")]
        assert len(seen) == ranks
        assert all([log[0], *log[-1:]] == [own[0], own[-1]] for log in seen)
        assert sorted(line for log in seen for line in log[1:-1]) == sorted(own[1:-1])


@pytest.mark.parametrize("schedule", ["contiguous", "interleaved"])
def test_frames_that_depend_on_those_before_are_rendered_in_order(
    run: Run, blends: SimpleNamespace, tmp_path: Path, schedule: str
) -> None:
    own = blends.animate(blends.file("adds"), tmp_path / "own", scripts=True)
    words = ("--allow-scripts", "--ranks", 2, "--schedule", schedule, "--movie", "none")
    said = rendered(run, blends.file("adds"), *words)
    assert "scripts of the file keep something from frame to frame, so each rank also renders" in said
    assert_same_pictures(tmp_path / "adds_renders" / SIZE, own)
    last = tmp_path / "adds_renders" / SIZE / "frame_000004.png"
    last.unlink()
    assert "1 rendered, 3 kept" in rendered(run, blends.file("adds"), *words)
    assert_same_pictures(tmp_path / "adds_renders" / SIZE, own)
    done = run("render", blends.file("adds"), *words, "--size", "48x27", "--size", "96x54")
    assert (done.returncode, "only one size at a time" in done.stderr) == (2, True), done.stderr


def test_frames_that_are_not_reproducible_are_named(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    said = rendered(run, blends.file("clock"), "--allow-scripts", "--ranks", 1, "--frames", "1")
    assert "scripts of the file are not reproducible: frame 3 differs from one try to the next" in said
    done = run("render", blends.file("counts"), "--allow-scripts", "--ranks", 1)
    told = "scripts of the file make frame 3 depend on how often Blender computes the scene"
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
