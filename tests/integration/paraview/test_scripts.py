"""Render Python scripts: states saved as .py, and scripts written by users."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from processes import Run


@pytest.mark.slow
def test_a_state_that_paraview_saved_as_python_is_the_same_as_its_pvsm(
    run: Run, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    """ParaView 5.11 does not save the play mode in .py states, so the test sets it."""
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
    assert "scripts in this scene run with your permissions: the scene itself (a Python script); --no-" in done.stdout
    assert_same_pictures(tmp_path / "out" / SIZE, scenes.frames("series"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("1 / 0", "cone.py: line 15: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no data today')", "cone.py: the script exited with 'no data today'"),
        ("Delete(cone); Delete(view); import sys; sys.exit()", "leaves no view, so there is nothing to render"),
        ("Show(XMLPolyDataReader(registrationName='gone', FileName='/no/where.vtp'), view)",
         "reader 'gone': /no/where.vtp does not exist; correct the script, or use --set gone.FileName=PATH"),
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
    command = ("render", path, "--size", SIZE, "--frames", 1, "--ranks", 1, "--output", tmp_path / "out")
    assert run(*command).returncode == 0
    shutil.copy(scenes.folder / "data" / "shape_5.vtp", data)
    assert f"1 image here is made from data that changed since: {data}; rendered again" in run(*command).stdout
