"""Run a user's function over jobs with a pool: in ranks under mpiexec and in processes without it."""

from __future__ import annotations

import os
import re
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import errands
from mpirender.launcher.environment import variables
from mpirender.pool import progress, run_jobs
from mpirender.pool.pickling import Main
from mpirender.pool.run_jobs import Outcome
from mpirender.pool.task_queue import JobEnded, RankReady, TaskQueue
from mpirender.supervisor.retry_policy import RetryPolicy
from pools import HOST, either_way, run, told
from repository import REPOSITORY


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
    assert seen[0].number != 0, "outcomes are reported as jobs finish"


def test_ranks_are_never_more_than_jobs_and_without_jobs_there_are_none(tmp_path: Path) -> None:
    assert len(run(errands.hang, [0.0, 0.0], ranks=7, launcher="mpiexec", logs=tmp_path / "logs")) == 2
    assert sorted(path.name for path in (tmp_path / "logs").glob("rank-*")) == ["rank-0000.log", "rank-0001.log"]
    assert run(errands.hang, [], logs=tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_a_function_with_arguments_given_works_and_finds_itself_where_the_caller_is(tmp_path: Path) -> None:
    (five,) = run(partial(errands.scaled, factor=5), [3])
    assert five.get() == 15
    (place,) = run(errands.places, [None])
    assert place.get() == (str(tmp_path), "", sys.argv), "the connection key is cleared"


def test_a_function_can_start_and_terminate_programs() -> None:
    (outcome,) = run(errands.terminated, [["sleep", "20"]])
    assert outcome.get() == -signal.SIGTERM


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


def test_a_script_that_would_start_ranks_in_its_ranks_is_reported(tmp_path: Path) -> None:
    done = told(script(tmp_path, f"{SCRIPT}main()"))
    assert done.returncode == 1
    assert 'put the lines of the script that call it under: if __name__ == "__main__":' in done.stderr.splitlines()[-1]


def test_a_job_that_crashed_comes_last_and_on_another_rank_where_there_is_one() -> None:
    policy: RetryPolicy[int] = RetryPolicy(max_restarts=10)
    queue: TaskQueue[str, str] = TaskQueue("abc", [b"a", b"b", b"c"], Main(), policy)
    assert queue.take(0, only_rank=False).number == 0
    policy.record_loss(0, "the renderer died", rank=0, blameless=False)
    assert queue.retry_or_fail(0, 0, "n1", "") is None
    assert queue.take(1, only_rank=False).number == 1
    policy.record_loss(1, "someone killed the renderer", rank=1, blameless=True)
    assert queue.retry_or_fail(1, 1, "n1", "") is None
    assert [queue.take(0, only_rank=False).number for _ in range(2)] == [1, 2]
    assert queue.take(0, only_rank=False) is None
    assert queue.take(1, only_rank=False).number == 0
    assert queue.retry_or_fail(0, 1, "n1", "") is None, "its rank was lost without being the cause"
    assert queue.take(0, only_rank=True).number == 0


def test_progress_tells_the_pace_the_end_and_the_failures() -> None:
    counts = progress.PoolProgress(10)
    assert counts.text() == "starting the ranks"
    counts.add([RankReady()])
    assert counts.text() == "working"
    counts._began -= 20
    outcome = JobEnded(Outcome("a", error="ValueError", rank=0))
    counts.add([outcome, outcome])
    assert counts.text() == "10 s a job, 1 min 20 s left, 2 failed"
    assert counts.news == ["warning: job 0 ('a'): ValueError"], "a repeated error is reported once"
    counts.add([JobEnded(Outcome("b", rank=1))] * 38)
    assert counts.text().startswith("2.00 jobs/s")


def test_ranks_get_the_callers_modules_but_not_those_of_its_own_python() -> None:
    path = list(run_jobs.module_path())
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
from mpirender.engines.base import BackendDevice
from mpirender.job.programs import Programs
gpus = [BackendDevice("egl", device, "NVIDIA H100") for device in (0, 1)]
engine = SimpleNamespace(BACKENDS=("egl",), backend_devices=lambda job, backend: gpus, environment=lambda device: {})
for alone in (0, 1, 2, None):
    with backends.chosen(MPI.COMM_WORLD, engine, Programs(), local_rank=alone) as device:
        print(device.device)
"""


def test_ranks_without_a_launcher_share_the_gpus_of_a_machine_too() -> None:
    done = told([sys.executable, "-c", ON_TWO_GPUS], env={**os.environ, **variables(1, os.environ, root=True)})
    assert done.stdout.split() == ["0", "1", "0", "0"], done.stderr


def test_ranks_run_in_containers(apptainer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "paraview.sif"
    image.touch()
    monkeypatch.setenv("PYTHON", sys.executable)
    (outcome,) = run(partial(errands.scaled, factor=2), [2], container=str(image))
    assert outcome.get() == 4
    words = (tmp_path / "called").read_text().splitlines()
    assert f'type=bind,"source={Path(errands.__file__).parent}","destination={Path(errands.__file__).parent}"' in words
