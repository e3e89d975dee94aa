"""Lose renderers and ranks of a pool: jobs are retried or given up, and a signal ends all ranks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import errands
from mpirender.errors import LaunchFailed
from mpirender.pool import rank_group
from mpirender.pool.run_jobs import Outcome
from pools import HOST, either_way, one_way_in_haste, run, running, slow
from repository import REPOSITORY
from waiting import wait_for


def by_job(outcomes: list[Outcome]) -> dict[object, Outcome]:
    return {outcome.job: outcome for outcome in outcomes}


CALLS = {"wait": 1, "fine": 1, "SIGSEGV": 2, "3": 2, "hang": 2, "SIGKILL": 4}  # of each job


@either_way
def test_a_job_that_crashes_or_hangs_costs_itself_and_nothing_else(launcher: str, tmp_path: Path) -> None:
    jobs = [(how, str(tmp_path)) for how in CALLS]
    outcomes = by_job(run(errands.recorded, jobs, launcher=launcher, timeout=3, max_restarts=0))
    assert {how: outcomes[how, folder].error for how, folder in jobs} == {
        "wait": "",
        "fine": "",
        "SIGSEGV": "set aside after 2 deaths; the last: the renderer died (signal SIGSEGV)",
        "3": "set aside after 2 deaths; the last: the renderer died (exit code 3)",
        "hang": "set aside after 2 deaths; the last: the renderer took longer than 3 s and was ended",
        "SIGKILL": "set aside after 4 attempts; the last: the renderer died (signal SIGKILL)",
    }
    assert {how: len((tmp_path / how).read_text().splitlines()) for how in CALLS} == CALLS
    assert "the last words of this rank" in outcomes["3", str(tmp_path)].details


@one_way_in_haste
def test_a_job_that_has_crashed_is_tried_again_by_another_rank(launcher: str, tmp_path: Path) -> None:
    deadly = ("SIGSEGV", str(tmp_path / "once"))
    outcomes = by_job(run(errands.die, [deadly, *[("", "")] * 3], launcher=launcher, logs=tmp_path / "logs"))
    (dead,) = [rank for rank in (0, 1) if "last words" in (tmp_path / "logs" / f"rank-000{rank}.log").read_text()]
    assert (outcomes[deadly].rank, outcomes[deadly].error) == (1 - dead, "")


@one_way_in_haste
def test_a_rank_that_loses_renderer_after_renderer_leaves_the_jobs_to_the_others(launcher: str, tmp_path: Path) -> None:
    outcomes = run(errands.crash_on_rank_0, [(number, str(tmp_path)) for number in range(12)], launcher=launcher)
    assert {(outcome.error, outcome.rank) for outcome in outcomes} == {("", 1)}


def test_when_all_ranks_lose_renderer_after_renderer_the_waiting_jobs_are_given_up() -> None:
    first, *crashed = run(errands.die, [("", ""), *[("SIGSEGV", "")] * 7], ranks=1)
    assert first.error == ""
    lost = "10 renderers in a row were lost; the last one died (signal SIGSEGV)"
    assert Counter(outcome.error for outcome in crashed) == {
        "set aside after 2 deaths; the last: the renderer died (signal SIGSEGV)": 3,
        f"not done: rank 0 on {HOST} takes no more jobs: {lost}": 4,
    }


@either_way
def test_a_rank_that_dies_once_costs_nothing_but_time(launcher: str, tmp_path: Path) -> None:
    once = str(tmp_path / "once")
    outcomes = run(errands.die, [("witness", once), ("rank", once), *[("", "")] * 4], launcher=launcher)
    assert [outcome.error for outcome in outcomes] == [""] * 6
    assert (tmp_path / "once").exists()


@one_way_in_haste
def test_a_job_that_kills_its_rank_twice_is_given_up_and_the_others_are_done(launcher: str) -> None:
    jobs = [("", ""), ("rank", ""), *[("", "")] * 4]
    outcomes = run(errands.die, jobs, launcher=launcher)
    bad = outcomes.pop(1)
    assert bad.error == f"set aside after 2 deaths; the last: rank {bad.rank} on {HOST} died (signal SIGKILL)"
    assert "the last words of this rank" in bad.details
    assert [outcome.error for outcome in outcomes] == [""] * 5


@slow
def test_a_launcher_that_does_not_notice_a_death_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text('#!/bin/sh\nshift 2\n"$@"\nexec sleep 600\n')
    program.chmod(0o755)
    jobs = [("", ""), ("rank", str(tmp_path / "once"))]
    outcomes = run(errands.die, jobs, ranks=1, launcher="mpiexec", mpiexec=str(program))
    assert [outcome.error for outcome in outcomes] == ["", ""]


@one_way_in_haste
def test_a_rank_that_is_stopped_is_ended_when_its_job_is_overdue(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rank_group, "SILENT_SECONDS", 1.0)
    jobs = [("", ""), ("stop the rank", str(tmp_path / "once"))]
    outcomes = run(errands.die, jobs, ranks=1, launcher=launcher, timeout=2, quiet=False)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert f"warning: rank 0 on {HOST} was silent and was ended" in capfd.readouterr().err


@one_way_in_haste
def test_when_ranks_have_died_too_often_what_is_done_is_kept(launcher: str) -> None:
    jobs = [("", ""), ("", ""), ("rank", "")]
    *done, left = run(errands.die, jobs, launcher=launcher, ranks=1, max_restarts=0)
    assert [outcome.error for outcome in done] == ["", ""]
    assert left.error == f"not done: rank 0 on {HOST} died (signal SIGKILL), after 0 restarts (max_restarts)"
    assert left.rank is None


def test_ranks_that_die_before_a_job_is_done_are_an_error() -> None:
    with pytest.raises(LaunchFailed, match=r"died \(signal SIGKILL\), after 0 restarts"):
        run(errands.die, [("rank", "")], ranks=1, max_restarts=0)


WAITING = """
import sys
import errands
from mpirender import pool
tell = lambda outcome: print(outcome.job, flush=True)
pool.run(errands.hang, [0.01, 1e6, 1e6], engine="pattern", ranks=2, launcher=sys.argv[1], watch=tell)
"""


@contextmanager
def waiting(launcher: str) -> Iterator[subprocess.Popen[str]]:
    """Start a pool in which one job has finished and the others never end."""
    path = os.pathsep.join([str(REPOSITORY), str(Path(errands.__file__).parent)])
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, launcher], env={**os.environ, "PYTHONPATH": path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "0.01\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("name", "error"), [("SIGINT", "Interrupted: int"), ("SIGTERM", "Stopped: stopped on SIGTERM")]
)
@either_way
def test_a_signal_ends_all_ranks(launcher: str, name: str, error: str, tmp_path: Path) -> None:
    with waiting(launcher) as process:
        assert len(running(tmp_path)) > 2
        process.send_signal(signal.Signals[name])
        _, said = process.communicate(timeout=20)
    assert re.search(rf"mpirender.errors.{error}.*; 1 of 3 jobs are done\n$", said)
    assert not running(tmp_path)


@one_way_in_haste
def test_ranks_do_not_outlive_who_has_started_them(launcher: str, tmp_path: Path) -> None:
    with waiting(launcher) as process:
        process.kill()
        process.wait()
    wait_for(lambda: not running(tmp_path))
