"""``--set NAME.PROPERTY=VALUE``: the same pictures as by hand, and a line for each name and value that is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from mpirender.engines.paraview import overrides
from mpirender.engines.paraview.overrides import Refused
from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import journal
from processes import Run
from repository import SUPPORT

NAMES = ("Cone1", "can.ex2", "can.ex2.part", "RenderView1")


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("Cone1.Resolution=32", "Cone1", "Resolution"),
        ("can.ex2.Displ=1", "can.ex2", "Displ"),
        ("can.ex2.part.Displ=1", "can.ex2.part", "Displ"),
        ("Cone1.ClipType.Origin=[0,0,1]", "Cone1", "ClipType.Origin"),
        ("RenderView1.Label=a=b.c", "RenderView1", "Label"),
    ],
)
def test_names_and_properties_may_hold_dots(text: str, name: str, path: str) -> None:
    assert overrides.split(text, NAMES) == (name, path)


def test_a_name_that_is_not_there_is_answered_with_the_near_one() -> None:
    with pytest.raises(Refused, match=r"no object called 'Cone2', did you mean 'Cone1'\?; it has: Cone1, can.ex2"):
        overrides.split("Cone2.Resolution=3", NAMES)


def test_of_very_many_names_the_first_are_told() -> None:
    assert overrides.listed([f"Cone{number}" for number in range(30)]).endswith("Cone23 and 6 more")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32", 32), ("-0.5", -0.5), ("[100,130]", [100, 130]), ("('POINTS', 'RTData')", ("POINTS", "RTData")),
        ("Wireframe", "Wireframe"), ("Surface With Edges", "Surface With Edges"), ("'32'", "32"), ("", ""),
        ("1;2", "1;2"), ("[1,", "[1,"), ("__import__('os')", "__import__('os')"),
    ],
)  # fmt: skip
def test_values_are_read_as_python_does_and_never_run(text: str, value: object) -> None:
    assert overrides.value_of(text) == value


@pytest.mark.parametrize("text", ["Cone1", "Cone1=3", "=3", ".=3", "Cone1.=3", ".Resolution=3"])
def test_what_is_no_assignment_is_told_at_once(text: str) -> None:
    with pytest.raises(UsageError, match=r"--set .*: write NAME\.PROPERTY=VALUE"):
        RenderJob("x.pvsm", overrides=(text,))


def test_they_are_part_of_the_job_its_command_and_its_pixels() -> None:
    job = RenderJob("x.pvsm", overrides={"Cone1.Resolution": 32, "Text1.Text": "a b", "Slice1.Origin": [0, 1]})
    assert job.overrides == ("Cone1.Resolution=32", "Text1.Text=a b", "Slice1.Origin=[0, 1]")
    assert RenderJob.from_json(job.to_json()) == job
    words = job.arguments()
    assert [words[at + 1] for at, word in enumerate(words) if word == "--set"] == list(job.overrides)
    assert job.pixel_options() != RenderJob("x.pvsm").pixel_options()


def test_a_pattern_has_nothing_to_set(run: Run, pattern) -> None:
    done = run("render", pattern(), "--set", "Cone1.Resolution=3", "--set", "Cone1")
    assert done.returncode == 2
    assert "--set is of no use for test patterns" in done.stderr
    assert "write NAME.PROPERTY=VALUE" in done.stderr


# What is set, and the same by hand.
SET = {
    "Slice1.SliceType.Origin=[2,1,0]": 'simple.FindSource("Slice1").SliceType.Origin = [2, 1, 0]',
    "Contour1.Isosurfaces=[120,180]": 'simple.FindSource("Contour1").Isosurfaces = [120, 180]',
    "can.ex2.Maximum=220": 'simple.FindSource("can.ex2").Maximum = 220',
    "GeometryRepresentation2.Representation=Surface With Edges": (
        'simple.GetDisplayProperties(simple.FindSource("Contour1")).Representation = "Surface With Edges"'
    ),
    "GeometryRepresentation1.Opacity=0.4": 'simple.GetDisplayProperties(simple.FindSource("Slice1")).Opacity = 0.4',
    "RenderView1.UseColorPaletteForBackground=0": "simple.GetActiveView().UseColorPaletteForBackground = 0",
    "RenderView1.Background=[0.1,0.3,0.2]": "simple.GetActiveView().Background = [0.1, 0.3, 0.2]",
}


@pytest.mark.slow
def test_the_pictures_are_those_of_the_same_things_done_by_hand(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    state, output = scenes.state("cut"), tmp_path / "out"
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE, f"first={'; '.join(SET.values())!r}")
    command = ("render", state, "--size", SIZE, "--movie", "none", "--output", output, "--ranks", 2)
    assert run(*command, "--frames", 0).returncode == 0
    words = [word for text in SET for word in ("--set", text)]
    done = run(*command, *words)
    assert done.returncode == 0, done.stderr
    assert "1 image here is made with other options; rendered again" in done.stdout
    assert_same_pictures(output / SIZE, tmp_path / "reference")
    again = run(*command, *words)
    assert "3 kept from before" in again.stdout
    records = journal.read(output / ".mpirender")
    assert sum(record["event"] == "done" for record in records) == 1 + 3


WRONG = {
    "Contour1.Isosurface=[3]": "there is no property 'Isosurface', did you mean 'Isosurfaces'?; it has: ",
    "RenderView1.Backgruond=1": "there is no property 'Backgruond', did you mean 'Background'?; those of Render View ",
    "Slice1.SliceKind.Origin=[0,0,0]": "there is no property 'SliceKind'; it has: SliceOffsetValues, SliceType, ",
    "Slice1.SliceType.Origin=[0,0]": "it does not take '[0,0]'; it takes 3 values, [A, B, …]; in the state it is [0.0",
    "Slice1.SliceType.Origin=up": "it does not take 'up'; it takes 3 values",
    "Slice1.SliceType=Ball": "it does not take 'Ball'; it takes Box, Cylinder, Plane, Sphere; in the state it is Plane",
    "can.ex2.SubsampleRate=fast": "it does not take 'fast'; it takes whole numbers from 1; in the state it is 1",
    "can.ex2.SubsampleRate=-4": "it does not take '-4'; it takes whole numbers from 1; in the state it is 1",
    "GeometryRepresentation1.Representation=Solid": "it does not take 'Solid'; it takes 3D Glyphs, ",
    "GeometryRepresentation1.Opacity=2": "it does not take '2'; it takes numbers from 0 to 1; in the state it is 1.0",
}


@pytest.mark.slow
def test_what_is_not_there_and_what_does_not_fit_is_told_all_at_once(
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
def test_a_name_is_told_before_any_rank_starts_and_inspect_lists_them(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    state = scenes.state("cut")
    done = run("render", state, "--set", "Contuor1.Isosurfaces=[3]", "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "the scene has no object called 'Contuor1', did you mean 'Contour1'?" in done.stderr
    assert not (tmp_path / "out").exists()
    seen = json.loads(run("inspect", state, "--json").stdout)
    assert ["Contour1", "Contour"] in seen["objects"]
    assert "Slice1 (Cut)" in run("inspect", state).stdout


@pytest.mark.slow
def test_an_array_that_is_not_in_the_data_is_told(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--set", "Contour1.ContourBy=['POINTS','RTDate']", "--size", SIZE, "--output", tmp_path / "out")
    done = run("render", scenes.state("cut"), *words)
    assert done.returncode == 2, done.stderr
    assert "there is no array 'RTDate', did you mean 'RTData'?; it has: RTData" in done.stderr


@pytest.mark.slow
def test_what_a_track_changes_is_not_set(run: Run, scenes: SimpleNamespace) -> None:
    done = run("render", scenes.state("annotated"), "--set", "Contour1.Isosurfaces=[100]", "--size", SIZE)
    assert done.returncode == 2
    assert "--set Contour1.Isosurfaces=[100]: a track of the animation changes it at every frame" in done.stderr
    done = run("render", scenes.state("orbit"), "--set", "RenderView1.CameraPosition=[1,2,3]", "--size", SIZE)
    assert (done.returncode, "a track of the animation changes it" in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_the_number_of_frames_is_a_property_too(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    words = ("--set", "AnimationScene1.NumberOfFrames=5", "--frames", 4, "--size", SIZE, "--movie", "none")
    done = run("render", scenes.state("cut"), *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / SIZE / "frame_000004.png").is_file()
