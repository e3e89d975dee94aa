"""A limit that would stop a run is named in one line, with what the run needs and the fix."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from cgroups import memory_limit
from disks import disk
from mpirender.job.render_job import RenderJob
from mpirender.supervisor import limits
from processes import Pattern, Run

SMALL = ("--size", "160x90", "--ranks", 2)


@pytest.mark.parametrize(
    ("limit", "value", "line"),
    [
        (resource.RLIMIT_FSIZE, 8192, "files may have at most 8 KiB here (ulimit -f), and a run makes files of 16 "),
        (resource.RLIMIT_NOFILE, 40, "a process may open at most 40 files here (ulimit -n), and 2 ranks need 76; "),
        (resource.RLIMIT_AS, 400 * 2**20, "a process may take 400 MiB of address space (ulimit -v), and ffmpeg "),
    ],
)  # fmt: skip
def test_a_limit_of_the_account_is_named(run: Run, pattern: Pattern, limit: int, value: int, line: str) -> None:
    done = run("render", pattern(), *SMALL, preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith(f"mpirender: error: {line}"), done.stderr


def test_the_soft_limit_of_open_files_is_raised(run: Run, pattern: Pattern) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = run(
        "render", pattern('{"frames": 2}'), *SMALL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, most)),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_limit_counts_the_ranks_of_one_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = RenderJob(tmp_path / "x.pattern", ranks=4097)
    assert limits.ranks_here(job) == 4097
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "32")
    assert limits.ranks_here(job) == 129


def test_the_limit_of_processes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 54321)  # a user without processes
    before = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (30, before[1]))
    try:
        found = list(limits.problems(RenderJob(tmp_path / "x.pattern", ranks=2)))
    finally:
        resource.setrlimit(resource.RLIMIT_NPROC, before)
    having = "you may have 30 processes and threads here (ulimit -u) and have 0"
    assert found == [f"{having}; 2 ranks need about 40 more; raise the limit, or give fewer --ranks"]


def test_a_full_folder_for_temporary_files_is_named(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=1m") as small:
        done = run("render", pattern(), *SMALL, env={**os.environ, "TMPDIR": str(small)})
    line = f"{small}: 1 MiB are free for temporary files, and MPI needs 16 MiB; set TMPDIR to a folder on a local disk"
    assert (done.returncode, done.stderr) == (2, f"mpirender: error: {line}\n")


def test_a_name_too_long_for_its_movie_is_named_before_rendering(run: Run, pattern: Pattern) -> None:
    done = run("render", pattern(name="n" * 240 + ".pattern"), *SMALL)
    assert done.returncode == 2
    assert f"{'n' * 240}_160x90.mp4: the name is too long for a file (at most 255 bytes); give the scene" in done.stderr


@pytest.mark.slow
def test_a_movie_that_is_complete_in_a_job_that_slurm_will_call_out_of_memory_says_so(
    run: Run, pattern: Pattern
) -> None:
    """Slurm does so whenever the kernel has killed a process of the job, here a renderer, which is replaced."""
    scene = pattern('{"frames": 8, "grow": 40}')
    with memory_limit(250 * 2**20) as enter:
        job = {**os.environ, "SLURM_JOB_ID": "17"}  # no allocation: mpirender starts its ranks as elsewhere
        done = run("render", scene, "--size", "160x90", "--ranks", 1, preexec_fn=enter, env=job)
    assert done.returncode == 0, done.stderr
    line = "warning: the movie is complete, but Slurm will call this job OUT_OF_MEMORY, since one of its processes was"
    assert line in done.stdout
    assert line in run("status", scene.with_name(f"{scene.stem}_renders")).stdout.replace("  warning  ", "warning: ")


@pytest.mark.slow
def test_memory_that_runs_out_is_named_with_the_limit_and_the_fix(run: Run, pattern: Pattern) -> None:
    scene = pattern('{"frames": 2, "grow": 90}')
    with memory_limit(150 * 2**20) as enter:
        done = run("render", scene, *SMALL, preexec_fn=enter)
    assert done.returncode == 4, done.stderr
    assert "the renderer was killed because memory ran out" in done.stderr
    assert (
        "memory ran out: all ranks on a machine may take 157 MB; raise the limit or use another machine, or give fewer "
        "--ranks than 2, or let 2 ranks share frames (--ranks-per-frame)\n"
    ) in done.stderr
