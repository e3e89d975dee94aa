"""Place ranks on the local machine or on the nodes of an allocation."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender.errors import LaunchFailed, UsageError
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line
from mpirender.launcher.environment import variables
from mpirender.launcher.placement import (
    LARGEST,
    Launcher,
    Placement,
    RankRequest,
    in_allocation,
    notes,
    on_this_host,
    spread,
)
from mpirender.system import host, slurm
from mpirender.system.slurm import Allocation


def job(tmp_path: Path, **options: object) -> RenderJob:
    return RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out put", **options)


def request(tmp_path: Path, images: int = LARGEST, **options: object) -> RankRequest:
    return RankRequest.of(job(tmp_path, **options), images)


@pytest.mark.parametrize(("ranks", "cores", "threads"), [(1, 2, 2), (2, 2, 1), (3, 2, 1), (4, 64, 16)])
def test_ranks_share_the_cores_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks: int, cores: int, threads: int
) -> None:
    monkeypatch.setattr("mpirender.launcher.placement.cores", lambda: cores)
    placement = on_this_host(request(tmp_path, ranks=ranks))
    assert (placement.ranks, placement.threads) == (ranks, threads)
    added = variables(placement.threads, {})
    assert {added[name] for name in host.THREAD_LIMITS} == {str(threads)}


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


def test_more_ranks_than_the_memory_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "memory", lambda: 4 * 1024**3)
    assert on_this_host(request(tmp_path, ranks=64)).ranks == 64
    with pytest.raises(UsageError, match="65 ranks do not fit into the"):
        on_this_host(request(tmp_path, ranks=65))
    assert on_this_host(request(tmp_path, ranks=65, oversubscribe=True)).ranks == 65


def allocation(**options: object) -> Allocation:
    usual = {"node_list": "n[1-2]", "nodes": {"n1": 4, "n2": 2}, "threads": 2, "placed": True, "most": 6}
    return Allocation(**{"job": "17", "cluster": "c", "run": 1, **usual, **options})


def test_the_ranks_and_nodes_are_those_that_slurm_gives_and_need_not_be_named(tmp_path: Path) -> None:
    placement = in_allocation(request(tmp_path), allocation())
    assert (placement.ranks, placement.threads, placement.nodes) == (6, 2, {"n1": 4, "n2": 2})
    assert command_line.start(placement)[1:] == ["-n", "6"]


def test_fewer_ranks_than_there_is_room_for_use_all_nodes_and_more_threads(tmp_path: Path) -> None:
    placement = in_allocation(request(tmp_path, ranks=3), allocation())
    assert (placement.ranks, placement.threads) == (3, 4)
    assert command_line.start(placement)[1:] == ["-n", "3", "-host", "n1:2,n2:1"]


def test_far_fewer_ranks_than_the_cores_allow_are_noted(tmp_path: Path) -> None:
    few = allocation(nodes={"n1": 1, "n2": 1}, threads=64, most=128)
    (line,) = notes(in_allocation(request(tmp_path), few))
    assert line.startswith("warning: 2 ranks, though there are cores for 128: ")
    assert line.endswith("or give --ranks 128")
    assert notes(in_allocation(request(tmp_path, ranks=2), few)) == []
    assert notes(in_allocation(request(tmp_path, images=3), few)) == []
    assert notes(in_allocation(request(tmp_path), allocation(most=12))) == []


def test_where_slurm_knows_no_tasks_the_nodes_are_named(tmp_path: Path) -> None:
    placement = in_allocation(request(tmp_path), allocation(placed=False))
    assert command_line.start(placement)[1:] == ["-n", "6", "-host", "n1:4,n2:2"]


def test_the_nodes_that_are_left_keep_their_ranks(tmp_path: Path) -> None:
    left = in_allocation(request(tmp_path), allocation()).on(["n2"])
    assert (left.ranks, left.nodes) == (2, {"n2": 2})
    assert command_line.start(left)[1:] == ["-n", "2", "-host", "n2:2"]


def test_ranks_that_share_frames_make_whole_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpirender.launcher.placement.cores", lambda: 8)
    placed = [on_this_host(request(tmp_path, ranks_per_frame=3, ranks=ranks)) for ranks in (None, 3, 7)]
    assert [(one.ranks, one.groups, one.spare) for one in placed] == [(6, 2, 2), (3, 1, 0), (6, 2, 1)]
    assert on_this_host(request(tmp_path, ranks_per_frame=3, images=1)).ranks == 3, "one image needs one group"
    assert on_this_host(request(tmp_path, ranks_per_frame=12)).ranks == 12, "--ranks-per-frame may exceed the cores"
    assert command_line.start(placed[2])[1:] == ["-n", "6"]
    handing_out = on_this_host(request(tmp_path, ranks_per_frame=3, schedule="dynamic"))
    assert handing_out.ranks == 6, "no further process hands out frames"


def test_groups_within_an_allocation_leave_out_what_makes_no_whole_one(tmp_path: Path) -> None:
    placed = in_allocation(request(tmp_path, ranks_per_frame=4), allocation())
    assert (placed.ranks, placed.groups, placed.spare, placed.nodes) == (4, 1, 2, {"n1": 3, "n2": 1})
    with pytest.raises(UsageError, match=r"^ranks_per_frame 7: this Slurm job has room for 6 ranks; request more"):
        in_allocation(request(tmp_path, ranks_per_frame=7), allocation())
    several = in_allocation(request(tmp_path, ranks_per_frame=2), allocation())
    left = several.on(["n1"])
    assert (left.ranks, left.nodes, left.spare) == (4, {"n1": 4}, 0)
    three = in_allocation(request(tmp_path, ranks_per_frame=3), allocation()).on(["n1"])
    assert (three.ranks, three.nodes, three.spare) == (3, {"n1": 3}, 1)
    assert command_line.start(three)[1:] == ["-n", "3", "-host", "n1:3"]
    assert in_allocation(request(tmp_path, ranks_per_frame=3), allocation()).on(["n2"]).ranks == 0


def test_srun_puts_as_many_ranks_on_each_node_as_they_have_room_for() -> None:
    even = command_line.srun(Placement(4, 1, Launcher("srun", "srun", "pmix"), {"n1": 2, "n2": 2}))
    assert even[-4:] == ["--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--nodelist=n1,n2"]
    assert "--mpi=pmix" in even
    uneven = command_line.srun(Placement(3, 1, Launcher("srun"), {"n1": 2, "n2": 1}))
    assert uneven[-4:] == ["--nodes=2", "--ntasks=3", "--distribution=arbitrary", "--nodelist=n1,n1,n2"]
    assert not any(word.startswith("--mpi") for word in uneven)


def test_a_job_on_one_node_is_known_without_slurms_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may lack these commands."""
    monkeypatch.setenv("PATH", "/nowhere")
    environ = {
        "SLURM_JOB_ID": "17",
        "SLURM_JOB_NODELIST": "n7",
        "SLURM_JOB_CPUS_PER_NODE": "8",
        "SLURM_TASKS_PER_NODE": "8",
    }
    found = slurm.allocation({**environ, "SLURM_CPUS_PER_TASK": "2", "SLURM_RESTART_COUNT": "2"})
    assert found == Allocation("17", "", 3, "n7", {"n7": 4}, 2, placed=False, most=4)
    with pytest.raises(LaunchFailed, match="scontrol is not found; put Slurm's commands on PATH"):
        slurm.allocation({**environ, "SLURM_JOB_NODELIST": "n[7-8]"})
    assert slurm.allocation({}) is None


