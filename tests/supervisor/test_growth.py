"""When a Slurm job with fewer nodes than it may have starts again on more of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import sample_events
from journal_writer import Scribe
from mpirender.job.render_job import RenderJob
from mpirender.run_folder.events import SUPERVISOR, Event, Launch, Stop
from mpirender.run_folder.run_state import RunHistory, RunState
from mpirender.supervisor.growth import MORE_NODES, Growth, Possible, possible
from mpirender.system.slurm import Allocation
from mpirender.system.slurm_queue import NODES, FreeNodes


def allocation(run: int = 1) -> Allocation:
    return Allocation("17", "test", run, "n[1-2]", {"n1": 2, "n2": 2}, 1, placed=False, most=4)


def growth(tmp_path: Path, found: Possible, run: int = 1) -> Growth:
    made = Growth(RenderJob("a.pvsm", output=tmp_path), allocation(run))
    made.possible = found
    return made


def rendering(left: int, done: int = 10) -> RunState:
    """Return a run whose two ranks take a second for an image since ``done`` / 2 seconds."""
    now = time.time()
    recorded: list[Event] = [sample_events.at(Launch("r1", 1, 2, pid=1), SUPERVISOR, now - done / 2 - 5)]
    recorded += [sample_events.start(rank, now - done / 2 - 4) for rank in (0, 1)]
    recorded.append(sample_events.plan(left + done, time=now - done / 2 - 1))
    for frame in range(done):
        recorded.append(sample_events.take(frame % 2, frame, now - done / 2 + frame // 2))
        recorded.append(sample_events.done(frame % 2, frame, now - done / 2 + frame // 2 + 1))
    return RunHistory(recorded).runs["r1"]


@pytest.mark.parametrize(
    ("found", "left", "grows"),
    [
        (Possible(6), 2000, True), (Possible(6), 200, False), (Possible(3), 800, False), (Possible(3), 8000, True),
        (Possible(6, boots=True), 1000, False), (Possible(6, boots=True), 2000, True), (Possible(2), 8000, False),
        (Possible(), 8000, False),
    ],
)  # fmt: skip
def test_a_job_starts_again_on_more_nodes_if_that_clearly_saves_time(
    tmp_path: Path, found: Possible, left: int, grows: bool
) -> None:
    reason = growth(tmp_path, found).reason(rendering(left), 1.0)
    assert bool(reason) is grows, reason
    if grows:
        assert reason.startswith(f"{found.nodes} nodes are available instead of 2: what is left takes ")


def test_nodes_that_are_lost_do_not_count(tmp_path: Path) -> None:
    made = growth(tmp_path, Possible(2))
    assert not made.reason(rendering(8000), 1.0)
    made.forget(["n2"])
    assert not made.reason(rendering(8000), 1.0), "the lost node was counted"
    made.possible = Possible(2)
    assert made.reason(rendering(8000), 1.0).startswith("2 nodes are available instead of 1: ")


@pytest.mark.parametrize(
    ("job", "nodes", "wanted"), [("17", "n1", True), ("17", "n1,n2", False), ("16", "n1,n2", True)]
)
def test_a_job_that_got_no_more_nodes_does_not_try_again(tmp_path: Path, job: str, nodes: str, wanted: bool) -> None:
    scribe = Scribe(tmp_path)
    scribe.launch(job=job, cluster="test", nodes=nodes)
    scribe.write(SUPERVISOR, Stop(MORE_NODES), 10)
    assert growth(tmp_path, Possible(), run=2)._wanted is wanted


@pytest.mark.parametrize(
    ("nodes", "least", "most", "free", "found"),
    [
        (2, 1, 4, FreeNodes(1, 0), Possible(3)), (2, 1, 4, FreeNodes(5, 5), Possible(4)),
        (2, 1, 4, FreeNodes(1, 5), Possible(4, boots=True)), (2, 4, 4, FreeNodes(1, 0), Possible()),
        (2, 4, 4, FreeNodes(0, 2), Possible(4, boots=True)), (2, 1, 4, FreeNodes(), Possible(2)),
    ],
)  # fmt: skip
def test_what_slurm_could_give(nodes: int, least: int, most: int, free: FreeNodes, found: Possible) -> None:
    assert possible(nodes, least, most, free) == found


@pytest.mark.parametrize(
    ("asked", "tasks", "allowed"),
    [
        ((1, 16), "0", (1, 16)), ((2, 16), "4", (2, 8)), ((1, 16), "1", (1, 2)), ((1, 1), "0", (2, 2)),
        (None, "0", (2, 2)),
    ],
)  # fmt: skip
def test_with_how_many_nodes_a_job_may_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[int, int] | None, tasks: str, allowed: tuple[int, int]
) -> None:
    fields = {"Requeue": "1", "BatchFlag": "1", "NtasksPerN:B:S:C": f"{tasks}:0:*:*"}
    monkeypatch.setattr("mpirender.system.slurm.job_fields", lambda job: fields)
    monkeypatch.setattr("mpirender.system.slurm_queue.nodes_asked_for", lambda job: asked)
    assert growth(tmp_path, Possible())._allowed() == allowed
    fields["Requeue"] = "0"
    assert growth(tmp_path, Possible())._allowed() == (0, 0)


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("#SBATCH --nodes=1-16", ("1", "16")), ("#SBATCH --nodes 4", ("4", "")), ("#SBATCH -N2-3", ("2", "3")),
        ("#SBATCH --no-kill -N 2-3", ("2", "3")), ("# #SBATCH --nodes=2", None), ("#SBATCH --ntasks-per-node=4", None),
    ],
)  # fmt: skip
def test_the_number_of_nodes_in_a_batch_script(line: str, numbers: tuple[str, str] | None) -> None:
    assert NODES.findall(f"#!/bin/bash\n{line}\nmpirender render") == ([] if numbers is None else [numbers])
