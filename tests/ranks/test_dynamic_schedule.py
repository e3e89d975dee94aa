"""The dynamic schedule: rank 0 sends frames to ranks as they become free, while its own renderer works.

test_ranks.py runs the tests with several ranks under mpiexec.
"""

from __future__ import annotations

import json
import time
from itertools import chain
from pathlib import Path

import pytest

from mpirender.job.outputs import Image
from mpirender.ranks import dynamic_schedule
from mpirender.ranks.dynamic_schedule import tasks_of
from mpirender.ranks.layout import RankLayout
from mpirender.ranks.renderer import Duties
from mpirender.run_folder import events, journal
from processes import Pattern, Run


def test_all_sizes_of_a_frame_are_one_part_and_suspects_come_last_together() -> None:
    images = [Image(frame, size) for frame in range(3) for size in ("HD", "4K")]
    assert tasks_of(images, ()) == [images[0:2], images[2:4], images[4:6]]
    suspects = {images[0], images[3]}
    assert tasks_of(images, suspects) == [[images[1]], [images[2]], images[4:6], [images[0], images[3]]]
    assert tasks_of(images, set(images)) == [images]
    assert tasks_of([], ()) == []


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


def test_a_rank_that_is_busy_holds_up_no_other_not_even_rank_0(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    """The first frame, which rank 0 takes, lasts longer than all others together, so the other rank renders those."""
    scene = pattern(json.dumps({"frames": 21, "seconds": [3.0, *[0.02] * 20]}))
    done = run("render", scene, "--size", "80x50", "--schedule", "dynamic", "--ranks", 2, "--movie", "none")
    assert done.returncode == 0, done.stderr
    shares = taken(tmp_path / "test_renders")
    assert sorted(shares.values(), key=len) == [[0], list(range(1, 21))]


def test_a_frame_that_kills_its_renderer_is_tried_twice_and_the_others_are_rendered(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene = pattern('{"frames": 8, "seconds": 0.02, "kill": [3], "how": "SIGSEGV"}')
    done = run("render", scene, "--size", "80x50", "--schedule", "dynamic", "--ranks", 2)
    assert done.returncode == 4
    assert "frames 3: rank" in done.stderr
    assert "the renderer died (signal SIGSEGV) (tried twice)" in done.stderr
    records = journal.read(tmp_path / "test_renders" / ".mpirender")
    assert sorted(record.image.frame for record in records if isinstance(record, events.Done)) == [0, 1, 2, 4, 5, 6, 7]
    assert sum(isinstance(record, events.Launch) for record in records) == 1


FRAMES = 20
BEGUN, ANSWERED, DONE = 20, 21, 22  # tags
IMAGES = [Image(frame, "HD") for frame in range(FRAMES)]


@pytest.fixture
def layout() -> RankLayout:
    from mpi4py import MPI

    return RankLayout.of(MPI.COMM_WORLD)


def meet(comm, tag: int, duties: Duties) -> None:
    """Do the duties until every other rank has sent this message."""
    left = comm.size - 1
    while left:
        time.sleep(min(duties(), 0.01))
        left -= bool(dynamic_schedule.received(comm, None, tag))


def frames_of_all(layout: RankLayout, mine: list[int]) -> list[int]:
    return sorted(chain(*layout.comm.allgather(mine)))


@pytest.mark.mpi(min_size=2)
def test_the_other_ranks_get_all_frames_while_rank_0_is_at_one(layout: RankLayout) -> None:
    comm, mine = layout.comm, []
    with dynamic_schedule.share(layout, IMAGES, (), "dynamic") as (images, duties, _):
        for image in images:
            mine.append(image.frame)
            if comm.rank == 0 and len(mine) == 1:
                meet(comm, DONE, duties)  # as while its renderer works
        if comm.rank:
            comm.send(None, dest=0, tag=DONE)
    assert frames_of_all(layout, mine) == list(range(FRAMES))
    assert len(mine) == 1 or comm.rank > 0


@pytest.mark.mpi(min_size=2)
def test_a_rank_that_leaves_early_is_not_waited_for(layout: RankLayout) -> None:
    comm, mine = layout.comm, []
    with dynamic_schedule.share(layout, IMAGES, (), "dynamic") as (images, duties, _):
        for image in images:
            mine.append(image.frame)
            time.sleep(min(duties(), 0.01))
            if comm.rank == comm.size - 1:
                break  # as when a signal has come
    assert frames_of_all(layout, mine) == list(range(FRAMES)), "the others render the rest"
    assert comm.rank < comm.size - 1 or len(mine) <= 1


@pytest.mark.mpi(min_size=2)
def test_groups_ask_for_a_frame_ahead_since_rank_0_answers_only_between_its_frames(layout: RankLayout) -> None:
    from mpi4py import MPI

    comm, mine = layout.comm, []
    with dynamic_schedule.share(layout._replace(group=MPI.COMM_SELF), IMAGES, (), "dynamic") as (images, duties, _):
        for image in images:
            mine.append(image.frame)
            if comm.rank == 0 and len(mine) == 1:
                meet(comm, BEGUN, duties)
                duties()  # between two frames: each has asked for its second
                for rank in range(1, comm.size):
                    comm.send(None, dest=rank, tag=ANSWERED)
                meet(comm, DONE, lambda: 0.01)  # at its second frame it does not answer
            elif comm.rank and len(mine) == 1:
                comm.send(None, dest=0, tag=BEGUN)
                dynamic_schedule.receive(comm, 0, ANSWERED)
            elif len(mine) == 2:
                comm.send(None, dest=0, tag=DONE) if comm.rank else None
    assert frames_of_all(layout, mine) == list(range(FRAMES))
