"""A pool: the user's own function over jobs, in real ranks under mpiexec and in processes without it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import errands
from images import pixels
from mpirender.errors import JobFailed, LaunchFailed, ToolMissing, UsageError
from mpirender.launcher.environment import settings
from mpirender.pool import progress, run_jobs, worker
from mpirender.pool.pickling import Main, dumps
from mpirender.pool.run_jobs import Outcome
from mpirender.pool.server import Exchange
from mpirender.pool.task_queue import Work
from mpirender.pool.worker import POOL, Hello
from processes import Run
from repository import REPOSITORY

HOST = os.uname().nodename
run = partial(run_jobs.run, engine="pattern", ranks=2, launcher="none", quiet=True)
slow = pytest.mark.slow
either_way = pytest.mark.parametrize("launcher", ["mpiexec", "none"])
one_way_in_haste = pytest.mark.parametrize("launcher", [pytest.param("mpiexec", marks=slow), "none"])


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make sure that no process and no file stays of what a test starts."""
    monkeypatch.setenv("MARK_OF_TEST", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    yield
    eventually(lambda: not running(tmp_path))
    assert list((tmp_path / "temporary").iterdir()) == []


def running(mark: Path) -> list[str]:
    """Return the processes that a test has started, by the mark in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if f"MARK_OF_TEST={mark}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (OSError, NotADirectoryError):
            pass
    return [words for words in found if words]  # not those that are dead and only waited for


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def by_job(outcomes: list[Outcome]) -> dict[object, Outcome]:
    return {outcome.job: outcome for outcome in outcomes}


# --- Results ----------------------------------------------------------------------------------------------------------


@either_way
def test_results_come_in_the_order_of_the_jobs_from_all_ranks(launcher: str, tmp_path: Path) -> None:
    seen: list[Outcome[tuple[int, str], int]] = []
    jobs = [(number, str(tmp_path)) for number in range(12)]
    outcomes = run(errands.meet, jobs, launcher=launcher, watch=seen.append)
    assert [outcome.get() for outcome in outcomes] == [10 * number for number in range(12)]
    assert [(one.number, one.job) for one in outcomes] == list(enumerate(jobs))
    assert {(one.error, one.host) for one in outcomes} == {("", HOST)}
    assert {outcome.rank for outcome in outcomes} == {0, 1}
    assert outcomes[0].seconds > outcomes[11].seconds > 0
    assert sorted(seen, key=lambda outcome: outcome.number) == outcomes
    assert seen[0].number != 0, "they are told as they come"


def test_ranks_are_never_more_than_jobs_and_without_jobs_there_are_none(tmp_path: Path) -> None:
    assert len(run(errands.hang, [0.0, 0.0], ranks=7, launcher="mpiexec", logs=tmp_path / "logs")) == 2
    assert sorted(path.name for path in (tmp_path / "logs").glob("rank-*")) == ["rank-0000.log", "rank-0001.log"]
    assert run(errands.hang, [], logs=tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_a_function_with_arguments_given_works_and_finds_itself_where_the_caller_is(tmp_path: Path) -> None:
    (five,) = run(partial(errands.scaled, factor=5), [3])
    assert five.get() == 15
    (place,) = run(errands.places, [None])
    assert place.get() == (str(tmp_path), "", sys.argv), "the key is not handed on"


SCRIPT = """
import sys
from dataclasses import dataclass
from mpirender import pool

@dataclass
class Shot:
    number: int

def doubled(shot):
    print("said in the rank")
    return Shot(2 * shot.number)

def main():
    outcomes = pool.run(doubled, [Shot(1), Shot(2)], engine="pattern", ranks=2, quiet="quiet" in sys.argv)
    assert [outcome.get() for outcome in outcomes] == [Shot(2), Shot(4)]
    print(outcomes[1])

"""
GUARD = 'if __name__ == "__main__":\n    main()\n'


def script(folder: Path, text: str = SCRIPT + GUARD) -> list[str]:
    (folder / "shots.py").write_text(text)
    return [sys.executable, str(folder / "shots.py")]


def told(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


def test_what_a_script_defines_goes_to_the_ranks_and_comes_back(tmp_path: Path) -> None:
    done = told(script(tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"Outcome\(job=Shot\(number=2\), value=Shot\(number=4\), error='', rank=\d, host='{HOST}', .*\)\n", done.stdout
    )
    assert re.search(r"0 s  0/2 jobs, starting the ranks\n(.*\n)*2 jobs in \d s\n$", done.stderr)
    quiet = told([*script(tmp_path), "quiet"])
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_a_script_that_is_run_as_a_module_of_a_package_works_too(tmp_path: Path) -> None:
    (tmp_path / "film").mkdir()
    script(tmp_path / "film", SCRIPT.replace("import sys\n", "import sys\nfrom . import other\n") + GUARD)
    (tmp_path / "film" / "other.py").touch()
    done = told([sys.executable, "-m", "film.shots"], env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 0, done.stderr


def test_a_script_that_would_start_ranks_in_its_ranks_is_told(tmp_path: Path) -> None:
    done = told(script(tmp_path, f"{SCRIPT}main()"))
    assert done.returncode == 1
    assert 'put the lines of the script that start it under: if __name__ == "__main__":' in done.stderr.splitlines()[-1]


# --- Errors -----------------------------------------------------------------------------------------------------------


@one_way_in_haste
def test_an_error_is_that_of_its_job_alone(launcher: str) -> None:
    jobs = ["fail", "exit", "unsendable", "unreadable", "fine"]
    outcomes = run(errands.trouble, jobs, launcher=launcher)
    assert [outcome.error.partition(": Attr")[0].partition(": Can't")[0] for outcome in outcomes] == [
        "ValueError: no such timestep",
        "SystemExit: 3",
        "what the function has returned cannot be sent back",
        "what the function has returned cannot be read here: RuntimeError: only in the rank",
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


def test_mistakes_are_told_at_once_before_a_rank_is_started() -> None:
    with pytest.raises(UsageError) as told:
        run_jobs.run(lambda job: job, [1], engine="povray", ranks=0, pvbach="pvbatch")
    assert [mistake.partition(";")[0] for mistake in told.value.mistakes] == [
        "test_mistakes_are_told_at_once_before_a_rank_is_started.<locals>.<lambda>: ranks find a function by its name",
        "engine 'povray' must be one of: " + ", ".join(dict.fromkeys(run_jobs.engines.SUFFIXES.values())),
        "ranks 0 must be at least 1",
        "pvbach is no option of a pool",
    ]
    with pytest.raises(UsageError, match="'frames' is no function that could be called with a job"):
        run("frames", [1])
    with pytest.raises(UsageError) as told:
        run(errands.scaled, [1, *[lambda: 0] * 5])
    assert len(told.value.mistakes) == 4
    assert re.match(r"job 1 \(<function .*\) cannot be sent to a rank: ", told.value.mistakes[0])
    with pytest.raises(UsageError, match=r"max_restarts -1 must be .*\ntimeout 0 must be"):
        run(errands.scaled, [1], max_restarts=-1, timeout=0)


def test_a_function_that_was_typed_into_a_shell_is_told() -> None:
    typed = "from mpirender import pool\ndef typed(job): pass\npool.run(typed, [1], engine='pattern')"
    done = told([sys.executable, "-c", typed])
    assert "UsageError: typed: ranks cannot find what was typed into a shell; write it into a file" in done.stderr


@one_way_in_haste
def test_a_function_that_a_rank_cannot_load_is_told(launcher: str, tmp_path: Path) -> None:
    module = "import os\nif 'MPIRENDER_POOL' in os.environ:\n    import not_there\ndef act(job): pass\n"
    (tmp_path / "acts.py").write_text(module)
    words = f"import acts; from mpirender import pool; pool.run(acts.act, [1], engine='pattern', launcher={launcher!r})"
    done = told([sys.executable, "-c", words])
    assert (
        "UsageError: the function cannot be loaded in a rank (ModuleNotFoundError: No module named 'not_there')"
        in (done.stderr.splitlines()[-1])
    )
    assert 'acts.py", line 3, in <module>' in done.stderr, "the traceback is shown, too"


def test_missing_programs_are_told() -> None:
    with pytest.raises(ToolMissing, match=r"pvbatch-7: no such program; .*"):
        run_jobs.run(errands.scaled, [1], pvbatch="pvbatch-7")
    with pytest.raises(ToolMissing, match="mpiexec-7 is not found"):
        run(errands.scaled, [1], launcher="auto", mpiexec="mpiexec-7")


def test_a_launcher_that_starts_nothing_is_told_with_what_it_says(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text("#!/bin/sh\necho no such fabric; exit 7\n")
    program.chmod(0o755)
    reason = r"the ranks did not start \(mpiexec ended before a rank was up \(exit code 7\)\): no such fabric"
    with pytest.raises(LaunchFailed, match=reason):
        run(errands.scaled, [1], launcher="mpiexec", mpiexec=str(program))


def test_ranks_of_which_each_believes_that_it_is_alone_are_told(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text('#!/bin/sh\nshift 2\nPMI_SIZE=2 exec "$@"\n')
    program.chmod(0o755)
    with pytest.raises(ToolMissing, match="mpiexec started 2 ranks but each believes it is alone"):
        run(errands.scaled, [1, 2], launcher="mpiexec", mpiexec=str(program))


# --- Death ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launcher", "how"),
    [("mpiexec", "SIGKILL"), pytest.param("mpiexec", "0", marks=slow), ("none", "SIGKILL"), ("none", "0")],
)
def test_a_rank_that_dies_once_costs_nothing_but_time(launcher: str, how: str, tmp_path: Path) -> None:
    once = str(tmp_path / "once")
    outcomes = run(errands.die, [("witness", once), (how, once), *[("", "")] * 4], launcher=launcher)
    assert [outcome.error for outcome in outcomes] == [""] * 6
    assert (tmp_path / "once").exists()


def test_a_job_whose_rank_has_died_is_tried_again_by_another_one(tmp_path: Path) -> None:
    deadly = ("SIGKILL", str(tmp_path / "once"))
    outcomes = by_job(run(errands.die, [deadly, *[("", "")] * 3], logs=tmp_path / "logs"))
    (dead,) = [rank for rank in (0, 1) if "last words" in (tmp_path / "logs" / f"rank-000{rank}.log").read_text()]
    assert outcomes[deadly].rank == 1 - dead


@one_way_in_haste
@pytest.mark.parametrize(("how", "named"), [("SIGSEGV", "signal SIGSEGV"), ("3", "exit code 3")])
def test_a_job_that_kills_its_rank_twice_is_given_up_and_the_others_are_done(
    launcher: str, how: str, named: str
) -> None:
    jobs = [("", ""), (how, ""), *[("", "")] * 4]
    outcomes = run(errands.die, jobs, launcher=launcher)
    bad = outcomes.pop(1)
    assert re.fullmatch(
        rf"given up after 2 ranks died at it; the last: rank {bad.rank} on {HOST} died \({named}\)", bad.error
    )
    assert "the last words of this rank" in bad.details
    assert [outcome.error for outcome in outcomes] == [""] * 5


@slow
def test_a_launcher_that_does_not_notice_a_death_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "mpiexec"
    program.write_text('#!/bin/sh\nshift 2\n"$@"\nexec sleep 600\n')
    program.chmod(0o755)
    jobs = [("", ""), ("SIGKILL", str(tmp_path / "once"))]
    outcomes = run(errands.die, jobs, ranks=1, launcher="mpiexec", mpiexec=str(program))
    assert [outcome.error for outcome in outcomes] == ["", ""]


@one_way_in_haste
def test_when_ranks_have_died_too_often_what_is_done_is_kept(launcher: str) -> None:
    jobs = [("", ""), ("", ""), ("SIGKILL", "")]
    *done, left = run(errands.die, jobs, launcher=launcher, ranks=1, max_restarts=0)
    assert [outcome.error for outcome in done] == ["", ""]
    assert left.error == f"not done: rank 0 on {HOST} died (signal SIGKILL), after 0 restarts (max_restarts)"
    assert left.rank is None


def test_ranks_that_die_before_a_job_is_done_are_an_error() -> None:
    with pytest.raises(LaunchFailed, match=r"died \(signal SIGKILL\), after 0 restarts"):
        run(errands.die, [("SIGKILL", "")], ranks=1, max_restarts=0)


@one_way_in_haste
def test_a_job_that_hangs_is_given_up_after_its_time(launcher: str) -> None:
    outcomes = by_job(run(errands.hang, [0.01, 1e6, 0.02, 0.03], launcher=launcher, timeout=1))
    assert re.search(r"the last: rank \d on \S+ took longer than 1 s and was ended", outcomes[1e6].error)
    assert [outcomes[job].get() for job in (0.01, 0.02, 0.03)] == [0.01, 0.02, 0.03]


WAITING = """
import sys
import errands
from mpirender import pool
tell = lambda outcome: print(outcome.job, flush=True)
pool.run(errands.hang, [0.01, 1e6, 1e6], engine="pattern", ranks=2, launcher=sys.argv[1], watch=tell)
"""


@contextmanager
def waiting(launcher: str) -> Iterator[subprocess.Popen[str]]:
    """Start a pool of which one job is done and the others never will be."""
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
    eventually(lambda: not running(tmp_path))


# --- Inside -----------------------------------------------------------------------------------------------------------


def test_who_does_not_have_the_key_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with Exchange() as exchange:
        told = json.loads(exchange.settings[POOL])
        (host, port), key = told["at"][0], bytes.fromhex(told["key"])
        with pytest.raises((AuthenticationError, EOFError, ConnectionError)):
            Client((host, port), authkey=b"guessed")
        assert exchange.hear(0.2) is None
        with Client((host, port), authkey=key) as line:
            line.send_bytes(dumps(Hello("tag", 3, "n1", 42)))
            peer, said = exchange.hear(5)
        assert said == peer.hello == Hello("tag", 3, "n1", 42)
        monkeypatch.setenv(POOL, json.dumps({**told, "key": "00"}))
        with pytest.raises(LaunchFailed, match=rf"does not reach the program .*\({host}:{port}: "):
            worker.connected()


def test_a_job_whose_rank_has_died_comes_last_and_on_another_rank_where_there_is_one() -> None:
    work: Work[str, str] = Work("abc", [b"a", b"b", b"c"], Main())
    assert work.take(0, alone=False).number == 0
    assert work.blame(0, 0, "n1", "it died", "") is None
    assert work.take(1, alone=False).number == 1
    work.put_back(1)
    assert [work.take(0, alone=False).number for _ in range(2)] == [1, 2]
    assert work.take(0, alone=False) is None
    assert work.take(1, alone=False).number == 0
    work.put_back(0)
    assert work.take(0, alone=True).number == 0


def test_progress_tells_the_pace_the_end_and_the_failures() -> None:
    counts = progress.Tally(10)
    assert counts.text() == "starting the ranks"
    counts.add([{"event": "ready"}])
    assert counts.text() == "working"
    counts._began -= 20
    outcome = {"event": "outcome", "outcome": Outcome("a", error="ValueError", rank=0)}
    counts.add([outcome, outcome])
    assert counts.text() == "10 s a job, 1 min 20 s left, 2 failed"
    assert counts.news == ["warning: job 0 ('a'): ValueError"], "the same is told once"
    counts.add([{"event": "outcome", "outcome": Outcome("b", rank=1)}] * 38)
    assert counts.text().startswith("2.00 jobs/s")


def test_ranks_get_the_callers_modules_but_not_those_of_its_own_python() -> None:
    path = list(run_jobs.search_path())
    assert str(Path(errands.__file__).parent) in path
    assert str(Path(np.__file__).parents[1]) in path
    assert not {str(Path(os.__file__).parent), str(Path(os.__file__).parent / "lib-dynload")} & set(path)


def test_ranks_import_the_pool_without_what_a_pvbatch_lacks() -> None:
    lacking = "import sys; sys.modules.update(dict.fromkeys(['rich', 'cloup', 'click', 'numpy', 'imageio', 'PIL']))"
    done = told([sys.executable, "-c", f"{lacking}; import mpirender.pool"])
    assert done.returncode == 0, done.stderr


ON_TWO_GPUS = """
from types import SimpleNamespace
from mpi4py import MPI
from mpirender.ranks import backends
from mpirender.engines import BackendDevice
from mpirender.job.programs import Programs
gpus = [BackendDevice("egl", device, "NVIDIA H100") for device in (0, 1)]
engine = SimpleNamespace(BACKENDS=("egl",), backend_devices=lambda job, backend: gpus, environment=lambda device: {})
for alone in (0, 1, 2, None):
    with backends.chosen(MPI.COMM_WORLD, engine, Programs(), alone=alone) as device:
        print(device.device)
"""


def test_ranks_that_no_launcher_has_started_share_the_gpus_of_a_machine_all_the_same() -> None:
    done = told([sys.executable, "-c", ON_TWO_GPUS], env={**os.environ, **settings(1, os.environ, root=True)})
    assert done.stdout.split() == ["0", "1", "0", "0"], done.stderr


def test_ranks_run_in_containers(apptainer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "paraview.sif"
    image.touch()
    monkeypatch.setenv("PYTHON", sys.executable)
    (outcome,) = run(partial(errands.scaled, factor=2), [2], container=str(image))
    assert outcome.get() == 4
    words = (tmp_path / "called").read_text().splitlines()
    assert f'type=bind,"source={Path(errands.__file__).parent}","destination={Path(errands.__file__).parent}"' in words


@slow
@either_way
def test_many_states_are_rendered_by_ranks_as_one_process_does_it(
    launcher: str, scenes: SimpleNamespace, pvbatch: Run, tmp_path: Path
) -> None:
    jobs = [
        (str(scenes.state(name)), angle, str(tmp_path / f"{name}{angle}.png"))
        for name in ("orbit", "cut", "series")
        for angle in (20.0, 40.0)
    ]
    outcomes = run_jobs.run(errands.picture, jobs, ranks=2, launcher=launcher, logs=tmp_path / "logs")
    alone = tmp_path / "alone.py"
    (tmp_path / "serial").mkdir()
    serial = [(state, angle, str(tmp_path / "serial" / Path(picture).name)) for state, angle, picture in jobs]
    folder = str(Path(errands.__file__).parent)
    alone.write_text(
        f"import sys\nsys.path.append({folder!r})\nimport errands\n"
        f"open({str(tmp_path / 'said')!r}, 'w').write(repr([errands.picture(job) for job in {serial!r}]))\n"
    )
    pvbatch(alone)
    assert repr([outcome.get() for outcome in outcomes]) == (tmp_path / "said").read_text()
    for (*_, ours), (*_, theirs) in zip(jobs, serial):
        assert np.array_equal(pixels(Path(ours)), pixels(Path(theirs))), ours
