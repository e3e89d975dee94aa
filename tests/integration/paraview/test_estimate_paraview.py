"""Estimate real ParaView scenes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from processes import Run
from records import done_frames, records

pytestmark = pytest.mark.slow


def test_the_frames_of_an_estimate_are_those_of_the_run(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = (scenes.state("series"), "--size", SIZE, "--ranks", 2, "--output", tmp_path / "out")
    done = run("estimate", *words, "--sample-frames", 4, "--alternatives", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "--ranks 1" in {one["option"] for one in found["advice"]}
    assert found["memory"] > 50e6
    assert found["image_bytes"] > 0
    assert all(part > 0 for part in found["rows"][0]["prediction"].values())
    before = done_frames(tmp_path / "out")
    assert set(found["sampled"]) <= set(before)
    again = run("render", *words)
    assert again.returncode == 0, again.stderr
    assert f"{len(before)} kept from before" in again.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("series"))


def test_ranges_over_all_frames_are_those_of_the_run(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = (scenes.state("annotated"), "--size", SIZE, "--ranks", 2, "--color-range", "global", "--movie", "none")
    done = run("estimate", *words, "--output", tmp_path / "out", "--sample-frames", 2)
    assert done.returncode == 0, done.stderr
    again = run("render", *words, "--output", tmp_path / "out")
    assert "2 kept from before" in again.stdout
    assert run("render", *words, "--output", tmp_path / "reference", "-q").returncode == 0
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference" / SIZE)


def test_frames_that_depend_on_earlier_ones_are_the_first(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = (scenes.state("flow"), "--size", SIZE, "--ranks", 2, "--output", tmp_path / "out", "--movie", "none")
    done = run("estimate", *words, "--sample-frames", 3)
    assert done.returncode == 0, done.stderr
    assert "frames 0-2 are done" in done.stdout
    assert "note  each rank also computes the frames before its own" in done.stdout
    again = run("render", *words)
    assert "3 kept from before" in again.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("flow"))
    assert len(records(tmp_path / "out", "done")) == len(list((tmp_path / "out" / SIZE).iterdir()))
