"""Report the errors of jobs, functions and programs of a pool."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import errands
from mpirender.errors import JobFailed, LaunchFailed, ToolMissing, UsageError
from mpirender.pool import run_jobs
from pools import HOST, one_way_in_haste, run, told


@one_way_in_haste
def test_an_error_is_that_of_its_job_alone(launcher: str) -> None:
    jobs = ["fail", "exit", "unsendable", "unreadable", "fine"]
    outcomes = run(errands.trouble, jobs, launcher=launcher)
    assert [outcome.error.partition(": Attr")[0].partition(": Can't")[0] for outcome in outcomes] == [
        "ValueError: no such timestep",
        "SystemExit: 3",
        "the return value of the function cannot be sent back",
        "the return value of the function cannot be read here: RuntimeError: only in the rank",
        "",
    ]
    failed = outcomes[0]
    assert failed.details.startswith("Traceback (most recent call last):\n")
    assert re.search(r'errands\.py", line \d+, in trouble\n +raise ValueError', failed.details)
    assert failed.details.endswith("\nIt had printed:\nVTK would say more\n")
    line = rf"^job 0 \('fail'\): ValueError: no such timestep \(rank \d on {HOST}\)$"
    with pytest.raises(JobFailed, match=line) as raised:
        failed.get()
    assert failed.details in str(raised.value.__cause__)
    assert outcomes[4].get() == "fine"


def test_mistakes_are_reported_before_a_rank_is_started() -> None:
    with pytest.raises(UsageError) as told:
        run_jobs.run(lambda job: job, [1], engine="povray", ranks=0, pvbach="pvbatch")
    assert [mistake.partition(";")[0] for mistake in str(told.value).splitlines()] == [
        "test_mistakes_are_reported_before_a_rank_is_started.<locals>.<lambda>: ranks find a function by its name",
        "engine 'povray' must be one of: " + ", ".join(dict.fromkeys(run_jobs.engines.SUFFIXES.values())),
        "ranks 0 must be at least 1",
        "pvbach is not an option of a pool",
    ]
    with pytest.raises(UsageError, match="'frames' is not a function that can be called with a job"):
        run("frames", [1])
    with pytest.raises(UsageError) as told:
        run(errands.scaled, [1, *[lambda: 0] * 5])
    assert len(told.value.mistakes) == 4
    assert re.match(r"job 1 \(<function .*\) cannot be sent to a rank: ", told.value.mistakes[0])
    with pytest.raises(UsageError, match=r"max_restarts -1 must be .*\ntimeout 0 must be"):
        run(errands.scaled, [1], max_restarts=-1, timeout=0)


def test_a_function_that_was_typed_into_a_shell_is_reported() -> None:
    typed = "from mpirender import pool\ndef typed(job): pass\npool.run(typed, [1], engine='pattern')"
    done = told([sys.executable, "-c", typed])
    assert "UsageError: typed: ranks cannot find a function typed into a shell; write it into a file" in done.stderr


@one_way_in_haste
def test_a_function_that_a_rank_cannot_load_is_reported(launcher: str, tmp_path: Path) -> None:
    module = "import os\nif 'MPIRENDER_POOL' in os.environ:\n    import not_there\ndef act(job): pass\n"
    (tmp_path / "acts.py").write_text(module)
    words = f"import acts; from mpirender import pool; pool.run(acts.act, [1], engine='pattern', launcher={launcher!r})"
    done = told([sys.executable, "-c", words])
    assert (
        "UsageError: the function cannot be loaded in a rank (ModuleNotFoundError: No module named 'not_there')"
        in (done.stderr.splitlines()[-1])
    )
    assert 'acts.py", line 3, in <module>' in done.stderr, "the traceback is shown"


@one_way_in_haste
def test_a_function_that_crashes_its_renderer_while_it_is_loaded_is_reported(launcher: str, tmp_path: Path) -> None:
    crash = "if 'MPIRENDER_POOL' in os.environ:\n    print('bad', flush=True)\n    os._exit(7)\n"
    (tmp_path / "acts.py").write_text(f"import os\n{crash}def act(job): pass\n")
    words = f"import acts; from mpirender import pool; pool.run(acts.act, [1], engine='pattern', launcher={launcher!r})"
    done = told([sys.executable, "-c", words])
    lost = "3 renderers in a row were lost; the last one died (exit code 7)"
    assert done.stderr.endswith(f"LaunchFailed: rank 0 on {HOST} takes no more jobs: {lost}\n")
    assert "Remote: \nbad\nbad\nbad\n" in done.stderr, "what it printed is shown"


def test_missing_programs_are_reported() -> None:
    with pytest.raises(ToolMissing, match=r"pvbatch-7: no such program; .*"):
        run_jobs.run(errands.scaled, [1], pvbatch="pvbatch-7")
    with pytest.raises(ToolMissing, match="mpiexec-7 is not found"):
        run(errands.scaled, [1], launcher="auto", mpiexec="mpiexec-7")


def test_the_output_of_a_launcher_that_starts_nothing_is_shown(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text("#!/bin/sh\necho no such fabric; exit 7\n")
    program.chmod(0o755)
    reason = r"the ranks did not start \(mpiexec ended before a rank was up \(exit code 7\)\): no such fabric"
    with pytest.raises(LaunchFailed, match=reason):
        run(errands.scaled, [1], launcher="mpiexec", mpiexec=str(program))


def test_ranks_that_are_not_connected_are_reported(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text('#!/bin/sh\nshift 2\nPMI_SIZE=2 exec "$@"\n')
    program.chmod(0o755)
    with pytest.raises(ToolMissing, match="mpiexec started 2 ranks but each believes it is alone"):
        run(errands.scaled, [1, 2], launcher="mpiexec", mpiexec=str(program))
