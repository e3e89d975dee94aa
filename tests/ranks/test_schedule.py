from __future__ import annotations

import pytest

from mpirender.job.options import DYNAMIC, SCHEDULES
from mpirender.job.outputs import Image
from mpirender.ranks import schedule

DEALT = [kind for kind in SCHEDULES if kind != DYNAMIC]


@pytest.mark.parametrize("kind", DEALT)
@pytest.mark.parametrize("count", [0, 1, 5, 12, 13])
@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 20])
def test_every_frame_goes_to_one_rank_and_shares_are_even(kind: str, count: int, ranks: int) -> None:
    frames = list(range(100, 100 + 3 * count, 3))
    shares = schedule.deal(frames, ranks, kind)
    assert len(shares) == ranks
    assert sorted(frame for share in shares for frame in share) == frames
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_interleaved_takes_turns_and_contiguous_keeps_together() -> None:
    assert schedule.deal([0, 1, 2, 3, 4], 2, "interleaved") == [[0, 2, 4], [1, 3]]
    assert schedule.deal([0, 1, 2, 3, 4], 2, "contiguous") == [[0, 1, 2], [3, 4]]


def images(*frames: int, sizes: tuple[str, ...] = ("HD", "4K")) -> list[Image]:
    return [Image(frame, size) for frame in frames for size in sizes]


@pytest.mark.parametrize("kind", DEALT)
@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_all_sizes_of_a_frame_go_to_one_rank_and_every_image_to_exactly_one(kind: str, ranks: int) -> None:
    wanted = [*images(0, 1, 2, 3, 4, 5), Image(6, "4K")]
    shares = [schedule.share(wanted, (), rank, ranks, kind) for rank in range(ranks)]
    assert sorted((image for share in shares for image in share), key=wanted.index) == wanted
    for share in shares:
        assert [image for image in wanted if image.frame in {one.frame for one in share}] == share


def test_suspects_are_rendered_last_and_all_by_one_rank() -> None:
    wanted, suspects = images(0, 1, 2, 3, sizes=("HD",)), {Image(0, "HD"), Image(2, "HD")}
    shares = [schedule.share(wanted, suspects, rank, 2, "interleaved") for rank in range(2)]
    assert [[image.frame for image in share] for share in shares] == [[1], [3, 0, 2]]
