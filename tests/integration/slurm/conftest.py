"""Shared fixtures: one real Slurm cluster of three nodes, and sbatch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import need
from repository import REPOSITORY
from slurm_cluster import PROGRAMS, Cluster
from slurm_jobs import PROGRAM, SCRIPT, Submit
from waiting import wait_for


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    for program in PROGRAMS:
        need(program)
    if os.geteuid() != 0:
        pytest.skip("a cluster in namespaces of its own needs root")
    shared = [tmp_path_factory.getbasetemp(), REPOSITORY, Path(sys.prefix)]
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    with Cluster(folder, shared) as cluster:
        cluster.environment["PATH"] += f":{PROGRAM.parent}"
        yield cluster


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """Give each test a cluster whose nodes are all up and idle."""
    running_cluster.repair()
    yield running_cluster
    running_cluster.run("scancel", "--user=root")
    wait_for(lambda: not running_cluster.ask("squeue", "-h", "-t", "running,completing"), 60)


@pytest.fixture
def sbatch(cluster: Cluster, tmp_path: Path) -> Submit:
    """Submit the script as users do: sbatch's options, then render's arguments; return the job number."""

    def sbatch(options: tuple[str, ...], *arguments: object, script: Path = SCRIPT) -> str:
        words = [*options, script, *arguments]
        done = cluster.run("sbatch", "--parsable", f"--output={tmp_path}/log", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return sbatch
