from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from mpirender.errors import LaunchFailed, UsageError
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line, exit_diagnosis
from mpirender.launcher.environment import PACKAGE, settings
from mpirender.launcher.exit_diagnosis import Casualty
from mpirender.launcher.placement import Placement, Way, in_allocation, on_this_host, spread
from mpirender.ranks import backends
from mpirender.system import slurm
from mpirender.system.slurm import Allocation
from processes import Run

Pattern = Callable[..., Path]


def job(tmp_path: Path, **options: object) -> RenderJob:
    return RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out put", **options)


def test_the_mpiexec_beside_pvbatch_is_taken_since_kitwares_binaries_bring_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a link leads to pvbatch; another one that is asked for wins."""
    for place in ("ParaView/bin", "bin", "mpi"):
        (tmp_path / place).mkdir(parents=True)
    for program in ("ParaView/bin/pvbatch", "ParaView/bin/mpiexec", "mpi/mpiexec"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    (tmp_path / "bin" / "pvbatch").symlink_to(tmp_path / "ParaView" / "bin" / "pvbatch")
    monkeypatch.setenv("PATH", str(tmp_path / "mpi"))
    own = str(tmp_path / "ParaView" / "bin" / "mpiexec")
    for pvbatch in ("ParaView/bin/pvbatch", "bin/pvbatch"):
        assert command_line.mpiexec(RenderJob("x.pvsm", pvbatch=str(tmp_path / pvbatch))) == own
    assert command_line.mpiexec(RenderJob("x.pattern")) == str(tmp_path / "mpi" / "mpiexec")
    monkeypatch.setenv("MPIRENDER_PVBATCH", str(tmp_path / "bin" / "pvbatch"))
    assert command_line.mpiexec(RenderJob("x.pvsm")) == own
    asked = RenderJob("x.pvsm", mpiexec=str(tmp_path / "mpi" / "mpiexec"))
    assert command_line.mpiexec(asked) == str(tmp_path / "mpi" / "mpiexec")


@pytest.mark.parametrize(("ranks", "cores", "threads"), [(1, 2, 2), (2, 2, 1), (3, 2, 1), (4, 64, 16)])
def test_ranks_share_the_cores_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks: int, cores: int, threads: int
) -> None:
    monkeypatch.setattr("mpirender.launcher.placement.cores", lambda: cores)
    placement = on_this_host(job(tmp_path, ranks=ranks))
    assert (placement.ranks, placement.threads) == (ranks, threads)
    added = settings(placement.threads, {})
    assert {added[name] for name in backends.THREAD_LIMITS} == {str(threads)}


def test_what_the_user_has_set_is_respected() -> None:
    environ = {"LP_NUM_THREADS": "7", "PYTHONPATH": "/site", "OMPI_MCA_rmaps_base_oversubscribe": "0"}
    added = settings(2, environ)
    assert "LP_NUM_THREADS" not in added
    assert "OMPI_MCA_rmaps_base_oversubscribe" not in added
    assert added["PYTHONPATH"].endswith(f"{os.pathsep}/site")


def test_on_one_machine_no_fast_network_is_looked_for() -> None:
    assert settings(1, {})["OMPI_MCA_pml"] == "ob1"
    assert "OMPI_MCA_pml" not in settings(1, {}, in_slurm=True)
    assert "OMPI_MCA_pml" not in settings(1, {"OMPI_MCA_pml": "ucx"})


def test_root_is_allowed_only_where_the_user_is_root() -> None:
    assert "OMPI_ALLOW_RUN_AS_ROOT" in settings(1, {}, root=True)
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in settings(1, {})


def test_the_shown_command_survives_a_shell(tmp_path: Path) -> None:
    command = command_line.command(job(tmp_path, ranks=3), Placement(3, 1))
    assert command[1:3] == ["-n", "3"]
    assert command[-3:] == ["-m", "mpirender.ranks", str(tmp_path / "out put" / ".mpirender" / "job.json")]
    assert shlex.split(command_line.shown(command, {"A": "b c"})) == ["env", "A=b c", *command]


def test_only_the_package_itself_is_put_in_front_of_the_hosts_own_packages() -> None:
    found = sorted(path.name for path in (PACKAGE / "hosted").iterdir())
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
    assert exit_diagnosis.first_death(said.splitlines()) == casualty


@pytest.mark.parametrize(("code", "text"), [(-9, "signal SIGKILL"), (139, "signal SIGSEGV"), (3, "exit code 3")])
def test_an_exit_code_is_told_as_the_signal_behind_it(code: int, text: str) -> None:
    assert exit_diagnosis.ending(code) == text


def test_no_x_server_of_others_is_touched_since_its_end_would_take_mpiexec_along(run: Run, pattern: Pattern) -> None:
    """Where hwloc has its gl component, mpiexec connects to the displays 0 to 9."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0/tmp/.X11-unix/X9")  # where Xlib looks first
        server.listen()
        server.setblocking(False)
        done = run("render", pattern('{"frames": 2}'), "--size", "80x50", "--ranks", 1, timeout=60)
        assert done.returncode == 0, done.stderr
        with pytest.raises(BlockingIOError):
            server.accept()


