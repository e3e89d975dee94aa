"""Allow only one run per folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from processes import Pattern, Run
from records import done_frames, records
from runs import SMALL, started
from waiting import wait_for


@pytest.mark.slow
def test_a_second_run_into_the_same_folder_is_refused_and_disturbs_nothing(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene, output = pattern('{"frames": 12, "seconds": 0.1}'), tmp_path / "test_renders"
    with started(scene) as process:
        process.send_signal(signal.SIGSTOP)  # so that it lasts until the others have ended, however slow the machine is
        job = (output / ".mpirender" / "job.json").read_text()
        for command in (["render", scene, *SMALL, "--frames", "1"], ["render", scene, *SMALL, "--dry-run"]):
            refused = run(*command)
            assert refused.returncode == 2
            assert f"another run writes here: pid {process.pid} on {os.uname().nodename}" in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
        assert (output / ".mpirender" / "job.json").read_text() == job
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    assert done_frames(output) == list(range(12))


@pytest.mark.slow
def test_ranks_started_by_hand_hold_the_lock_too(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    scene = pattern('{"frames": 12, "seconds": 0.8}')
    line = run("render", scene, *SMALL, "--dry-run").stdout.splitlines()[-1]
    with subprocess.Popen(f"exec {line}", shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: done_frames(tmp_path / "test_renders"))
        refused = run("render", scene, *SMALL)
        assert "another run writes here" in refused.stderr
        again = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, timeout=60)
        assert (again.returncode, again.stderr.count("another run writes here")) == (2, 1)
        assert process.wait(60) == 0
    assert not (tmp_path / "test_renders" / ".mpirender" / "lock").exists()


IMPATIENT = "from mpirender.run_folder import lock; lock.WATCH_SECONDS = 1; from mpirender.cli import commands; "
IMPATIENT += "commands.main()"


@pytest.mark.slow
def test_a_run_that_takes_over_from_a_stalled_one_renders_no_frame_twice(pattern: Pattern, tmp_path: Path) -> None:
    scene, output = pattern('{"frames": 24, "seconds": 1}'), tmp_path / "test_renders"
    # In another namespace the process ids of the first run mean nothing, as on another machine.
    contained = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", IMPATIENT]
    with started(scene) as stalled:
        stalled.send_signal(signal.SIGSTOP)
        os.utime(output / ".mpirender" / "lock", (time.time() - 120, time.time() - 120))
        with subprocess.Popen([*map(str, [*contained, "render", scene, *SMALL])], cwd=tmp_path) as second:
            wait_for(lambda: len(records(output, "launch")) == 2 and len(done_frames(output)) > 20, 90)
            stalled.send_signal(signal.SIGCONT)
            assert stalled.wait(60) == 75
            assert second.wait(90) == 0
    assert done_frames(output) == list(range(24))
