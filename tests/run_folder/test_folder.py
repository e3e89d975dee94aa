"""Use the folder of a run only if nobody else can have put something into it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mpirender.run_folder.folder import untrusted
from processes import Pattern, Run, need
from runs import SMALL
from started_ranks import job


def test_a_folder_of_this_user_is_used(tmp_path: Path) -> None:
    made = job(tmp_path)
    (made.folder / "rank-0000.log").touch()
    assert list(untrusted(made)) == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_the_place_of_a_journal_is_refused(
    tmp_path: Path, make: Callable[[Path], None], run: Run, pattern: Pattern
) -> None:
    scene, place = pattern(), tmp_path / "test_renders" / ".mpirender" / "rank-0000.jsonl"
    place.parent.mkdir(parents=True)
    make(place)
    done = run("render", scene, *SMALL)
    assert (done.returncode, done.stderr) == (
        2, f"mpirender: error: {place}: not a file, but mpirender writes one there; remove it\n"
    )  # fmt: skip


def test_a_scene_whose_name_is_not_text_is_completed_by_the_same_command(run: Run, pattern: Pattern) -> None:
    scene = pattern('{"frames": 2}', "a\udcffb.pattern")
    for rendered in (2, 0):
        done = run("render", scene, *SMALL, errors="replace")
        assert (done.returncode, f"{rendered} rendered" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("of", ["", ".mpirender"])
def test_a_folder_of_another_user_is_used_only_if_the_user_trusts_it(tmp_path: Path, of: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a folder to another user needs root")
    made = job(tmp_path)
    shutil.chown(made.output / of, "nobody")
    (line,) = untrusted(made)
    assert f"{made.output / of} belongs to user nobody, who could exchange its files" in line
    assert list(untrusted(job(tmp_path, trust_output=True))) == []


def test_a_link_in_the_folder_of_a_run_is_refused_before_anything_is_written(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "test_renders" / ".mpirender"
    mine.write_text("mine")
    folder.mkdir(parents=True)
    for name in (".part-job.json", "rank-0000.jsonl", "rank-0000.log", "run.jsonl", "launch.log", "lock"):
        (folder / name).symlink_to(mine)
        done = run("render", pattern(), *SMALL)
        assert done.returncode == 2
        assert f"{folder / name}: a symbolic link, which mpirender does not follow; remove it" in done.stderr
        (folder / name).unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    done = run("render", pattern(), *SMALL)
    assert f"{folder} is a symbolic link, which mpirender does not follow; remove it" in done.stderr
    assert mine.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "test.pattern", "test_renders"]


def test_ranks_render_only_the_job_that_the_supervisor_wrote(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    """The launcher stands for whoever exchanges the file before the ranks read it."""
    other = pattern('{"frames": 1}', name="other.pattern")
    exchanging = tmp_path / "mpiexec"
    exchanging.write_text(
        f"#!{sys.executable}\nimport os, sys\nfrom pathlib import Path\n"
        f"file = Path({str(tmp_path / 'test_renders/.mpirender/job.json')!r})\n"
        f"file.write_text(file.read_text().replace('test.pattern', {other.name!r}))\n"
        f"os.execv({need('mpiexec')!r}, ['mpiexec', *sys.argv[1:]])\n"
    )
    exchanging.chmod(0o755)
    done = run("render", pattern(), *SMALL, "--mpiexec", exchanging)
    assert done.returncode == 2
    assert "job.json: exchanged since this run wrote it; use a folder that only you can write to" in done.stderr
    assert not (tmp_path / "test_renders" / "160x90").exists()


def test_no_command_waits_for_a_pipe_in_the_place_of_the_job(run: Run, rendered: Path, tmp_path: Path) -> None:
    place = rendered / ".mpirender" / "job.json"
    place.unlink()
    os.mkfifo(place)
    assert run("status", rendered, timeout=60).returncode == 0
    encoded = run("encode", rendered, timeout=60)
    why = "cannot be read (a pipe, a device or a socket, not a file)"
    assert (encoded.returncode, encoded.stderr) == (2, f"mpirender: error: {place}: {why}\n")
    again = run("render", tmp_path / "test.pattern", *SMALL, timeout=60)
    why = "not a file, but mpirender writes one there; remove it"
    assert (again.returncode, again.stderr) == (2, f"mpirender: error: {place}: {why}\n")
