"""Stop a run with signals: images in progress finish, and the next run continues."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from processes import Pattern, Run
from records import done_frames, records
from runs import SMALL, rank_pid, running, started
from waiting import wait_for


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGHUP", 75), ("SIGINT", 130)])
def test_a_signal_lets_frames_in_progress_end_and_the_next_run_goes_on(
    run: Run, pattern: Pattern, tmp_path: Path, number: str, code: int
) -> None:
    scene, output = pattern('{"frames": 30, "seconds": 0.4}'), tmp_path / "test_renders"
    with started(scene) as process:
        process.send_signal(signal.Signals[number])
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert len(err.splitlines()) == 1
    assert re.search(r"\d+ of 30 images are done; run the same command again to continue", err)
    assert ("Ctrl-C again ends at once" if number == "SIGINT" else f"stopping on {number}: ") in out
    done = done_frames(output)
    assert sorted(record.image.frame for record in records(output, "take")) == done, "every started image is finished"
    assert running(tmp_path) == ""
    again = run("render", scene, *SMALL)
    assert again.returncode == 0
    assert f"{30 - len(done)} rendered, {len(done)} kept from before" in again.stdout
    assert done_frames(output) == list(range(30))


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_to_one_rank_stops_all_of_them(pattern: Pattern, tmp_path: Path, number: str) -> None:
    scene, output = pattern('{"frames": 60, "seconds": 0.4}'), tmp_path / "test_renders"
    with started(scene) as process:
        os.kill(rank_pid(output, 1), signal.Signals[number])
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "run the same command again" in err
    assert len(done_frames(output)) < 25, "rank 0 stopped before it finished its 30 frames"
    assert sorted(record.image.frame for record in records(output, "take")) == done_frames(output)


@pytest.mark.slow
def test_frames_longer_than_the_grace_period_are_given_up(pattern: Pattern, tmp_path: Path) -> None:
    with started(pattern('{"frames": 4, "seconds": 60}'), "--grace-period", 1, frames=0) as process:
        wait_for(lambda: records(tmp_path / "test_renders", "take"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 75
    assert running(tmp_path) == ""
    assert not list((tmp_path / "test_renders" / "160x90").iterdir())


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(pattern: Pattern, tmp_path: Path) -> None:
    with started(pattern('{"frames": 4, "seconds": 60}'), frames=0) as process:
        wait_for(lambda: records(tmp_path / "test_renders", "take"))
        process.send_signal(signal.SIGINT)
        wait_for(lambda: records(tmp_path / "test_renders", "stop"))
        assert process.poll() is None, "the first Ctrl-C waits for images in progress"
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 130
    assert running(tmp_path) == ""


@pytest.mark.slow
def test_under_nohup_a_closed_terminal_stops_nothing(pattern: Pattern, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mpirender", "render", str(pattern('{"frames": 8, "seconds": 0.3}'))]
    with subprocess.Popen(["nohup", *command, *map(str, SMALL)], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: len(done_frames(tmp_path / "test_renders")) >= 2)
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
