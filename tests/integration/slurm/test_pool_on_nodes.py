"""Run a pool over the nodes of a Slurm job."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from slurm_cluster import Cluster
from slurm_jobs import TWO_BY_TWO, ended
from waiting import wait_for

pytestmark = pytest.mark.slow
POOL = """
import socket, sys, time
from mpirender import pool

def where(number):
    time.sleep(0.3)
    return socket.gethostname()

def note(outcome):
    with open("done", "a") as file:
        file.write(f"{outcome.number}\\n")

if __name__ == "__main__":
    for outcome in pool.run(where, range(int(sys.argv[2])), engine="pattern", launcher=sys.argv[1], watch=note):
        print("outcome", outcome.number, outcome.get() == outcome.host, outcome.rank, outcome.host)
"""


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_pool_has_its_ranks_on_all_nodes_though_it_is_called_on_none_of_them(
    cluster: Cluster, tmp_path: Path, how: str
) -> None:
    (tmp_path / "where.py").write_text(POOL)
    done = cluster.run("salloc", *TWO_BY_TWO, sys.executable, "where.py", how, 12, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    outcomes = re.findall(r"outcome (\d+) (True) (\d) (n\d)", done.stdout)
    assert [int(number) for number, *_ in outcomes] == list(range(12))
    hosts = {rank: host for *_, rank, host in outcomes}
    assert sorted(hosts) == ["0", "1", "2", "3"]
    assert hosts["0"] == hosts["1"] != hosts["2"] == hosts["3"], "the ranks must be on two nodes, two on each"
    assert list(tmp_path.glob("mpirender-pool-*")) == []


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_pool_goes_on_without_a_node_that_crashes(cluster: Cluster, tmp_path: Path, how: str) -> None:
    script = tmp_path / "where.sh"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} where.py {how} 60\n")
    (tmp_path / "where.py").write_text(POOL)
    options = ("--nodes=3", "--ntasks-per-node=2", "--no-kill", f"--output={tmp_path}/log")
    number = cluster.run("sbatch", "--parsable", *options, script, cwd=tmp_path).stdout.strip()
    wait_for((tmp_path / "done").exists, 180)
    cluster.crash("n2")
    job = ended(cluster, number, 180)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "0"), log
    assert re.search(r"warning: node n2 no longer responds; starting again", log)
    outcomes = re.findall(r"outcome (\d+) True (\d) (n\d)", log)
    assert [int(number) for number, *_ in outcomes] == list(range(60)), log
    assert {host for *_, host in outcomes[-4:]} == {"n1", "n3"}
