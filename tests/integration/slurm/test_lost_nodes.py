"""Lose nodes of a Slurm job while it renders."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_cluster import Cluster
from slurm_jobs import (
    PROGRAM,
    SMALL,
    TWO_BY_TWO,
    Submit,
    assert_each_frame_was_done_once,
    deaths,
    ended,
    slow_scene,
    some_are_done,
    story,
    waits,
)
from waiting import wait_for

pytestmark = pytest.mark.slow


def test_a_node_that_is_set_down_leads_to_a_requeue_with_the_nodes_that_are_left_and_a_finished_movie(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    """With --nodes=MIN-MAX and without a number of tasks, a job starts with fewer nodes than before."""

    def take_away(node: str, state: str) -> None:
        cluster.ask("scontrol", "update", f"nodename={node}", f"state={state}", "reason=test")

    output = tmp_path / "slow_renders"
    take_away("n3", "drain")
    number = sbatch(("--nodes=1-2", "--exclusive", "--cpus-per-task=4"), slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    take_away("n2", "down")
    take_away("n2", "drain")  # a node that responds does not stay down
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log
    assert_each_frame_was_done_once(output, 60)
    assert f"Slurm job {number}: 4 ranks on n[1-2]" in log
    assert f"Slurm starts job {number} again by itself and continues with the remaining images" in log
    assert f"Slurm job {number}, started for the 2nd time: 2 ranks on n1" in log


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_without_kill_a_run_goes_on_when_a_node_crashes(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, how: str
) -> None:
    output = tmp_path / "slow_renders"
    options = ("--nodes=3", "--ntasks-per-node=2", "--no-kill")
    number = sbatch(options, slow_scene(tmp_path, 100), *SMALL, "--launcher", how)
    some_are_done(output)
    cluster.crash("n2")
    job = ended(cluster, number, 180)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "0"), log
    assert_each_frame_was_done_once(output, 100)
    assert len(deaths(output)) == 1, story(output)()
    (death,) = deaths(output)
    assert death.reason == "node n2 no longer responds"
    assert (death.blamed, death.lost) == ((), ("n2",))
    assert "lost nodes  n2; all frames are complete" in log
    assert re.search(rf"Slurm job {number}: 4 ranks on n1,n3 by {how}", log)


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_crashed_node_leads_to_a_requeue_and_a_finished_movie(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, node: str
) -> None:
    """The batch script runs on n1: if n1 crashes, no process is left to release the lock."""
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 200), *SMALL)
    some_are_done(output)
    cluster.crash(node)
    wait_for(lambda: waits(cluster, number), 60)
    with aged(output / ".mpirender" / "lock"):  # only a minute without a sign of life tells that the run has ended
        assert f"; Slurm starts job {number} again by itself" in cluster.ask(PROGRAM, "status", output)
    job = ended(cluster, number, 240)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log
    assert_each_frame_was_done_once(output, 200)
    assert f"lost nodes  {node}; all frames are complete" in log


@contextlib.contextmanager
def aged(file: Path) -> Iterator[None]:
    """Make a file old during the block, if it is there."""
    if not file.exists():
        yield
        return
    before = file.stat()
    os.utime(file, (before.st_atime - 100, before.st_mtime - 100))
    yield
    os.utime(file, (before.st_atime, before.st_mtime))


def test_a_launcher_that_has_worked_gets_another_try(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    """For example, a node responds slowly: the probe succeeds, but the first launch fails."""
    moody = tmp_path / "mpiexec"
    once = f'[[ " $* " != *" --hello "* ]] && mkdir {tmp_path}/tried 2>/dev/null && exit 205'
    moody.write_text(f'#!/bin/bash\n{once}\nexec mpiexec "$@"\n')
    moody.chmod(0o755)
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 8, 0.01), *SMALL, "--mpiexec", moody)
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert job["JobState"] == "COMPLETED", log
    assert "warning: mpiexec ended before a rank was up (exit code 205); starting again" in log
    assert_each_frame_was_done_once(tmp_path / "slow_renders", 8)
