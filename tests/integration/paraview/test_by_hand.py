"""Change a scene with options, and compare with the same change made in ParaView 5.11 and 6.1 itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures, pixels
from mpirender.run_folder import events, journal
from paraview_scripts import SCRIPT
from processes import Run
from repository import SUPPORT

pytestmark = pytest.mark.slow


@pytest.fixture(params=["5.11", "6.1"])
def paraview(request: pytest.FixtureRequest) -> str:
    """Return the version of the ParaView that renders."""
    return request.param


@pytest.fixture
def run(paraview: str, run: Run, request: pytest.FixtureRequest) -> Run:
    return run if paraview == "5.11" else request.getfixturevalue("run61")


@pytest.fixture
def pvbatch(paraview: str, pvbatch: Run, request: pytest.FixtureRequest) -> Run:
    return pvbatch if paraview == "5.11" else request.getfixturevalue("pvbatch61")


@pytest.fixture
def scenes(paraview: str, scenes: SimpleNamespace, request: pytest.FixtureRequest) -> SimpleNamespace:
    return scenes if paraview == "5.11" else request.getfixturevalue("scenes61")


SAVE_ANIMATION = """
SaveAnimation({folder!r} + "/frame.png", view, ImageResolution={sides}, FrameWindow=[0, 9999])
"""


def test_the_images_are_those_of_the_script_run_in_pvpython(run: Run, script, pvbatch: Run, tmp_path: Path) -> None:
    (tmp_path / "hand").mkdir()
    sides = [int(side) for side in SIZE.split("x")]
    by_hand = SAVE_ANIMATION.format(folder=str(tmp_path / "hand"), sides=sides)
    hand = script("", "hand.py")
    hand.write_text(SCRIPT.format(more="").partition("if __name__")[0] + by_hand)
    pvbatch(hand)
    output = tmp_path / "out"
    done = run("render", script(), "--size", SIZE, "--ranks", 2, "--output", output)
    assert done.returncode == 0, done.stderr
    assert "without Render (line 14), SaveScreenshot (line 17)" in done.stdout
    assert_same_pictures(output / SIZE, tmp_path / "hand")
    assert not list(tmp_path.glob("own*"))
    again = run("render", script(), "--size", SIZE, "--ranks", 1, "--output", output)
    assert "3 kept from before" in again.stdout
    words = ("--set", "Cone1.Radius=1", "--camera", "orbit:2", "--size", SIZE, "--ranks", 1, "--output", output)
    turned = run("render", script(), *words)
    assert turned.returncode == 0, turned.stderr
    assert "2 rendered" in turned.stdout


# Each --set option, and the equivalent ParaView Python.
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


def test_the_images_are_those_of_the_same_things_done_by_hand(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    state, output = scenes.state("cut"), tmp_path / "out"
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE, f"first={'; '.join(SET.values())!r}")
    command = ("render", state, "--size", SIZE, "--movie", "none", "--output", output)
    assert run(*command, "--frames", 0, "--ranks", 1).returncode == 0
    words = [word for text in SET for word in ("--set", text)]
    done = run(*command, *words, "--ranks", 2)
    assert done.returncode == 0, done.stderr
    assert "1 image here is made with other options; rendered again" in done.stdout
    assert_same_pictures(output / SIZE, tmp_path / "reference")
    again = run(*command, *words, "--ranks", 1)
    assert "3 kept from before" in again.stdout
    records = journal.read(output / ".mpirender")
    assert sum(isinstance(record, events.Done) for record in records) == 1 + 3


# Each --color-range option, and the equivalent ParaView Python after loading the state.
BY_HAND = {
    "global": """
scene, shown = simple.GetAnimationScene(), simple.GetDisplayProperties(simple.FindSource("Contour1"))
for number in (5, 4, 3, 2, 1, 0):
    scene.AnimationTime = number / 5
    shown.RescaleTransferFunctionToDataRange(number < 5)
simple.GetColorTransferFunction("RTData").AutomaticRescaleRangeMode = "Never"
""",
    "data": """
scene, shown = simple.GetAnimationScene(), simple.GetDisplayProperties(simple.FindSource("Contour1"))
scene.AnimationTime = 1
scene.AnimationTime = 0
shown.RescaleTransferFunctionToDataRange(False)
""",
    "clamp": """
