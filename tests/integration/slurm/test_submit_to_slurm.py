"""Submit jobs to a real Slurm."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from records import done_frames
from repository import REPOSITORY
from slurm_cluster import Cluster
from slurm_jobs import PROGRAM, SMALL, TWO_BY_TWO, Submit, ended, slow_scene, some_are_done

pytestmark = pytest.mark.slow


def test_submit_checks_writes_the_script_and_the_job_makes_the_movie(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / 'ho st\'ile "dir" $HOME %j'
    folder.mkdir()
    scene = slow_scene(tmp_path, 8, 0.01).rename(folder / "or'b $i t%d.pattern")
    words = ["--size", "80x50", "--output", "o ut", *TWO_BY_TWO]
    done = cluster.run(PROGRAM, "submit", scene, *words, "--", "--comment", "a b", cwd=folder)
    assert done.returncode == 0, done.stderr
    number = re.search(r"submitted  Slurm job (\d+)\n", done.stdout)[1]
    job = ended(cluster, number)
    output = folder / "o ut"
    log = (output / f"mpirender-{number}.log").read_text()
    assert job["JobState"] == "COMPLETED", log
    assert "4 ranks on n[1-2]" in log
    assert (output / "or'b $i t%d_80x50.mp4").is_file()
    assert "#SBATCH --comment 'a b'" in (output / "mpi_render.slurm").read_text()
    watch = re.search(r"watch  (.*)\n", done.stdout)[1]
    assert "finished" in cluster.ask(PROGRAM, *shlex.split(watch)[1:])


def test_an_estimate_in_a_short_job_sets_nodes_and_time(cluster: Cluster, tmp_path: Path) -> None:
    words = ("--size", "80x50", "--ntasks-per-node", 2, "--estimate", "job", "--time", 60)
    done = cluster.run(PROGRAM, "submit", slow_scene(tmp_path, 40, 0.05), *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Slurm job \d+ makes the estimate", done.stderr)
    output = tmp_path / "slow_renders"
    sampled = done_frames(output)
    assert len(sampled) == 6, "an estimate of 40 frames on 2 ranks renders 6"
    script = (output / "mpi_render.slurm").read_text()
    assert "#SBATCH --time=60\n" in script
    assert "#SBATCH --nodes=1\n" in script.partition("Inserted by mpirender")[2]
    job = ended(cluster, re.search(r"submitted  Slurm job (\d+)\n", done.stdout)[1])
    assert job["JobState"] == "COMPLETED"
    assert done_frames(output) == list(range(40)), "the frames of the estimate are not rendered again"


def test_a_job_that_slurm_refuses_is_reported_in_one_line(cluster: Cluster, tmp_path: Path) -> None:
    done = cluster.run(PROGRAM, "submit", slow_scene(tmp_path), "--partition", "nowhere", cwd=tmp_path)
    assert done.returncode == 6
    assert re.fullmatch(r"mpirender: error: sbatch: .*invalid partition specified: nowhere.*\n", done.stderr)


def test_submit_refuses_a_folder_in_which_a_run_is_active(cluster: Cluster, sbatch: Submit, tmp_path: Path) -> None:
    scene = slow_scene(tmp_path)
    sbatch(TWO_BY_TWO, scene, *SMALL)
    some_are_done(tmp_path / "slow_renders")
    done = cluster.run(PROGRAM, "submit", scene, *SMALL, cwd=tmp_path)
    assert done.returncode == 2
    assert "another run writes here: pid" in done.stderr


def test_the_sbatch_lines_of_the_documents_are_accepted(
    cluster: Cluster, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    """The first job runs to its end. The others request more nodes than the cluster has, so they stay queued."""
    shutil.copytree(REPOSITORY / "launch", tmp_path / "launch")
    shutil.copy(scenes.state("orbit"), tmp_path)
    text = (REPOSITORY / "docs" / "how-to" / "slurm.md").read_text()
    lines = re.findall(r"^sbatch .*", text, re.MULTILINE)
    numbers = []
    for line in lines:
        done = cluster.run(*shlex.split(line), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        numbers.append(done.stdout.split()[-1])
    cluster.run("scancel", *numbers[1:])
    job = ended(cluster, numbers[0])
    assert job["JobState"] == "COMPLETED", (tmp_path / f"mpirender-{numbers[0]}.log").read_text()
    assert (tmp_path / "orbit_renders" / "orbit_HD.mp4").is_file()
