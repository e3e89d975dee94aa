"""Render each frame with several ranks, with the pattern engine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mpirender.launcher.environment import variables
from processes import Pattern, Run, need
from records import records

SMALL = ("--size", "80x50", "--movie", "none")


@pytest.mark.parametrize("schedule", ["interleaved", "contiguous", "dynamic"])
def test_groups_share_the_frames_as_ranks_do(run: Run, pattern: Pattern, tmp_path: Path, schedule: str) -> None:
    words = ("--ranks", 5, "--ranks-per-frame", 2, "--schedule", schedule)
    done = run("render", pattern('{"frames": 6, "seconds": 0.05}'), *SMALL, *words)
    assert done.returncode == 0, done.stderr
    assert "4 ranks make 2 groups of 2 ranks; 1 more is not started" in done.stdout
    assert re.search(r"groups 0-1 of 2 ranks on \S+: cores? .*, numpy", done.stdout)
    assert "slowest group" in done.stdout or "each on a group" in done.stdout
    output = tmp_path / "test_renders"
    assert sorted(record.image.frame for record in records(output, "done")) == list(range(6))
    starts = records(output, "start")
    assert sorted((start.rank, start.ranks, len(start.followers)) for start in starts) == [(0, 2, 1), (1, 2, 1)]
    logs = sorted(path.name for path in (output / ".mpirender").glob("rank-*.log"))
    assert logs[:4] == ["rank-0000-1.log", "rank-0000.log", "rank-0001-1.log", "rank-0001.log"]


def test_a_dry_run_tells_the_groups_and_what_is_left_over(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern(), *SMALL, "--ranks", 7, "--ranks-per-frame", 3, "--dry-run")
    lines = done.stdout.splitlines()
    assert lines[0] == "6 frames at 80x50: 6 images on 2 groups of 3 ranks"
    assert lines[1] == "6 ranks make 2 groups of 3 ranks; 1 more is not started"
    assert lines[2:4] == ["group 0: 0-4x2", "group 1: 1-5x2"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ranks-per-frame", 0), "--ranks-per-frame 0 must be at least 1"),
        (
            ("--ranks", 2, "--ranks-per-frame", 3),
            "--ranks 2 is less than --ranks-per-frame 3; use at least as many ranks",
        ),
        (
            ("--launcher", "none", "--ranks-per-frame", 2),
            "--launcher none starts one rank, but --ranks-per-frame 2 needs more",
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_reported(
    run: Run, pattern: Pattern, words: Sequence[object], told: str
) -> None:
    done = run("render", pattern(), *SMALL, *words)
    assert done.returncode == 2
    assert told in done.stderr


def test_ranks_started_by_hand_must_make_whole_groups(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    assert run("render", pattern(), *SMALL, "--ranks-per-frame", 2, "--ranks", 2, "--dry-run").returncode == 0
    environment = {**os.environ, **variables(1, os.environ, root=os.geteuid() == 0)}
    command = [need("mpiexec"), "-n", "3", sys.executable, "-m", "mpirender.ranks",
               str(tmp_path / "test_renders/.mpirender/job.json")]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--ranks-per-frame 2: 3 ranks were started; start a multiple of it" in done.stderr


def test_frames_of_another_number_of_ranks_are_never_mixed_in(run: Run, pattern: Pattern) -> None:
    scene = pattern()
    assert run("render", scene, *SMALL, "--ranks", 1).returncode == 0
    done = run("render", scene, *SMALL, "--ranks", 2, "--ranks-per-frame", 2)
    assert "6 images here are made with other options; rendered again" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_rank_killed_costs_its_group_the_frames_in_progress_and_nothing_else(
    pattern: Pattern, tmp_path: Path, who: str
) -> None:
    scene, output = pattern('{"frames": 30, "seconds": 0.1}'), tmp_path / "test_renders"
    words = ["render", str(scene), *SMALL, "--ranks", "4", "--ranks-per-frame", "2"]
    command = [sys.executable, "-m", "mpirender", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not output.joinpath(".mpirender").is_dir() or len(records(output, "done")) < 4:
            assert time.monotonic() < end
            time.sleep(0.05)
        start = next(record for record in records(output, "start") if record.rank == 1)
        os.kill(start.pid if who == "leader" else start.followers[0].pid, signal.SIGKILL)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert f"warning: group 1 on {os.uname().nodename} died (signal SIGKILL)" in said
    assert sorted(record.image.frame for record in records(output, "done")) == list(range(30))
    (death,) = records(output, "death")
    in_progress = [image for rank, image in death.in_progress if rank == 1]
    assert list(death.blamed) in ([], in_progress[-1:]), "only the image being rendered, not one being written"


@pytest.mark.slow
def test_a_frame_that_kills_its_rank_is_set_aside_and_the_command_to_try_it_starts_a_group(
    run: Run, pattern: Pattern
) -> None:
    scene = pattern('{"frames": 8, "seconds": 0.02, "kill": [3]}')
    done = run("render", scene, *SMALL, "--ranks", 4, "--ranks-per-frame", 2)
    assert done.returncode == 4
    assert "80x50 frames 3: set aside after 2 deaths; the last: group" in done.stderr
    assert re.search(r"to try .* alone: .* --ranks 2 --ranks-per-frame 2", done.stderr)
