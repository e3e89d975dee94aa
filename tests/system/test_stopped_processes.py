"""End processes that stay stopped by a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from mpirender.system import stopped_processes
from mpirender.system.stopped_processes import StoppedProcesses, children_of, descendants, state_of

PARENT = "import subprocess; subprocess.run(['sleep', '60'])"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the limits short."""
    monkeypatch.setattr(stopped_processes, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(stopped_processes, "ENDED_SECONDS", 0.5)


def ended(watched: StoppedProcesses, seconds: float) -> list[int]:
    """Return the processes that a watch ends first within these seconds."""
    end = time.monotonic() + seconds
    while not (found := watched.end()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_a_process_that_stays_stopped_is_ended_and_one_that_was_continued_in_time_is_not() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        watched = StoppedProcesses(lambda: [process.pid])
        process.send_signal(signal.SIGSTOP)
        assert ended(watched, 0.3) == []
        process.send_signal(signal.SIGCONT)
        assert ended(watched, 1) == []
        process.send_signal(signal.SIGSTOP)
        assert ended(watched, 10) == [process.pid]
        assert process.wait(10) == -signal.SIGKILL


def test_after_a_pause_of_the_whole_job_a_process_has_time_to_be_continued() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        process.send_signal(signal.SIGSTOP)
        watched = StoppedProcesses(lambda: [process.pid])
        time.sleep(1.5)  # as when this process was stopped, too
        assert watched.end() == []
        process.kill()


def test_the_processes_below_a_process_are_found() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT]) as process:
        end = time.monotonic() + 30
        while not (found := descendants(process.pid)) and time.monotonic() < end:
            time.sleep(0.05)
        assert len(found) == 1
        assert found == children_of(process.pid)
        state = state_of(found[0])
        assert state is not None
        assert state.parent == process.pid
        assert {process.pid, *found} <= set(descendants(os.getpid()))
        process.kill()
    os.kill(found[0], signal.SIGKILL)