@pytest.mark.parametrize(
    ("tasks", "threads", "asked", "nodes", "placed"),
    [
        ("2", "1", {}, {"n1": 4, "n2": 4}, False),
        ("4", "2", {}, {"n1": 4, "n2": 4}, False),
        ("2", "1", {"SLURM_CPUS_PER_TASK": "2"}, {"n1": 2, "n2": 2}, False),
        ("2", "1", {"SLURM_NTASKS_PER_NODE": "1"}, {"n1": 1, "n2": 1}, True),
        ("2", "", {}, {"n1": 1, "n2": 1}, True),
    ],
)
def test_the_tasks_that_slurm_counts_because_of_threads_per_core_do_not_count(
    tasks: str, threads: str, asked: dict[str, str], nodes: dict[str, int], placed: bool
) -> None:
    environ = {
        "SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n1,n2", "SLURM_JOB_CPUS_PER_NODE": "4(x2)",
        "SLURM_NTASKS": tasks, "SLURM_TASKS_PER_NODE": "1(x2)", "SLURM_THREADS_PER_CORE": threads,
    }  # fmt: skip
    found = slurm.allocation({**environ, **asked})
    assert (found.nodes, found.placed, found.uncounted) == (nodes, placed, not placed)


@pytest.mark.parametrize(("text", "counts"), [("8", [8]), ("8(x2),4", [8, 8, 4]), ("1(x3)", [1, 1, 1])])
def test_counts_per_node_are_read_as_slurm_writes_them(text: str, counts: list[int]) -> None:
    assert slurm.per_node({"X": text}, "X", 3) == counts


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (
            {},
            "SLURM_JOB_CPUS_PER_NODE is not set; Slurm sets it to a list of counts such as 8(x2),4; start mpirender in",
        ),
        ({"SLURM_JOB_CPUS_PER_NODE": "many"}, "SLURM_JOB_CPUS_PER_NODE is 'many', not a list of counts"),
        ({"SLURM_JOB_CPUS_PER_NODE": "2(x999999999)", "SLURM_NTASKS": "2"}, "SLURM_TASKS_PER_NODE is not set"),
        ({"SLURM_JOB_CPUS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "²"}, "SLURM_CPUS_PER_TASK is '²', not a number"),
        ({"SLURM_JOB_CPUS_PER_NODE": "2", "SLURM_RESTART_COUNT": "-1"}, "SLURM_RESTART_COUNT is '-1', not a number"),
    ],
)
def test_a_variable_that_is_not_as_slurm_sets_it_is_named(odd: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        slurm.allocation({"SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n7", **odd})
    assert caught.value.message.startswith(message)


def test_ranks_are_not_more_than_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpirender.launcher.placement.cores", lambda: 8)
    assert [on_this_host(request(tmp_path, images=most)).ranks for most in (20, 3, 0)] == [8, 3, 1]
    assert on_this_host(request(tmp_path, images=2)).threads == 4
    capped = on_this_host(request(tmp_path, ranks=7, images=3, ranks_per_frame=2))
    assert (capped.ranks, notes(capped)) == (
        6, ["6 ranks instead of 7: there are no images for more (--oversubscribe starts them all)"]
    )  # fmt: skip
    assert on_this_host(request(tmp_path, ranks=5, images=3, oversubscribe=True)).ranks == 5
    assert in_allocation(request(tmp_path, ranks=9, images=3), allocation()).idle == 6
    few = in_allocation(request(tmp_path, images=3), allocation())
    assert (few.ranks, few.nodes, few.threads) == (3, {"n1": 2, "n2": 1}, 4)
