"""Render parameter studies with ParaView."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from movies import read_back
from processes import Run


@pytest.mark.slow
def test_with_frames_each_combination_has_a_movie_of_its_own(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--vary", "Contour1.Isosurfaces=100,160", "--frames", "0-2", "--size", SIZE, "--ranks", 2)
    done = run("study", scenes.state("cut"), *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for value in (100, 160):
        assert read_back(tmp_path / "out" / f"cut_Isosurfaces={value}_{SIZE}.mp4").frames == 3
    rows = list(csv.DictReader((tmp_path / "out" / "cut.cdb" / "data.csv").read_text().splitlines()))
    assert [(row["Isosurfaces"], row["frame"]) for row in rows] == [(v, f) for v in ("100", "160") for f in "012"]
    assert all((tmp_path / "out" / "cut.cdb" / row["FILE"]).is_file() for row in rows)
    assert len({row["time"] for row in rows}) == 3
    state = scenes.state("cut")
    words = ("--set", "Contour1.Isosurfaces=160", "--size", SIZE, "--movie", "none", "--ranks", 1)
    alone = run("render", state, *words, "--output", tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    assert_same_pictures(tmp_path / "out" / "Isosurfaces=160" / SIZE, tmp_path / "alone" / SIZE)


@pytest.mark.slow
def test_every_value_is_tried_before_anything_is_rendered(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--vary", "GeometryRepresentation1.Opacity=0.5,2", "--vary", "Slice1.SliceType=Plane,Ball")
    done = run("study", scenes.state("cut"), *words, "--size", SIZE, "--ranks", 1, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "--vary GeometryRepresentation1.Opacity=2: '2' is not a valid value" in done.stderr
    assert "--vary Slice1.SliceType=Ball: 'Ball' is not a valid value" in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))
