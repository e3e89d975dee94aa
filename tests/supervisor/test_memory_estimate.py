"""Warn if ranks or data exceed the memory of a machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import sample_events
from mpirender.engines.base import DataFile, Inspection
from mpirender.job.render_job import RenderJob
from mpirender.run_folder.events import Event
from mpirender.supervisor import memory_estimate
from mpirender.system import host as host_limits
from processes import Pattern, Run
from started_ranks import state_of

SMALL = ("--size", "80x50", "--movie", "none")


def up(rank: int, host: str, node_memory: int, followers: Sequence[str] = (), launch: int = 1) -> list[Event]:
    """Return the events that a rank records until it has opened the scene."""
    start = sample_events.start(rank, host=host, launch=launch)
    return [start, sample_events.opened(rank, host=host, node_memory=node_memory, hosts=tuple(followers))]


def done(rank: int, memory: int) -> Event:
    return sample_events.done(rank, frame=rank, memory=memory)


def test_too_little_memory_is_reported_with_the_number_of_ranks_that_fit(tmp_path: Path) -> None:
    job = RenderJob(scene="x.pvsm", output=tmp_path)
    state = state_of(*(event for rank in range(8) for event in up(rank, "n1", 16_000_000_000)))
    assert memory_estimate.shortage(job, state) == ""
    state.apply(done(3, memory=1_700_000_000))
    assert memory_estimate.shortage(job, state) == "", "13.6 of 16 GB is enough"
    state.apply(done(5, memory=2_500_000_000))
    assert memory_estimate.shortage(job, state) == (
        "memory will be short: 8 ranks on n1 take about 19 GB (up to 2.5 GB each), it has 16 GB; take 5 ranks there "
        "(--ranks), or let ranks share frames (--ranks-per-frame 2)"
    )


def test_the_ranks_of_a_group_count_where_they_are(tmp_path: Path) -> None:
    job = RenderJob(scene="x.pvsm", output=tmp_path, ranks_per_frame=3)
    groups = [*up(0, "n1", 4_000_000_000, ["n1", "n2"]), *up(1, "n2", 9_000_000_000, ["n2", "n2"])]
    warning = memory_estimate.shortage(job, state_of(*groups, done(1, memory=1_900_000_000)))
    assert "2 ranks on n1 take about 3.8 GB" in warning
    assert "(--ranks-per-frame 4)" in warning


def test_ranks_of_a_start_before_do_not_count(tmp_path: Path) -> None:
    """After the loss of a node, the ranks on the remaining nodes are renumbered."""
    job = RenderJob(scene="x.pvsm", output=tmp_path)
    before = [event for rank in range(6) for event in up(rank, f"n{rank // 2}", 4_000_000_000)]
    now = [event for rank in range(3) for event in up(rank, f"n{rank}", 4_000_000_000, launch=2)]
    state = state_of(*before, *now, done(0, memory=1_900_000_000))
    assert memory_estimate.shortage(job, state) == "", "only one rank runs on each node"


def test_the_memory_of_this_machine_is_what_the_kernel_says_and_slurm_grants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < host_limits.memory() <= total
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    assert host_limits.memory() == 100 * 1024**2


def test_a_run_warns_of_it_once(run: Run, pattern: Pattern) -> None:
    little = {**os.environ, "SLURM_MEM_PER_NODE": "200"}
    done = run("render", pattern('{"frames": 12, "seconds": 0.1}'), *SMALL, "--ranks", 3, env=little)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("memory will be short: 3 ranks on") == 1


def test_data_too_large_for_a_rank_are_reported_before_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for name, size in (("a_0.vtu", 500), ("a_1.vtu", 700), ("b.vtu", 400)):
        (tmp_path / name).write_bytes(bytes(size))
        files.append(DataFile(name[0], "FileName", name, str(tmp_path / name), found=True))
    monkeypatch.setattr(memory_estimate, "cores", lambda: 4)
    monkeypatch.setattr(host_limits, "memory", lambda: 2000)
    scene = Inspection(engine="paraview", data_files=tuple(files))
    (told,) = memory_estimate.advice(scene)
    assert told == (
        "the data of a frame take 1.1 kB as files and each of 4 ranks has 450 bytes of memory here: give "
        "--ranks-per-frame 3, or fewer --ranks"
    )
    monkeypatch.setattr(host_limits, "memory", lambda: 20000)
    assert memory_estimate.advice(scene) == []
