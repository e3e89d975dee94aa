from __future__ import annotations

import pytest

from mpirender import schedule
from mpirender.job import SCHEDULES


@pytest.mark.parametrize("kind", SCHEDULES)
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
