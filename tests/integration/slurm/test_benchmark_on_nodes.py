"""Measure scaling over the nodes of a real Slurm job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import scaling
from repository import REPOSITORY
from slurm_cluster import Cluster
from slurm_jobs import PROGRAM, ended, slow_scene

SCRIPT = REPOSITORY / "launch" / "scaling.slurm"


@pytest.mark.slow
def test_scaling_is_measured_over_the_nodes_of_a_slurm_job(cluster: Cluster, tmp_path: Path) -> None:
    site = '# source "$HOME/mpirender/.venv/bin/activate"'
    assert site in SCRIPT.read_text()
    script = tmp_path / "scaling.slurm"
    script.write_text(SCRIPT.read_text().replace(site, f"PATH={PROGRAM.parent}:$PATH; export PYTHONPATH={REPOSITORY}"))
    few = ("--ranks", 4, "--kind", "strong", "--frames", 8, "--size", "64x36")
    options = ("--parsable", "--nodes=2", "--ntasks-per-node=2", "-o", "log", script)
    scene = slow_scene(tmp_path, 8, 0.2)
    done = cluster.run("sbatch", *options, "--state", scene, *few, "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    job = ended(cluster, done.stdout.strip())  # sbatch --wait polls only every 30 seconds
    log = (tmp_path / "log").read_text()
    assert job["JobState"] == "COMPLETED", log
    raw = json.loads((tmp_path / "out" / "raw.json").read_text())
    (run,) = raw["runs"]
    assert (run["kind"], run["ranks"], run["frames"], run["hosts"]) == ("strong", 4, 8, ["n1", "n2"])
    assert raw["machine"]["nodes"] == 2
    assert run["whole"] > run["rendering"] > 2 * 0.2
    assert log.rstrip().endswith(scaling.summary(raw, markdown=False))
    assert len(list(tmp_path.glob("scaling-*.png"))) == 1
