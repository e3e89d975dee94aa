from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from mpirender import launcher
from mpirender.job import RenderJob
from mpirender.launcher import Casualty


def job(tmp_path: Path, **options: object) -> RenderJob:
    return RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out put", **options)


@pytest.mark.parametrize(("ranks", "cores", "threads"), [(1, 2, "2"), (2, 2, "1"), (3, 2, "1"), (4, 64, "16")])
def test_ranks_share_the_cores_of_the_machine(tmp_path: Path, ranks: int, cores: int, threads: str) -> None:
    added = launcher.settings(job(tmp_path, ranks=ranks), {}, core_count=cores)
    assert {added[name] for name in launcher.THREAD_LIMITS} == {threads}


def test_what_the_user_has_set_is_respected(tmp_path: Path) -> None:
    environ = {"LP_NUM_THREADS": "7", "PYTHONPATH": "/site", "OMPI_MCA_rmaps_base_oversubscribe": "0"}
    added = launcher.settings(job(tmp_path), environ, core_count=2)
    assert "LP_NUM_THREADS" not in added
    assert "OMPI_MCA_rmaps_base_oversubscribe" not in added
    assert added["PYTHONPATH"].endswith(f"{os.pathsep}/site")


def test_root_is_allowed_only_where_the_user_is_root(tmp_path: Path) -> None:
    assert "OMPI_ALLOW_RUN_AS_ROOT" in launcher.settings(job(tmp_path), {}, core_count=1, root=True)
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in launcher.settings(job(tmp_path), {}, core_count=1)


def test_the_shown_command_survives_a_shell(tmp_path: Path) -> None:
    command = launcher.command(job(tmp_path, ranks=3))
    assert command[1:3] == ["-n", "3"]
    assert command[-3:] == ["-m", "mpirender.rank", str(tmp_path / "out put" / ".mpirender" / "job.json")]
    assert shlex.split(launcher.shown(command, {"A": "b c"})) == ["env", "A=b c", *command]


def test_only_the_package_itself_is_put_in_front_of_the_hosts_own_packages() -> None:
    found = sorted(path.name for path in (launcher.PACKAGE / "hosted").iterdir())
    assert [name for name in found if name != "__pycache__"] == ["mpirender"]


OPEN_MPI_KILLED = """\
--------------------------------------------------------------------------
Primary job  terminated normally, but 1 process returned
a non-zero exit code. Per user-direction, the job has been aborted.
--------------------------------------------------------------------------
mpiexec noticed that process rank 1 with PID 0 on node n1 exited on signal 9 (Killed).
"""
OPEN_MPI_EXIT = """\
mpiexec detected that one or more processes exited with non-zero status, thus causing
the job to be terminated. The first process to do so was:
  Process name: [[26388,1],12]
  Exit code:    3
"""
OPEN_MPI_5_EXIT = """\
prterun detected that one or more processes exited with non-zero status,
thus causing the job to be terminated. The first process to do so was:

   Process name: [prterun-n1-12345@1,2] Exit code:    7
"""
OPEN_MPI_IMPROPER = """\
mpiexec has exited due to process rank 2 with PID 0 on
node n1 exiting improperly. There are three reasons this could occur:
"""
MPICH = """\
===================================================================================
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 4711 RUNNING AT n1
=   EXIT CODE: 9
=   CLEANING UP REMAINING PROCESSES
"""
SRUN = """\
srun: error: n2: task 3: Segmentation fault
srun: error: n1: tasks 0-2: Terminated
"""
ITSELF = """\
mpirender: error: rank 1 of 4 on n1: MemoryError: no more
MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD
"""


@pytest.mark.parametrize(
    ("said", "casualty"),
    [
        (OPEN_MPI_KILLED, Casualty(1, None, "signal SIGKILL")),
        (OPEN_MPI_EXIT, Casualty(12, None, "exit code 3")),
        (OPEN_MPI_5_EXIT, Casualty(2, None, "exit code 7")),
        (OPEN_MPI_IMPROPER, Casualty(2, None, "improperly")),
        (MPICH, Casualty(None, 4711, "signal SIGKILL")),
        (SRUN, Casualty(3, None, "Segmentation fault")),
        (ITSELF, Casualty(1, None, "MemoryError: no more")),
        ("slurmstepd: something else", Casualty()),
    ],
)  # fmt: skip
def test_the_rank_that_died_first_is_found_in_what_launchers_say(said: str, casualty: Casualty) -> None:
    assert launcher.first_death(said.splitlines()) == casualty


@pytest.mark.parametrize(("code", "text"), [(-9, "signal SIGKILL"), (139, "signal SIGSEGV"), (3, "exit code 3")])
def test_an_exit_code_is_told_as_the_signal_behind_it(code: int, text: str) -> None:
    assert launcher.ending(code) == text
