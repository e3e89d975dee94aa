"""Refuse scripts that build another scene in each rank, and find their files from any folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processes import Run

pytestmark = pytest.mark.slow

BUILD = """
import os, tempfile
from paraview.simple import *
{before}
view = CreateView("RenderView")
view.ViewSize = [160, 90]
Show(source, view)
GetAnimationScene().NumberOfFrames = 3
"""


def test_a_scene_that_depends_on_the_process_is_refused_with_the_property(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    script.write_text(BUILD.format(before="source = Cone(registrationName='Cone1', Height=os.getpid())"))
    command = ("render", script, "--size", "160x90", "--movie", "none")
    done = run(*command, "--ranks", 3)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    place = r"own\.py: the script builds another scene in each rank: Cone1\.Height is \d+ in rank 0 and \d+ in rank 1"
    assert re.search(place, done.stderr), done.stderr
    assert run(*command, "--ranks", 1).returncode == 0


def test_copies_of_the_same_data_under_other_names_are_only_a_warning(run: Run, tmp_path: Path) -> None:
    before = "path = os.path.join(tempfile.mkdtemp(), 'data.csv')\n"
    before += "open(path, 'w').write('x,y,z\\n0,0,0\\n1,1,1\\n')\n"
    before += "source = TableToPoints(Input=CSVReader(FileName=[path]), XColumn='x', YColumn='y', ZColumn='z')"
    (tmp_path / "copies.py").write_text(BUILD.format(before=before))
    done = run("render", tmp_path / "copies.py", "--size", "160x90", "--movie", "none", "--ranks", 2)
    assert done.returncode == 0, done.stderr
    assert (
        "warning: the scene that copies.py builds reads other files in each rank: CSVReader1.FileName is" in done.stdout
    )


def test_a_relative_path_used_from_another_folder_is_named_with_the_folder(run: Run, tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "data.csv").write_text("x,y,z\n0,0,0\n1,1,1\n")
    before = "source = TableToPoints(Input=CSVReader(registrationName='table', FileName=['data.csv']), XColumn='x', "
    before += "YColumn='y', ZColumn='z')"
    (scripts / "relative.py").write_text(BUILD.format(before=before))
    done = run("render", "scripts/relative.py", "--size", "160x90", "--movie", "none", "--ranks", 2)
    assert done.returncode == 2
    assert "reader 'table': data.csv does not exist" in done.stderr
    assert f"found next to the script: run mpirender in {scripts}" in done.stderr
