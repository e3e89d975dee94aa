"""Allow only one run per folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from processes import Pattern, Run
from records import done_frames
from runs import SMALL, started
from waiting import wait_for


@pytest.mark.slow
def test_a_second_run_into_the_same_folder_is_refused_and_disturbs_nothing(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene, output = pattern('{"frames": 12, "seconds": 0.5}'), tmp_path / "test_renders"
    with started(scene) as process:
        job = (output / ".mpirender" / "job.json").read_text()
        for command in (["render", scene, *SMALL, "--frames", "1"], ["render", scene, *SMALL, "--dry-run"]):
            refused = run(*command)
            assert refused.returncode == 2
            assert f"another run writes here: pid {process.pid} on {os.uname().nodename}" in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
        assert (output / ".mpirender" / "job.json").read_text() == job
        assert process.wait(60) == 0
    assert done_frames(output) == list(range(12))


@pytest.mark.slow
def test_ranks_started_by_hand_hold_the_lock_too(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern('{"frames": 12, "seconds": 0.5}')
    line = run("render", scene, *SMALL, "--dry-run").stdout.splitlines()[-1]
    with subprocess.Popen(f"exec {line}", shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: done_frames(tmp_path / "test_renders"))
        refused = run("render", scene, *SMALL)
        assert "another run writes here" in refused.stderr
        again = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, timeout=60)
        assert (again.returncode, again.stderr.count("another run writes here")) == (2, 1)
        assert process.wait(60) == 0
    assert not (tmp_path / "test_renders" / ".mpirender" / "lock").exists()
