"""Nodes of a Slurm job come and go: the cloud announces that it takes one away, and others become free."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import metadata_server
from metadata_server import notice
from mpirender.system import instance_metadata
from records import records
from slurm_cluster import Cluster
from slurm_jobs import (
    SCRIPT,
    SMALL,
    Submit,
    assert_each_frame_was_done_once,
    ended,
    slow_scene,
    some_are_done,
    story,
    waits,
)
from waiting import wait_for

pytestmark = pytest.mark.slow
PORT = 8080


@pytest.fixture
def announcements(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """Run a metadata service for all nodes; return its folder, in which files are named after addresses of nodes."""
    address = f"{cluster.network}.254:{PORT}"
    command = cluster.command(sys.executable, metadata_server.__file__, address, tmp_path)
    cluster.environment[instance_metadata.ENDPOINT] = f"http://{address}"
    with subprocess.Popen(command) as server:
        yield tmp_path
        server.kill()
    del cluster.environment[instance_metadata.ENDPOINT]


def test_a_run_leaves_a_node_before_it_is_taken_away(
    cluster: Cluster, sbatch: Submit, announcements: Path, tmp_path: Path
) -> None:
    output = tmp_path / "slow_renders"
    options = ("--nodes=3", "--ntasks-per-node=2", "--no-kill")
    arguments = ("--spot-notices", "on", "--price", 0.34)
    number = sbatch(options, slow_scene(tmp_path, 300), *SMALL, *arguments)
    some_are_done(output)
    (announcements / f"{cluster.network}.2.instance-action").write_text(notice(50))
    wait_for(lambda: [one for one in records(output, "start") if one.launch == 2], 60, story(output))
    cluster.crash("n2")
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "0"), log
    assert_each_frame_was_done_once(output, 300)
    assert sorted(record.image.frame for record in records(output, "take")) == list(range(300)), "no image was lost"
    when = r"\d\d:\d\d:\d\d"
    assert re.search(rf"warning: node n2 will be taken away at {when}; its ranks end their images\n", log)
    assert re.search(rf"Slurm job {number}: 4 ranks on n1,n3 by mpiexec", log)
    assert re.search(rf" spot  node n2 (was|will be) taken away at {when}\n", log)
    assert [record.names for record in records(output, "nodes")] == [("n1", "n2", "n3"), ("n1", "n3")]


def test_a_job_starts_again_on_the_nodes_that_have_become_free(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    output, script = tmp_path / "slow_renders", tmp_path / "elastic.slurm"
    script.write_text(SCRIPT.read_text().replace("#SBATCH --nodes=1\n", "#SBATCH --nodes=1-3 --ntasks-per-node=2\n"))
    other = cluster.ask("sbatch", "--parsable", "--nodelist=n2,n3", "--exclusive", "--wrap=sleep 1000").strip()
    wait_for(lambda: not waits(cluster, other), 30)
    # Slurm gives a job with 2 tasks on 1 node at most 2 nodes. The slow images let the rest seem to take minutes.
    scene = slow_scene(tmp_path, 1200, [0.8] * 120 + [0.01] * 1080)
    number = sbatch(("--no-kill",), scene, *SMALL, script=script)
    some_are_done(output)
    assert cluster.job(number)["NumNodes"] == "1"
    cluster.ask("scancel", other)
    wait_for(lambda: waits(cluster, number), 90, story(output))
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log
    assert_each_frame_was_done_once(output, 1200)
    assert len(records(output, "take")) == 1200, "images in progress were finished"
    pays = r"2 nodes are available instead of 1: what is left takes \d min \d\d s, with a restart about \d min \d\d s"
    assert re.search(rf"error: {pays}; \d+ of 1200 images are done; Slurm job {number} is requeued and will", log)
    assert f"Slurm job {number}, started for the 2nd time: 4 ranks on n[" in log