# --- nodes of a Slurm allocation


@pytest.mark.parametrize(
    ("ranks", "room", "shares"),
    [
        (4, {"n1": 8, "n2": 8}, {"n1": 2, "n2": 2}),
        (3, {"n1": 8, "n2": 8}, {"n1": 2, "n2": 1}),
        (1, {"n1": 8, "n2": 8}, {"n1": 1}),
        (6, {"n1": 5, "n2": 1}, {"n1": 5, "n2": 1}),
        (12, {"n1": 5, "n2": 1}, {"n1": 10, "n2": 2}),
        (7, {"a": 1, "b": 1, "c": 1}, {"a": 3, "b": 2, "c": 2}),
    ],
)
def test_ranks_are_shared_among_nodes_by_their_room(ranks: int, room: dict[str, int], shares: dict[str, int]) -> None:
    assert spread(ranks, room) == shares


def allocation(**options: object) -> Allocation:
    usual = {"node_list": "n[1-2]", "nodes": {"n1": 4, "n2": 2}, "threads": 2, "placed": True}
    return Allocation(**{"job": "17", "cluster": "c", "run": 1, **usual, **options})


def test_the_ranks_and_nodes_are_those_that_slurm_gives_and_need_not_be_named(tmp_path: Path) -> None:
    placement = in_allocation(job(tmp_path), allocation())
    assert (placement.ranks, placement.threads, placement.nodes) == (6, 2, {"n1": 4, "n2": 2})
    assert command_line.start(job(tmp_path), placement)[1:] == ["-n", "6"]


def test_fewer_ranks_than_there_is_room_for_use_all_nodes_and_more_threads(tmp_path: Path) -> None:
    wish = job(tmp_path, ranks=3)
    placement = in_allocation(wish, allocation())
    assert (placement.ranks, placement.threads) == (3, 4)
    assert command_line.start(wish, placement)[1:] == ["-n", "3", "-host", "n1:2,n2:1"]


def test_where_slurm_knows_no_tasks_the_nodes_are_named(tmp_path: Path) -> None:
    placement = in_allocation(job(tmp_path), allocation(placed=False))
    assert command_line.start(job(tmp_path), placement)[1:] == ["-n", "6", "-host", "n1:4,n2:2"]


def test_the_nodes_that_are_left_keep_their_ranks(tmp_path: Path) -> None:
    left = in_allocation(job(tmp_path), allocation()).on(["n2"])
    assert (left.ranks, left.nodes) == (2, {"n2": 2})
    assert command_line.start(job(tmp_path), left)[1:] == ["-n", "2", "-host", "n2:2"]


