"""Nodes and time limit of a Slurm job, from an estimate."""

from __future__ import annotations

import pytest

from mpirender.batch import job_size
from mpirender.supervisor.estimate import Prediction
from mpirender.supervisor.estimate_report import Row


def row(nodes: int, frames: float, start: float = 10.0) -> Row:
    """Return the row of an estimate of a run on nodes of 10 cores."""
    one = Prediction(nodes, 10 * nodes, start, frames / nodes, 0.0, 0.0, error=60.0)
    return Row(one, nodes * 10 * one.total / 3600, None)


ROWS = [row(nodes, 3600.0) for nodes in job_size.NODES]


def test_a_job_gets_as_many_nodes_as_it_uses_well() -> None:
    assert job_size.choose(ROWS, {}).nodes == 64
    short = job_size.choose([row(nodes, 100.0) for nodes in job_size.NODES], {})
    assert short.nodes == 2, "on 4 nodes start-up would take 10 of 35 seconds"


def test_a_time_limit_gets_the_fewest_nodes_that_end_in_time() -> None:
    assert job_size.choose(ROWS, {"time": "30:00"}).nodes == 4
    assert job_size.choose(ROWS, {"time": "2:00:00"}).nodes == 1
    assert job_size.choose(ROWS, {"time": "1"}).nodes == 64, "it requeues itself then"


def test_the_time_limit_has_a_margin() -> None:
    size = job_size.choose(ROWS[:1], {"nodes": "1"})
    assert size.limit == "1:20:00", "1.25 times 3670 s in steps of 5 minutes"
    assert "takes about 1 h 00 min ± 1 min 00 s on 1 node with 10 ranks; time limit 1:20:00" in size.text


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("30", 1800), ("30:10", 1810), ("2:00:00", 7200), ("1-12", 129600), ("1-0:30", 88200), ("UNLIMITED", None)],
)
def test_time_limits_are_read_as_sbatch_does(limit: str, seconds: float | None) -> None:
    assert job_size.seconds_of(limit) == seconds


@pytest.mark.parametrize(("nodes", "counts"), [("4", [4]), ("2-8", [2]), ("", list(job_size.NODES))])
def test_numbers_of_nodes_are_those_that_are_asked_for(nodes: str, counts: list[int]) -> None:
    assert job_size.counts({"nodes": nodes} if nodes else {}) == counts
