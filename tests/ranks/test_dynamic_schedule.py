"""The dynamic schedule: a server sends frames to ranks as they become free."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpirender.job.outputs import Image
from mpirender.launcher.environment import MPI_SETTINGS, ROOT_SETTINGS
from mpirender.ranks.dynamic_schedule import tasks_of
from mpirender.ranks.layout import place_of_server
from mpirender.run_folder import events, journal
from processes import Pattern, Run, need
from repository import REPOSITORY


def test_all_sizes_of_a_frame_are_one_part_and_suspects_come_last_together() -> None:
    images = [Image(frame, size) for frame in range(3) for size in ("HD", "4K")]
    assert tasks_of(images, ()) == [images[0:2], images[2:4], images[4:6]]
    suspects = {images[0], images[3]}
    assert tasks_of(images, suspects) == [[images[1]], [images[2]], images[4:6], [images[0], images[3]]]
    assert tasks_of(images, set(images)) == [images]
    assert tasks_of([], ()) == []


@pytest.mark.parametrize(
    ("hosts", "server"), [("a", 0), ("aaa", 2), ("aabbb", 4), ("aaabb", 2), ("ab", 1), ("abab", 3), ("abba", 3)]
)
def test_the_frame_server_is_on_the_host_with_the_most_processes(hosts: str, server: int) -> None:
    assert place_of_server(hosts) == server


def taken(output: Path) -> dict[int, list[int]]:
    """Return the frames that each rank took, in order."""
    frames: dict[int, list[int]] = {}
    for record in journal.read(output / ".mpirender"):
        if isinstance(record, events.Take):
            frames.setdefault(record.rank, []).append(record.image.frame)
    return frames


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_every_frame_is_rendered_once_and_in_order(run: Run, pattern: Pattern, tmp_path: Path, ranks: int) -> None:
    done = run("render", pattern(), "--size", "80x50", "--schedule", "dynamic", "--ranks", ranks)
    assert done.returncode == 0, done.stderr
    shares = taken(tmp_path / "test_renders")
    assert sorted(frame for share in shares.values() for frame in share) == list(range(6))
    assert all(share == sorted(share) for share in shares.values())
    assert {record.ranks for record in journal.read(tmp_path / "test_renders/.mpirender")
            if isinstance(record, events.Start)} == {ranks}  # fmt: skip


def test_a_rank_that_is_busy_holds_up_no_other(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    """The first frame takes longer than all others together, so the other rank renders those."""
    scene = pattern(json.dumps({"frames": 21, "seconds": [2.0, *[0.02] * 20]}))
    done = run("render", scene, "--size", "80x50", "--schedule", "dynamic", "--ranks", 2, "--movie", "none")
    assert done.returncode == 0, done.stderr
    shares = sorted(taken(tmp_path / "test_renders").values(), key=len)
    assert shares == [[0], list(range(1, 21))]


def test_a_frame_that_kills_its_rank_is_found_and_the_others_are_rendered(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene = pattern('{"frames": 8, "seconds": 0.02, "kill": [3]}')
    done = run("render", scene, "--size", "80x50", "--schedule", "dynamic", "--ranks", 2)
    assert done.returncode == 4
    assert "frames 3: set aside after 2 deaths" in done.stderr
    records = journal.read(tmp_path / "test_renders" / ".mpirender")
    assert sorted(record.image.frame for record in records if isinstance(record, events.Done)) == [0, 1, 2, 4, 5, 6, 7]


SERVING = """
import sys, time
sys.path.append({repository!r})
from mpi4py import MPI
from mpirender.ranks import dynamic_schedule, mpi
from mpirender.ranks.layout import RankLayout
from mpirender.job.outputs import Image
layout = RankLayout.of(MPI.COMM_WORLD, "dynamic")
start = time.monotonic(), time.process_time()
if layout.is_server:
    dynamic_schedule.serve(layout.world, layout.part)
else:
    with dynamic_schedule.share(layout, [Image(frame, "HD") for frame in range(100)], (), "dynamic") as mine:
        for image in mine:
            time.sleep(0.1)
            if layout.comm.rank == 0 and image.frame > 20:
                break  # as when a signal has come
mpi.wait_for_all(layout.world)
if layout.is_server:
    print(time.monotonic() - start[0], time.process_time() - start[1])
"""


def test_the_frame_server_sleeps_and_a_rank_that_leaves_early_is_not_waited_for(tmp_path: Path) -> None:
    script = tmp_path / "serving.py"
    script.write_text(SERVING.format(repository=str(REPOSITORY)))
    environment = {**os.environ, **MPI_SETTINGS, **ROOT_SETTINGS}
    command = [need("mpiexec"), "-n", "4", sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    wall, cpu = map(float, done.stdout.split())
    assert wall > 3
    assert cpu < 0.1 * wall, "MPI's own busy waiting would use all of it"