def test_ranks_that_share_frames_make_whole_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpirender.launcher.placement.cores", lambda: 8)
    placed = [on_this_host(job(tmp_path, ranks_per_frame=3, ranks=ranks)) for ranks in (None, 3, 7)]
    assert [(one.ranks, one.groups, one.spare) for one in placed] == [(6, 2, 2), (3, 1, 0), (6, 2, 1)]
    assert on_this_host(job(tmp_path, ranks_per_frame=3), 1).ranks == 3, "one image is one group's"
    assert on_this_host(job(tmp_path, ranks_per_frame=12)).ranks == 12, "more than there are cores, as asked"
    assert command_line.start(job(tmp_path), placed[2])[1:] == ["-n", "6"]
    handing_out = on_this_host(job(tmp_path, ranks_per_frame=3, schedule="dynamic"))
    assert (handing_out.ranks, handing_out.processes) == (6, 7)
    assert on_this_host(job(tmp_path, ranks_per_frame=6, schedule="dynamic")).processes == 6, "nobody to hand out to"


def test_groups_within_an_allocation_leave_out_what_makes_no_whole_one(tmp_path: Path) -> None:
    placed = in_allocation(job(tmp_path, ranks_per_frame=4), allocation())
    assert (placed.ranks, placed.groups, placed.spare, placed.nodes) == (4, 1, 2, {"n1": 3, "n2": 1})
    with pytest.raises(UsageError, match="--ranks-per-frame 7: Slurm gave this job room for 6 ranks; ask it for more"):
        in_allocation(job(tmp_path, ranks_per_frame=7), allocation())
    several = in_allocation(job(tmp_path, ranks_per_frame=2), allocation())
    left = several.on(["n1"])
    assert (left.ranks, left.nodes, left.spare) == (4, {"n1": 4}, 0)
    three = in_allocation(job(tmp_path, ranks_per_frame=3), allocation()).on(["n1"])
    assert (three.ranks, three.nodes, three.spare) == (3, {"n1": 3}, 1)
    assert command_line.start(job(tmp_path), three)[1:] == ["-n", "3", "-host", "n1:3"]
    assert in_allocation(job(tmp_path, ranks_per_frame=3), allocation()).on(["n2"]).ranks == 0


def test_srun_puts_as_many_ranks_on_each_node_as_they_have_room_for() -> None:
    even = command_line.srun(Placement(4, 1, Way("srun", "pmix"), {"n1": 2, "n2": 2}))
    assert even[-4:] == ["--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--nodelist=n1,n2"]
    assert "--mpi=pmix" in even
    uneven = command_line.srun(Placement(3, 1, Way("srun"), {"n1": 2, "n2": 1}))
    assert uneven[-4:] == ["--nodes=2", "--ntasks=3", "--distribution=arbitrary", "--nodelist=n1,n1,n2"]
    assert not any(word.startswith("--mpi") for word in uneven)


def test_a_job_on_one_node_is_known_without_slurms_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that lacks them."""
    monkeypatch.setenv("PATH", "/nowhere")
    environ = {
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NODELIST": "n7",
        "SLURM_JOB_CPUS_PER_NODE": "8",
        "SLURM_TASKS_PER_NODE": "8",
    }
    found = slurm.allocation({**environ, "SLURM_CPUS_PER_TASK": "2", "SLURM_RESTART_COUNT": "2"})
    assert found == Allocation("17", "", 3, "n7", {"n7": 4}, 2, placed=False)
    with pytest.raises(LaunchFailed, match="scontrol is not found; put Slurm's commands on PATH"):
        slurm.allocation({**environ, "SLURM_JOB_NODELIST": "n[7-8]"})
    assert slurm.allocation({}) is None


@pytest.mark.parametrize(("text", "counts"), [("8", [8]), ("8(x2),4", [8, 8, 4]), ("1(x3)", [1, 1, 1])])
def test_counts_per_node_are_read_as_slurm_writes_them(text: str, counts: list[int]) -> None:
    assert slurm.per_node(text) == counts


def test_ranks_that_were_not_asked_for_are_not_more_than_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpirender.launcher.placement.cores", lambda: 8)
    assert [on_this_host(job(tmp_path), most).ranks for most in (20, 3, 0)] == [8, 3, 1]
    assert on_this_host(job(tmp_path), 2).threads == 4
    assert on_this_host(job(tmp_path, ranks=5), 3).ranks == 5
    few = in_allocation(job(tmp_path), allocation(), 3)
    assert (few.ranks, few.nodes, few.threads) == (3, {"n1": 2, "n2": 1}, 4)
