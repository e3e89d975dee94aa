"""Render in one Slurm job on several nodes, on a real cluster of three nodes."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from images import SIZE, assert_same_pictures, pixels
from movies import read_back
from records import records
from slurm_cluster import Cluster
from slurm_jobs import (
    PROGRAM,
    SCRIPT,
    SMALL,
    TWO_BY_TWO,
    Submit,
    assert_each_frame_was_done_once,
    ended,
    slow_scene,
    some_are_done,
    status,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_frames_of_a_job_on_two_nodes_are_paraviews(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path, how: str
) -> None:
    words = ("--size", SIZE, "--launcher", how, "--schedule", "dynamic")
    number = sbatch(TWO_BY_TWO, scenes.state("orbit"), *words)
    job = ended(cluster, number)
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), log
    output = tmp_path / "orbit_renders"
    assert_same_pictures(output / SIZE, scenes.frames("orbit"))
    assert (output / f"orbit_{SIZE}.mp4").is_file()
    assert Counter(record.host for record in records(output, "start")) == {"n1": 2, "n2": 2}
    assert re.search(rf"Slurm job {number}: 4 ranks on n\[1-2\] by {how}", log)


def test_a_blender_file_is_rendered_on_two_nodes_into_one_movie(
    cluster: Cluster, sbatch: Submit, blends: SimpleNamespace, tmp_path: Path
) -> None:
    reference = blends.animate(blends.file("quick"), tmp_path / "own")
    job = ended(cluster, sbatch(TWO_BY_TWO, blends.file("quick")))
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), (tmp_path / "log").read_text()
    output = tmp_path / "quick_renders"
    assert_same_pictures(output / "160x90", reference)
    assert read_back(output / "quick_160x90.mp4").frames == 12
    assert Counter(record.host for record in records(output, "start")) == {"n1": 2, "n2": 2}
    assert Counter(record.host for record in records(output, "done")) == {"n1": 6, "n2": 6}


def test_in_a_job_array_one_task_renders_and_the_others_say_that_they_are_not_needed(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    scene, options = slow_scene(tmp_path, frames=30), ("--nodes=1", "--ntasks-per-node=2")

    def codes(array: str) -> list[str]:
        number = sbatch((*options, f"--array={array}"), scene, *SMALL)
        return sorted(ended(cluster, f"{number}_{task}")["ExitCode"] for task in (0, 1))

    assert codes("0-1") == ["0:0", "2:0"]
    log = (tmp_path / "log").read_text()
    assert (
        "warning: this is a task of a job array; one job renders all frames: submit it without --array, unless" in log
    )
    assert re.search("error: .* one job renders all frames: submit it without --array$", log, re.MULTILINE)
    assert codes("0-1%1") == ["0:0", "0:0"]
    assert_each_frame_was_done_once(tmp_path / "slow_renders", 30)


def test_ranks_of_two_nodes_share_the_frames_of_a_study(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """One group on each node, and one group across both."""
    words = ("--size", SIZE, "--vary", "Contour1.Isosurfaces=100,140,180", "--ranks-per-frame", "2")
    options = ("--nodes=2", "--ntasks-per-node=3", "--export=ALL,MPIRENDER_COMMAND=study")
    job = ended(cluster, sbatch(options, scenes.state("cut"), *words))
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), log
    output = tmp_path / "cut_study"
    starts = records(output, "start")
    places = [sorted([member.host for member in start.members]) for start in starts]
    assert sorted(places) == [["n1", "n1"], ["n1", "n2"], ["n2", "n2"]]
    assert "3 groups of 2 ranks on n[1-2] by " in log
    assert len((output / "study.csv").read_text().splitlines()) == 1 + 3
    pictures = [pixels(path) for path in sorted(output.glob("*/*/*.png"))]
    assert len(pictures) == 3
    assert all(np.abs(pictures[0].astype(int) - other).max() > 50 for other in pictures[1:])


def test_status_on_the_login_node_shows_a_job_as_it_runs(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL)
    some_are_done(output)
    seen = status(cluster, output)
    assert (seen["state"], seen["host"], seen["total"]) == ("running", "n1", 60)
    assert {rank["host"] for rank in seen["ranks"]} == {"n1", "n2"}
    assert f"Slurm job {number}" in cluster.ask(PROGRAM, "status", output)
    assert ended(cluster, number)["JobState"] == "COMPLETED"
    assert status(cluster, output)["state"] == "finished"


def test_jobs_of_two_users_with_equal_names_do_not_collide(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """Both jobs render on the same node at once, from separate folders, each with its own X server."""
    options = ("--nodes=1", "--ntasks=2", "--nodelist=n1")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    scene = Path(shutil.copy(scenes.state("orbit"), theirs))
    shutil.chown(theirs, "nobody", "nogroup")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    number = sbatch(options, scenes.state("orbit"), "--size", SIZE)
    words = ["sbatch", "--parsable", f"--output={theirs}/log", *options, SCRIPT, scene, "--size", SIZE]
    other = cluster.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *words, cwd=theirs)
    assert other.returncode == 0, other.stderr
    for one, folder in ((number, tmp_path), (other.stdout.strip(), theirs)):
        job = ended(cluster, one)
        assert job["JobState"] == "COMPLETED", (folder / "log").read_text()
        assert job["NodeList"] == "n1"
        assert_same_pictures(folder / "orbit_renders" / SIZE, scenes.frames("orbit"))
    assert (theirs / "orbit_renders" / f"orbit_{SIZE}.mp4").owner() == "nobody"


def test_within_salloc_the_ranks_run_on_the_nodes_and_fill_them(cluster: Cluster, tmp_path: Path) -> None:
    scene, options = slow_scene(tmp_path, 8, 0.01), ("--nodes=2", "--exclusive", "--hint=nomultithread")
    done = cluster.run("salloc", *options, "--cpus-per-task=4", PROGRAM, "render", scene, *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 ranks fill the nodes: the number of tasks that Slurm sets because of --hint" in done.stdout
    assert Counter(record.host for record in records(tmp_path / "slow_renders", "start")) == {"n1": 2, "n2": 2}


@pytest.mark.parametrize(
    ("options", "ranks", "threads"),
    [
        (("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=4"), 2, 4),
        (("--nodes=2", "--exclusive"), 16, 1),
        (("--nodes=2", "--exclusive", "--threads-per-core=1"), 16, 1),
        (("--nodes=2", "--exclusive", "--hint=compute_bound"), 16, 1),
        (("--nodes=2", "--exclusive", "--ntasks=2"), 2, 8),
        (("--nodes=1", "--exclusive", "--cpus-per-task=4"), 2, 4),
        (("--ntasks=3",), 3, 1),
    ],
)
def test_ranks_and_threads_follow_what_slurm_was_asked_for(
    cluster: Cluster, tmp_path: Path, options: tuple[str, ...], ranks: int, threads: int
) -> None:
    shown = cluster.run("salloc", *options, PROGRAM, "render", slow_scene(tmp_path), "--dry-run", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    words = shlex.split(shown.stdout.splitlines()[-1])
    assert f"LP_NUM_THREADS={threads}" in words
    assert words[words.index("-n") + 1] == str(ranks)
    assert ("warning: 2 ranks, though there are cores for 16: " in shown.stdout) is ("--ntasks=2" in options)


def test_the_schedule_that_the_dry_run_shows_can_be_pasted(cluster: Cluster, tmp_path: Path) -> None:
    scene = slow_scene(tmp_path, 6, 0.01)
    script = tmp_path / "job.sh"
    script.write_text(f'#!/bin/sh\n{PROGRAM} render {scene} --dry-run --size 80x50 "$@" | tail -n 1 | sh -e\n')
    for how in ("mpiexec", "srun"):
        words = (*TWO_BY_TWO, "-o", "log", script, "--launcher", how)
        done = cluster.run("sbatch", "--parsable", *words, cwd=tmp_path)
        job = ended(cluster, done.stdout.strip())  # sbatch --wait polls only every 30 seconds
        assert job["JobState"] == "COMPLETED", (tmp_path / "log").read_text()
    assert_each_frame_was_done_once(tmp_path / "slow_renders", 6)


def test_doctor_runs_on_all_nodes_of_a_job_and_names_those_that_do_not_share_the_folder(
    cluster: Cluster, tmp_path: Path
) -> None:
    script = tmp_path / "doctor.sh"
    script.write_text(f"#!/bin/sh\n{PROGRAM} doctor\ncd /tmp\n{PROGRAM} doctor | tail -n 2\n")
    script.chmod(0o755)
    environment = {**cluster.environment, "MPIRENDER_BLENDER": "/no/blender"}
    shown = cluster.run("salloc", "--nodes=3", script, cwd=tmp_path, env=environment).stdout
    assert re.search(r"ok  slurm +\S*sbatch, slurm\S* \d", shown)
    assert "ok  3-rank run    8 test images and a movie on 3 nodes in " in shown
    blind = r"MISSING  3-rank run    nodes n1, n2, n3 do not see the folder /tmp/mpirender-doctor-\w+/out\n +fix: run "
    assert re.search(blind, shown), shown


def test_a_node_that_does_not_see_the_output_folder_is_named(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    """The batch script runs on n1, whose /tmp the other node does not see."""
    scene = slow_scene(tmp_path, 2)
    assert ended(cluster, sbatch(TWO_BY_TWO, scene, *SMALL, "--output", "/tmp/private"))["ExitCode"] == "2:0"
    line = "error: node n2 does not see the folder /tmp/private; choose one that all nodes of the job share (--output)"
    assert line in (tmp_path / "log").read_text()