simple.GetColorTransferFunction("RTData").AutomaticRescaleRangeMode = "Clamp and update every timestep"
""",
    "RTData=100,220": """
simple.GetColorTransferFunction("RTData").RescaleTransferFunction(100, 220)
""",
}


@pytest.mark.parametrize(
    ("paraview", "how"),
    [*(("5.11", how) for how in BY_HAND), ("6.1", "global"), ("6.1", "RTData=100,220")],
    indirect=["paraview"],
)
def test_the_images_are_those_of_the_same_range_by_hand(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path, how: str
) -> None:
    state = scenes.state("annotated")
    pvbatch(SUPPORT / "save_animation.py", state, tmp_path / "reference", SIZE, f"first={BY_HAND[how]!r}")
    words = ("--size", SIZE, "--movie", "none", "--ranks", 2, "--color-range", how)
    done = run("render", state, *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, tmp_path / "reference")


def test_a_still_state_is_turned_as_by_hand(run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path) -> None:
    """Includes a state with changing data: orbit:N keeps the time fixed."""
    for name, count in (("still", 5), ("annotated", 4)):
        (tmp_path / name).mkdir()
        pvbatch(SUPPORT / "turntable.py", scenes.state(name), tmp_path / name, SIZE, count)
        words = ("--camera", f"orbit:{count}", "--size", SIZE, "--movie", "none", "--ranks", 2)
        done = run("render", scenes.state(name), *words, "--output", tmp_path / f"{name}_out")
        assert done.returncode == 0, done.stderr
        assert_same_pictures(tmp_path / f"{name}_out" / SIZE, tmp_path / name)


def test_every_combination_is_the_image_made_by_hand(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """Three values times four, on two ranks. If one image is deleted, only that image is rendered again."""
    by_hand = tmp_path / "by_hand.py"
    by_hand.write_text(
        "import sys\nfrom paraview import simple\nsimple._DisableFirstRenderCameraReset()\n"
        "for value in (100, 130, 160):\n    for side in (0, 1, 2, 3):\n"
        "        simple.ResetSession()\n        simple.LoadState(sys.argv[1])\n"
        "        simple.FindSource('Contour1').Isosurfaces = [value]\n"
        "        simple.FindSource('Slice1').SliceType.Origin = [side, 0, 0]\n"
        "        view = simple.GetActiveView()\n        simple.Render(view)\n"
        "        simple.GetAnimationScene().AnimationTime = 0.5\n"
        "        simple.SaveScreenshot(f'{sys.argv[2]}/{value}_{side}.png', view, ImageResolution=[480, 270])\n"
    )
    (tmp_path / "hand").mkdir()
    pvbatch(by_hand, scenes.state("cut"), tmp_path / "hand")
    values = ("Contour1.Isosurfaces=100:160:30", "Slice1.SliceType.Origin=[0,0,0],[1,0,0],[2,0,0],[3,0,0]")
    vary = [word for text in values for word in ("--vary", text)]
    command = ("study", scenes.state("cut"), *vary, "--at", 1, "--size", SIZE)
    done = run(*command, "--ranks", 2)
    assert done.returncode == 0, done.stderr
    output = tmp_path / "cut_study"
    table = list(csv.DictReader((output / "study.csv").read_text().splitlines()))
    assert len(table) == 12
    for row in table:
        made = f"{row['Contour1.Isosurfaces']}_{row['Slice1.SliceType.Origin'][1]}.png"
        assert (pixels(output / row["image"]) == pixels(tmp_path / "hand" / made)).all(), row
    first = json.loads((output / "study.json").read_text())[0]
    assert first["values"] == {"Contour1.Isosurfaces": "100", "Slice1.SliceType.Origin": "[0,0,0]"}
    assert (first["frame"], first["image"]) == (1, f"Isosurfaces=100,Origin=0_0_0/{SIZE}/frame_000001.png")
    assert (output / "contact_sheet.png").is_file()
    assert not list(output.glob("*.mp4"))
    (output / table[5]["image"]).unlink()
    assert "1 rendered, 11 kept from before" in run(*command, "--ranks", 1).stdout
    records = journal.read(output / ".mpirender")
    assert sum(isinstance(record, events.Done) for record in records) == 13
