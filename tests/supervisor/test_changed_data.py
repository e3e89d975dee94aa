"""Render again the frames whose own data files have changed, and only those."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from images import pixels
from processes import Pattern, Run
from records import done_frames, records
from runs import SMALL, started

OLD = time.time() - 1000
COUNT = 4
SCENE = '{"frames": 4, "data": ["d0", "d1", "d1", "d3"], "seconds": %s}'


@pytest.fixture
def scene(pattern: Pattern, tmp_path: Path) -> Path:
    """Write a pattern whose frames show the numbers in data files; frames 1 and 2 share one."""
    for number in (0, 1, 3):
        write(tmp_path / f"d{number}", number)
    return pattern(SCENE % 0.01)


def write(path: Path, number: int) -> None:
    path.write_text(str(number))
    os.utime(path, (OLD, OLD + number))


def frame(tmp_path: Path, number: int) -> Path:
    return tmp_path / "test_renders" / "160x90" / f"frame_{number:06d}.png"


def test_only_frames_of_changed_data_are_rendered_again(run: Run, scene: Path, tmp_path: Path) -> None:
    assert "4 rendered" in run("render", scene, *SMALL).stdout
    assert (pixels(frame(tmp_path, 1)) == pixels(frame(tmp_path, 2))).all()
    before = pixels(frame(tmp_path, 1))
    write(tmp_path / "d1", 8)
    again = run("render", scene, *SMALL)
    changed = f"warning: 2 images here are made from data that changed since: {tmp_path}/d1; rendered again"
    assert changed in again.stdout, again.stdout
    assert "2 rendered, 2 kept from before" in again.stdout
    assert done_frames(tmp_path / "test_renders") == [0, 1, 1, 2, 2, 3]
    assert (pixels(frame(tmp_path, 1)) != before).any()
    assert "0 rendered, 4 kept from before" in run("render", scene, *SMALL).stdout


def test_frames_whose_data_files_are_not_known_any_more_are_rendered_again(
    run: Run, scene: Path, tmp_path: Path
) -> None:
    assert run("render", scene, *SMALL).returncode == 0
    (event,) = (one for one in records(tmp_path / "test_renders", "files") if one.files[0].path.endswith("d3"))
    journal = tmp_path / "test_renders" / ".mpirender" / f"rank-{event.rank:04d}.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"/d3", b"/dx"))
    again = run("render", scene, *SMALL)
    assert "warning: 1 image here is made from data whose records are damaged; rendered again" in again.stdout
    assert "1 rendered, 3 kept from before" in again.stdout


def test_a_folder_that_was_copied_with_its_times_is_complete(run: Run, scene: Path, tmp_path: Path) -> None:
    assert run("render", scene, *SMALL).returncode == 0
    shutil.move(tmp_path / "d1", tmp_path / "away")
    shutil.copy2(tmp_path / "away", tmp_path / "d1")
    assert "0 rendered, 4 kept from before" in run("render", scene, *SMALL).stdout


def test_frames_of_data_that_change_meanwhile_are_rendered_again(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    for number in (0, 1, 3):
        write(tmp_path / f"d{number}", number)
    scene = pattern(SCENE % 0.7)
    with started(scene, "--size", "160x90", "--ranks", 1, frames=2) as process:
        for number in (0, 1, 3):
            write(tmp_path / f"d{number}", number + 5)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    output = tmp_path / "test_renders"
    assert f"{tmp_path}/d0 changed meanwhile" in records(output, "death")[0].reason
    assert done_frames(output).count(0) == 2
    found = [pixels(frame(tmp_path, number)) for number in range(COUNT)]
    assert run("render", scene, "--size", "160x90", "--ranks", 1, "--output", "fresh").returncode == 0
    for number, picture in enumerate(found):
        assert (picture == pixels(tmp_path / "fresh" / "160x90" / f"frame_{number:06d}.png")).all()


def test_data_that_keep_changing_make_no_movie(run: Run, scene: Path, tmp_path: Path) -> None:
    """The number is another file for each process that looks at it, so that no look finds it unchanged."""
    (tmp_path / "d3").unlink()
    (tmp_path / "d3").symlink_to("/proc/self/oom_score")
    done = run("render", scene, *SMALL)
    assert done.returncode == 4
    assert f"frames 3: {tmp_path}/d3 changed meanwhile" in done.stderr, done.stderr
    assert not list((tmp_path / "test_renders").glob("*.mp4"))
