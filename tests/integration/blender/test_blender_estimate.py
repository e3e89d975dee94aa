"""Estimate a Blender file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from images import assert_same_pictures
from processes import Run
from records import done_frames

pytestmark = pytest.mark.slow


def test_the_frames_of_an_estimate_are_those_of_the_run(run: Run, blends: SimpleNamespace, tmp_path: Path) -> None:
    words = (blends.file("shot"), "--size", "160x90", "--ranks", 2, "--output", tmp_path / "out")
    done = run("estimate", *words, "--sample-frames", 3)
    assert done.returncode == 0, done.stderr
    assert "ranks fit on a node" in done.stdout
    assert len(done_frames(tmp_path / "out")) == 3
    again = run("render", *words)
    assert again.returncode == 0, again.stderr
    assert "3 kept from before" in again.stdout
    assert_same_pictures(tmp_path / "out" / "160x90", blends.animate(blends.file("shot"), tmp_path / "reference"))
