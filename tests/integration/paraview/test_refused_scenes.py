"""Report one line per mistake for scenes that cannot be rendered, and find data that was moved."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from processes import Run

pytestmark = pytest.mark.slow


def test_data_that_moved_is_found_with_data_dir_and_with_file(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    state = tmp_path / "moved.pvsm"
    content = scenes.state("series").read_text().replace(f"{scenes.folder}/data/", "Y:\\Users\\me\\data\\")
    state.write_text(content)
    shutil.copytree(scenes.folder / "data", tmp_path / "elsewhere" / "data")

    lost = run("render", state, "--size", SIZE)
    assert lost.returncode == 2
    assert "reader 'shape'" in lost.stderr
    assert "--data-dir" in lost.stderr
    assert len(lost.stderr.splitlines()) == 1

    given = {
        "dir": ("--data-dir", tmp_path / "elsewhere"),
        "file": ("--file", f"shape={tmp_path}/elsewhere/data/shape_*.vtp"),
    }
    for name, option in given.items():
        words = ("--size", SIZE, "--output", tmp_path / name, "--movie", "none", "--ranks", 1)
        done = run("render", state, *option, *words)
        assert done.returncode == 0, done.stderr
        assert_same_pictures(tmp_path / name / SIZE, scenes.frames("series"))


def test_a_changed_data_file_makes_its_frames_stale(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    """The axes of the frame after it are drawn around its data."""
    folder = tmp_path / "copy"
    shutil.copytree(scenes.folder / "data", folder / "data")
    command = ("render", scenes.state("series"), "--data-dir", folder, "--size", SIZE, "--movie", "none", "--ranks", 1)
    assert "6 rendered" in run(*command).stdout
    assert "0 rendered, 6 kept" in run(*command).stdout
    os.utime(folder / "data" / "shape_3.vtp", ns=(1, 1))
    assert "2 rendered, 4 kept" in run(*command).stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--view", "Nowhere"), r"--view '?Nowhere'?.*RenderView1"),
        (("--layout", "Nowhere"), r"--layout '?Nowhere'?.*Main"),
        (("--frames", "0-2000"), r"--frames 0-2000: .*0-6"),
        (("--size", "641x359"), r"--size 641x359: ParaView cannot render this size from a view of 400x400.*640x359"),
        (("--data-dir", "/nowhere"), r"--data-dir .*/nowhere"),
        (("--file", "nothing=/etc/hosts"), r"--file .*nothing"),
    ],
)
def test_what_the_scene_does_not_have_gets_one_line(
    run: Run, scenes: SimpleNamespace, tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    done = run("render", scenes.state("orbit"), "--output", tmp_path / "out", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(line, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list((tmp_path / "out").glob("*/frame*"))


def test_all_mistakes_of_scene_and_options_are_reported_together(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    done = run(
        "render", scenes.state("orbit"), "--view", "Nowhere", "--frames", "9999", "--data-dir", "/nowhere",
        "--pvbatch", "/no/pvbatch",
    )  # fmt: skip
    assert done.returncode == 2
    assert [word in done.stderr for word in ("Nowhere", "9999", "/nowhere", "/no/pvbatch")] == [True] * 4


@pytest.mark.parametrize("kind", ["empty", "cut", "other", "binary"])
def test_a_broken_state_gets_one_line(run: Run, scenes: SimpleNamespace, tmp_path: Path, kind: str) -> None:
    content = scenes.state("orbit").read_bytes()
    broken = {"empty": b"", "cut": content[:5000], "other": b"<html></html>", "binary": bytes(range(256)) * 40}[kind]
    state = tmp_path / "broken.pvsm"
    state.write_bytes(broken)
    done = run("render", state)
    assert done.returncode == 2
    assert "broken.pvsm" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.pvsm"]


def test_a_state_in_real_time_mode_gets_a_clear_answer(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    state = tmp_path / "real_time.pvsm"
    content = scenes.state("orbit").read_text()
    changed = re.sub(r'(name="PlayMode"[^>]*>\s*<Element index="0" value=)"0"', r'\1"1"', content)
    assert changed != content
    state.write_text(changed)
    done = run("render", state)
    assert done.returncode == 2
    assert "Real Time" in done.stderr
    assert "Sequence" in done.stderr


def test_inspect_shows_what_is_in_a_state(run: Run, scenes: SimpleNamespace) -> None:
    shown = run("inspect", scenes.state("series"))
    assert shown.returncode == 0, shown.stderr
    assert "0-5 (6, Snap To TimeSteps, times 0 to 5)" in shown.stdout
    assert shown.stdout.count("found, shape") == 6
    assert re.search(r"written by  ParaView \d+\.\d+", shown.stdout)
    assert re.search(r"read by  \d+\.\d+", shown.stdout)
