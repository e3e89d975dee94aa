"""Notice that a process that should work has stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mpirender.system import stall
from mpirender.system.stall import Problem, StallWatch, time_limit


@pytest.mark.parametrize(
    ("asked", "slowest", "limit"), [(None, 0, 14400), (None, 2, 600), (None, 60, 1200), (5, 0, 5), (5, 60, 5)]
)
def test_the_time_limit_follows_the_slowest_image_unless_it_is_given(
    asked: float | None, slowest: float, limit: float
) -> None:
    assert time_limit(asked, slowest) == limit


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the limits short."""
    monkeypatch.setattr(stall, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(stall, "STOPPED_SECONDS", 0.5)
    monkeypatch.setattr(stall, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(stall, "CRASH_SECONDS", 0.2)


@contextmanager
def process(program: str) -> Iterator[int]:
    """Start a Python process; give its process id when it has printed a line."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started.pid
        started.kill()


def watched(watch: StallWatch, seconds: float) -> Problem | None:
    """Return the problem that a watch finds within these seconds."""
    end = time.monotonic() + seconds
    while not (problem := watch.problem()) and time.monotonic() < end:
        time.sleep(0.02)
    return problem


SLEEPS = "import time; print(flush=True); time.sleep(60)"
WORKS = "print(flush=True)\nwhile True: pass"
READS = "import time; print(flush=True)\nwhile True: open('/proc/self/stat').read(); time.sleep(0.05)"
WAITS = "import subprocess; print(flush=True); subprocess.run(['sleep', '60'])"


@pytest.mark.parametrize("program", [WORKS, READS, WAITS], ids=["computes", "reads", "waits for a process"])
def test_a_process_that_does_something_may_go_on(program: str) -> None:
    with process(program) as pid:
        assert watched(StallWatch(pid, limit=None), 1.5) is None


def test_a_process_that_does_nothing_is_to_be_ended_unless_it_may() -> None:
    with process(SLEEPS) as pid:
        may, must_not = StallWatch(pid, limit=None, idle=False), StallWatch(pid, limit=None)
        assert watched(must_not, 10) == Problem("did nothing for 0 minutes and was ended", blameless=False)
        assert watched(may, 1) is None


def test_a_process_that_hangs_in_the_handler_of_a_crash_is_to_be_ended_and_threads_without_signals_are_no_crash() -> (
    None
):
    """A handler that prints a backtrace waits for ever if the crash was in malloc: the signal stays blocked."""
    blocks = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {}); " + SLEEPS
    with process(blocks.format("[signal.SIGABRT]")) as crashed, process(blocks.format("range(1, 32)")) as thread:
        problem = watched(StallWatch(crashed, limit=None, idle=False), 10)
        assert problem == Problem("died (signal SIGABRT), hung while it printed a backtrace, and was ended")
        assert watched(StallWatch(thread, limit=None, idle=False), 0.7) is None


def test_a_process_that_exceeds_its_limit_is_to_be_ended_although_it_works() -> None:
    with process(WORKS) as pid:
        assert watched(StallWatch(pid, limit=0.3), 10) == Problem("took longer than 0.3 s and was ended")


def test_a_process_that_was_stopped_is_to_be_ended_after_a_time_and_is_not_to_blame() -> None:
    with process(WORKS) as pid:
        watch = StallWatch(pid, limit=None)
        os.kill(pid, signal.SIGSTOP)
        assert watched(watch, 0.3) is None
        os.kill(pid, signal.SIGCONT)
        assert watched(watch, 1) is None, "it was continued in time"
        os.kill(pid, signal.SIGSTOP)
        assert watched(watch, 10) == Problem("was stopped by a signal for 10 s, and was ended", blameless=True)


def test_an_image_that_exceeds_its_limit_because_its_process_was_stopped_is_not_to_blame() -> None:
    with process(WORKS) as pid:
        watch = StallWatch(pid, limit=0.4)
        os.kill(pid, signal.SIGSTOP)
        found = watched(watch, 10)
    assert found == Problem("took longer than 0.4 s and was ended", blameless=True)


def test_the_time_in_which_the_watching_process_was_suspended_itself_does_not_count() -> None:
    with process(SLEEPS) as pid:
        watch = StallWatch(pid, limit=1.5)
        watch.problem()
        time.sleep(2)  # as when the whole job was suspended
        assert watch.problem() is None


def test_a_process_that_has_just_ended_is_no_problem() -> None:
    with process(SLEEPS) as pid:
        watch = StallWatch(pid, limit=None)
    assert watched(watch, 1) is None
