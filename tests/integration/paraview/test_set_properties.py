"""Set properties of a scene with --set, and report every unknown name and invalid value."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE
from processes import Run

WRONG = {
    "Contour1.Isosurface=[3]": "there is no property 'Isosurface', did you mean 'Isosurfaces'?; it has: ",
    "RenderView1.Backgruond=1": "there is no property 'Backgruond', did you mean 'Background'?; "
    "similar properties of Render View: ",
    "Slice1.SliceKind.Origin=[0,0,0]": "there is no property 'SliceKind'; it has: SliceOffsetValues, SliceType, ",
    "Slice1.SliceType.Origin=[0,0]": "'[0,0]' is not a valid value; it accepts 3 values, [A, B, …]; "
    "in the state it is [0.0",
    "Slice1.SliceType.Origin=up": "'up' is not a valid value; it accepts 3 values",
    "Slice1.SliceType=Ball": "'Ball' is not a valid value; it accepts Box, Cylinder, Plane, Sphere; "
    "in the state it is Plane",
    "can.ex2.SubsampleRate=fast": "'fast' is not a valid value; it accepts whole numbers from 1; in the state it is 1",
    "can.ex2.SubsampleRate=-4": "'-4' is not a valid value; it accepts whole numbers from 1; in the state it is 1",
    "GeometryRepresentation1.Representation=Solid": "'Solid' is not a valid value; it accepts 3D Glyphs, ",
    "GeometryRepresentation1.Opacity=2": "'2' is not a valid value; it accepts numbers from 0 to 1; "
    "in the state it is 1.0",
}


@pytest.mark.slow
def test_unknown_names_and_invalid_values_are_reported_together(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    words = [word for text in WRONG for word in ("--set", text)]
    done = run("render", scenes.state("cut"), *words, "--size", SIZE, "--output", tmp_path / "out", "--ranks", 2)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.splitlines()
    for (text, reason), line in zip(WRONG.items(), lines, strict=True):
        assert line.startswith(f"mpirender: error: --set {text}: {reason}"), line
    assert not list((tmp_path / "out").rglob("*.png"))


@pytest.mark.slow
def test_an_unknown_name_is_reported_before_any_rank_starts_and_inspect_lists_the_names(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    state = scenes.state("cut")
    done = run("render", state, "--set", "Contuor1.Isosurfaces=[3]", "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "the scene has no object named 'Contuor1', did you mean 'Contour1'?" in done.stderr
    assert not (tmp_path / "out").exists()
    seen = json.loads(run("inspect", state, "--json").stdout)
    assert ["Contour1", "Contour"] in seen["objects"]
    assert "Slice1 (Cut)" in run("inspect", state).stdout


@pytest.mark.slow
def test_an_array_that_is_not_in_the_data_is_reported(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--set", "Contour1.ContourBy=['POINTS','RTDate']", "--size", SIZE, "--output", tmp_path / "out")
    done = run("render", scenes.state("cut"), *words, "--ranks", 1)
    assert done.returncode == 2, done.stderr
    assert "there is no array 'RTDate', did you mean 'RTData'?; it has: RTData" in done.stderr


@pytest.mark.slow
def test_what_a_track_changes_is_not_set(run: Run, scenes: SimpleNamespace) -> None:
    done = run("render", scenes.state("annotated"), "--set", "Contour1.Isosurfaces=[100]", "--size", SIZE)
    assert done.returncode == 2
    assert "--set Contour1.Isosurfaces=[100]: an animation track sets it at every frame" in done.stderr
    done = run("render", scenes.state("orbit"), "--set", "RenderView1.CameraPosition=[1,2,3]", "--size", SIZE)
    assert (done.returncode, "an animation track sets it" in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_the_number_of_frames_is_a_property_too(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--set", "AnimationScene1.NumberOfFrames=5", "--frames", 4, "--size", SIZE, "--movie", "none")
    done = run("render", scenes.state("cut"), *words, "--ranks", 1, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / SIZE / "frame_000004.png").is_file()
