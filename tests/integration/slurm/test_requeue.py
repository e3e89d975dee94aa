"""Requeue a job near its time limit, but not if it completes no image."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mpirender.run_folder.events import SUPERVISOR
from records import records
from slurm_cluster import Cluster
from slurm_jobs import (
    SMALL,
    TWO_BY_TWO,
    Submit,
    assert_each_frame_was_done_once,
    ended,
    slow_scene,
    some_are_done,
    start_now,
    status,
    story,
    waits,
)
from waiting import wait_for

pytestmark = pytest.mark.slow


def start_again(cluster: Cluster, number: str) -> None:
    """Wait until a job is back in the queue, then start it."""
    wait_for(lambda: waits(cluster, number))

    def started() -> bool:
        start_now(cluster, number)
        return not waits(cluster, number)

    wait_for(started)


def test_a_job_at_its_time_limit_requeues_itself_and_finishes_in_its_next_run(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    output = tmp_path / "slow_renders"
    notice = ("--on-end", f'echo "$MPIRENDER_OUTCOME" >> {tmp_path}/ends')
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL, *notice)
    some_are_done(output)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    wait_for(lambda: waits(cluster, number))
    assert not (tmp_path / "ends").exists(), "the run goes on"
    seen = status(cluster, output)
    assert seen["state"] == "stopped"
    assert f"Slurm job {number} is requeued and will continue with the remaining images" in seen["message"][0]
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1"), log
    assert_each_frame_was_done_once(output, 60)
    story = [
        f"Slurm job {number}: 4 ranks on n[1-2]",
        "images, stopping on SIGUSR1: waiting up to 1 min 30 s for images in progress",
        f"of 60 images are done; Slurm job {number} is requeued and will continue with the remaining images",
        f"Slurm job {number}, started for the 2nd time: 4 ranks on n[1-2]",
        "kept from before",
    ]
    places = [log.index(line) for line in story]
    assert places == sorted(places), log
    assert "Traceback" not in log
    assert (tmp_path / "ends").read_text() == "finished\n"


def test_slurms_own_warning_before_the_end_of_the_time_limit_does_the_same(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    """Slurm checks the time every 30 seconds, so its warning may come up to 30 seconds early.

    The limit is one minute, the shortest possible, so the warning comes 20 to 50 seconds after the start. Some images
    must be done by then, even on a busy machine.
    """
    options = (*TWO_BY_TWO, "--time=1", "--signal=B:USR1@10")
    number = sbatch(options, slow_scene(tmp_path, 1000, 0.2), *SMALL)
    wait_for(lambda: cluster.job(number)["Restarts"] == "1", 120, story(tmp_path / "slow_renders"))
    assert "is requeued and will continue" in (tmp_path / "log").read_text()
    assert records(tmp_path / "slow_renders", "done")


def test_a_job_that_gets_nowhere_does_not_queue_up_again(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 8, 100), *SMALL, "--grace-period", 1)
    wait_for(lambda: records(tmp_path / "slow_renders", "take"))
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    job = ended(cluster, number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "75:0", "0")
    assert "is not requeued: no image was completed in this allocation" in (tmp_path / "log").read_text()


def test_a_job_queues_up_only_so_often(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 400), *SMALL, "--max-requeues", 1)
    some_are_done(output)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    wait_for(lambda: waits(cluster, number))
    done = len(records(output, "done"))
    start_again(cluster, number)
    some_are_done(output, done + 4)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    job = ended(cluster, number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "75:0", "1")
    assert "is not requeued: it was requeued 1 time (--max-requeues)" in (tmp_path / "log").read_text()


def test_a_job_that_may_not_queue_up_again_says_so(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch((*TWO_BY_TWO, "--no-requeue"), slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    assert ended(cluster, number)["ExitCode"] == "75:0"
    assert "could not be requeued (scontrol: " in (tmp_path / "log").read_text()


def test_scancel_ends_a_job_for_good_and_leaves_nothing_running(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    cluster.ask("scancel", number)
    job = ended(cluster, number)
    assert (job["JobState"], job["Restarts"]) == ("CANCELLED", "0")
    wait_for(lambda: not subprocess.run(["pgrep", "-f", str(output)], stdout=subprocess.PIPE, check=False).stdout)
    assert "run the same command again to continue" in (tmp_path / "log").read_text().splitlines()[-1]
    assert [stop.grace for stop in records(output, "stop") if stop.rank == SUPERVISOR] == [1.0]  # of 5 s until SIGKILL
    assert not (output / ".mpirender" / "lock").exists()


def test_a_job_that_slurm_starts_again_and_again_without_an_image_done_ends(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    """For example, the job crashes its node every time."""
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path, 8, 100), *SMALL, "--grace-period", 0)
    for life in (1, 2, 3):
        wait_for(lambda: (output / ".mpirender").is_dir() and len(records(output, "launch")) == life, 60)  # noqa: B023
        cluster.ask("scontrol", "requeue", number)
        start_again(cluster, number)
    job = ended(cluster, number)
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "4:0", "3")
    log = (tmp_path / "log").read_text()
    assert "was restarted 3 times in a row without completing an image" in log
    assert log.count(f"Slurm starts job {number} again by itself and continues with the remaining images") == 3
    assert len(records(output, "launch")) == 3
