"""Find the numbered files that the frames of a job need and that are missing, before rendering."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from blender_runs import rendered
from images import assert_same_pictures
from processes import Run
from repository import SUPPORT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(need_bpy: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the files of make_gaps.py."""
    folder = tmp_path_factory.mktemp("gaps")
    make = [sys.executable, SUPPORT / "make_gaps.py", folder]
    done = subprocess.run(make, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_gap_in_any_sequence_is_an_error_that_names_the_first_missing_file(run: Run, folder: Path) -> None:
    done = run("render", folder / "parts" / "gaps.blend")
    assert done.returncode == 2
    parts, told = folder / "parts", sorted(line.split("; restore them")[0] for line in done.stderr.splitlines())
    lacks = "1 of 4 needed files missing or empty, the first is"
    assert told == [
        f"mpirender: error: cache 'sim': {lacks} {parts}/sim_0003.abc",
        f"mpirender: error: cache of cloth of Flag: {lacks} {parts}/blendcache_gaps/466C6167_000003_00.bphys",
        f"mpirender: error: image 'floor': {lacks} {parts}/floor.1003.png",
        f"mpirender: error: image 'leaf': {lacks} {parts}/leaf_0003.png",
        f"mpirender: error: image 'wall': {lacks} {parts}/wall_0003.png",
        f"mpirender: error: strip 'cut': {lacks} {parts}/cut_0003.png",
        f"mpirender: error: volume 'smoke': {lacks} {parts}/smoke_0003.vdb",
    ]
    done = run("render", folder / "parts" / "gaps.blend", "--frames", "1-2")
    assert re.findall("the first is (.*?);", done.stderr) == [f"{parts}/floor.1003.png"], "tiles are of all frames"


def test_frames_that_need_no_missing_file_of_a_library_are_rendered(
    run: Run, blends: SimpleNamespace, folder: Path, tmp_path: Path
) -> None:
    done = run("render", folder / "linked.blend")
    assert done.returncode == 2
    assert f"1 of 4 needed files missing or empty, the first is {folder}/parts/wall_0003.png" in done.stderr
    own = blends.animate(folder / "linked.blend", tmp_path / "own", size=(32, 16), frame_end=2)
    rendered(run, folder / "linked.blend", "--frames", "1-2", "--ranks", 2, "--movie", "none")
    assert_same_pictures(tmp_path / "linked_renders" / "32x16", own)


def test_the_numbers_of_an_animated_sequence_are_known(run: Run, folder: Path) -> None:
    """Frames 1 to 4 show images 1, 2, 4 and 4."""
    done = run("render", folder / "parts" / "keyed.blend", "--dry-run")
    assert (done.returncode, "missing" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr


def test_a_frame_whose_file_only_blender_knows_fails_and_names_it(
    run: Run, blends: SimpleNamespace, folder: Path, tmp_path: Path
) -> None:
    """A driver chooses the image: frame 2 shows image 3."""
    done = run("render", folder / "parts" / "driven.blend", "--ranks", 2)
    assert done.returncode == 4
    told = f"image 'wall': missing or empty: {folder}/parts/wall_0003.png"
    assert re.search(rf"32x16 frames 2: rank \d on \S+: {re.escape(told)}", done.stderr), done.stderr
    assert [path.name for path in (tmp_path / "driven_renders" / "32x16").iterdir()] == ["frame_000001.png"]
