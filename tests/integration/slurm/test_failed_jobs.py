"""Failures in Slurm jobs: frames that crash their renderer, killed ranks, mistakes, ranks that are not connected."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from records import records
from slurm_cluster import Cluster
from slurm_jobs import (
    SMALL,
    TWO_BY_TWO,
    Submit,
    assert_each_frame_was_done_once,
    deaths,
    ended,
    slow_scene,
    some_are_done,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_frame_that_kills_its_renderer_fails_the_job_and_the_other_frames_are_there(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, how: str
) -> None:
    scene = slow_scene(tmp_path, 12, 0.05, kill=[5])
    job = ended(cluster, sbatch(TWO_BY_TWO, scene, *SMALL, "--launcher", how))
    log = (tmp_path / "log").read_text()
    assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "4:0", "0"), log
    assert "80x50 frames 5: rank" in log
    assert "the renderer died (signal SIGKILL) (tried 4 times)" in log
    assert deaths(tmp_path / "slow_renders") == []
    assert len(list((tmp_path / "slow_renders" / "80x50").glob("*.png"))) == 11


@pytest.mark.parametrize("how", ["mpiexec", "srun"])
def test_a_rank_that_is_killed_on_another_node_costs_its_frame_in_progress(
    cluster: Cluster, sbatch: Submit, tmp_path: Path, how: str
) -> None:
    output = tmp_path / "slow_renders"
    number = sbatch(TWO_BY_TWO, slow_scene(tmp_path), *SMALL, "--launcher", how)
    some_are_done(output)
    victim = next(record for record in records(output, "start") if record.host == "n2")
    assert cluster.run("kill", "-KILL", victim.pid, on="n2").returncode == 0
    job = ended(cluster, number)
    assert job["JobState"] == "COMPLETED", (tmp_path / "log").read_text()
    (death,) = deaths(output)
    assert death.reason.startswith(f"rank {victim.rank} on n2 died")
    assert_each_frame_was_done_once(output, 60)


def test_mistakes_fail_the_job_with_their_lines_and_it_is_not_requeued(
    cluster: Cluster, sbatch: Submit, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    lost = tmp_path / "lost.pvsm"
    lost.write_text(scenes.state("series").read_text().replace(str(scenes.folder / "data"), "/nowhere"))
    for arguments, line in (
        ((slow_scene(tmp_path), "--size", "4KK"), "--size '4KK' is not a size"),
        ((lost,), "/nowhere/shape_"),
        ((tmp_path / "none.pvsm",), "none.pvsm: no such file"),
    ):
        (tmp_path / "log").unlink(missing_ok=True)
        job = ended(cluster, sbatch((), *arguments))
        log = (tmp_path / "log").read_text()
        assert (job["JobState"], job["ExitCode"], job["Restarts"]) == ("FAILED", "2:0", "0")
        assert f"mpirender: error: {line}" in log or (line in log and "mpirender: error: " in log)
        assert "Traceback" not in log


def test_a_launcher_that_does_not_connect_the_ranks_is_found_out(
    cluster: Cluster, sbatch: Submit, tmp_path: Path
) -> None:
    lonely = tmp_path / "mpiexec"
    # Behaves like the mpiexec of another MPI: it starts all ranks, but each believes it is alone.
    lonely.write_text('#!/bin/bash\nunset "${!OMPI@}" "${!PMI@}"; shift 2; [[ $1 == -host ]] && shift 2; "$@"; "$@"\n')
    lonely.chmod(0o755)
    scene = slow_scene(tmp_path, 8, 0.01)
    job = ended(cluster, sbatch(TWO_BY_TWO, scene, *SMALL, "--mpiexec", lonely, "--launcher", "mpiexec"))
    assert job["ExitCode"] == "3:0"
    assert "started 2 ranks that do not see each other" in (tmp_path / "log").read_text()
    (tmp_path / "log").unlink()
    job = ended(cluster, sbatch(TWO_BY_TWO, scene, *SMALL, "--mpiexec", lonely))
    log = (tmp_path / "log").read_text()
    assert job["ExitCode"] == "0:0", log
    assert "mpiexec: started 2 ranks that do not see each other; using srun --mpi=pmix instead" in log
    assert "4 ranks on n[1-2] by srun --mpi=pmix" in log
    assert_each_frame_was_done_once(tmp_path / "slow_renders", 8)
