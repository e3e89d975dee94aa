"""Python as a scene: a state saved as .py and scripts that people write, run by each rank without what they write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import LARGEST
from mpirender.supervisor import preflight
from processes import Run

# As people write them: pictures of its own, a look at a window, data written beside it.
SCRIPT = """
from paraview.simple import *
import helper
cone = Cone(registrationName="Cone1", Resolution=helper.SIDES)
view = GetActiveViewOrCreate("RenderView")
view.ViewSize = [640, 400]
Show(cone, view)
Render()
view.AxesGrid.Visibility = 1
scene = GetAnimationScene()
scene.NumberOfFrames = 3
track = GetAnimationTrack("Height", proxy=cone)
track.KeyFrames = [CompositeKeyFrame(KeyTime=0, KeyValues=[1]), CompositeKeyFrame(KeyTime=1, KeyValues=[3])]
Render()
{more}
if __name__ == "__main__":
    SaveScreenshot("own.png", view)
    SaveAnimation("own_.png", view)
    SaveData("own.vtp", cone)
    Interact()
"""
BY_HAND = """
SaveAnimation({folder!r} + "/frame.png", view, ImageResolution={sides}, FrameWindow=[0, 9999])
"""


@pytest.fixture
def script(tmp_path: Path):
    def write(more: str = "", name: str = "cone.py") -> Path:
        (tmp_path / "helper.py").write_text("SIDES = 7\n")
        path = tmp_path / name
        path.write_text(SCRIPT.format(more=more))
        return path

    return write


def test_its_text_tells_what_is_left_out_and_nothing_of_it_runs(run: Run, script, tmp_path: Path) -> None:
    path = script(f"open({str(tmp_path / 'ran')!r}, 'w')")
    seen = json.loads(run("inspect", path, "--pvbatch", "/bin/false", "--json").stdout)
    writes = "SaveScreenshot (line 17), SaveAnimation (line 18), SaveData (line 19), Interact (line 20)"
    told = f"without its Render (line 14), {writes}"
    assert told in seen["warnings"][0]
    assert not (tmp_path / "ran").exists()
    assert "known when the script has run" in run("inspect", path).stdout


def test_what_is_no_python_is_told_with_its_line(run: Run, script) -> None:
    done = run("render", script("scene = = 3"))
    assert done.returncode == 2
    assert "cone.py: line 15: not Python" in done.stderr


def test_where_its_data_are_is_its_own_business(run: Run, script, tmp_path: Path) -> None:
    done = run("render", script(), "--data-dir", tmp_path)
    assert (done.returncode, "--set READER.FileName=PATH" in done.stderr) == (2, True), done.stderr


def test_how_many_images_there_are_is_not_known_before(script) -> None:
    job = RenderJob(script())
    inspection = preflight.inspect(job)
    assert preflight.images_of(job, inspection) == LARGEST
    assert preflight.images_of(RenderJob(script(), frames="0-2", sizes=("HD", "4K")), inspection) == 6


@pytest.mark.slow
def test_the_pictures_are_those_of_the_script_run_in_pvpython(run: Run, script, pvbatch: Run, tmp_path: Path) -> None:
    (tmp_path / "hand").mkdir()
    sides = [int(side) for side in SIZE.split("x")]
    by_hand = BY_HAND.format(folder=str(tmp_path / "hand"), sides=sides)
    hand = script("", "hand.py")
    hand.write_text(SCRIPT.format(more="").partition("if __name__")[0] + by_hand)
    pvbatch(hand)
    output = tmp_path / "out"
    done = run("render", script(), "--size", SIZE, "--ranks", 2, "--output", output)
    assert done.returncode == 0, done.stderr
    assert "without its Render (line 14), SaveScreenshot (line 17)" in done.stdout
    assert_same_pictures(output / SIZE, tmp_path / "hand")
    assert not list(tmp_path.glob("own*"))
    again = run("render", script(), "--size", SIZE, "--ranks", 2, "--output", output)
    assert "3 kept from before" in again.stdout
    words = ("--set", "Cone1.Radius=1", "--camera", "orbit:2", "--size", SIZE, "--output", output)
    turned = run("render", script(), *words)
    assert turned.returncode == 0, turned.stderr
    assert "2 rendered" in turned.stdout


@pytest.mark.slow
def test_a_state_that_paraview_saved_as_python_is_the_same_as_its_pvsm(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """But for how it is played, which ParaView 5.11 does not write down there."""
    saver = tmp_path / "saver.py"
    saver.write_text(
        "import sys\nfrom paraview import simple, smstate\nsimple.LoadState(sys.argv[1])\n"
        "open(sys.argv[2], 'w').write(smstate.get_state())\n"
    )
    state = tmp_path / "series.py"
    pvbatch(saver, scenes.state("series"), state)
    words = ("--set", "AnimationScene1.PlayMode=Snap To TimeSteps", "--size", SIZE, "--movie", "none", "--ranks", 2)
    done = run("render", state, *words, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("series"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("1 / 0", "cone.py: line 15: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no data today')", "cone.py: the script ends with 'no data today'"),
        ("Delete(cone); Delete(view); import sys; sys.exit()", "the state holds no view"),
        ("Show(XMLPolyDataReader(registrationName='gone', FileName='/no/where.vtp'), view)",
         "reader 'gone' reads /no/where.vtp, which is not here; mend the script, or --set gone.FileName=PATH"),
    ],
)  # fmt: skip
def test_a_script_that_fails_is_one_line_and_nothing_is_rendered(
    run: Run, script, tmp_path: Path, more: str, line: str
) -> None:
    done = run("render", script(more), "--size", SIZE, "--ranks", 2, "--output", tmp_path / "out")
    assert done.returncode == 2, done.stderr
    assert line in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))


@pytest.mark.slow
def test_changed_data_of_a_script_are_noticed(run: Run, script, scenes: SimpleNamespace, tmp_path: Path) -> None:
    data = tmp_path / "shape.vtp"
    shutil.copy(scenes.folder / "data" / "shape_0.vtp", data)
    path = script(f"Show(XMLPolyDataReader(FileName={str(data)!r}), view)")
    command = ("render", path, "--size", SIZE, "--frames", 1, "--output", tmp_path / "out")
    assert run(*command).returncode == 0
    shutil.copy(scenes.folder / "data" / "shape_5.vtp", data)
    assert "1 image here is made with other data files; rendered again" in run(*command).stdout
