"""Track the image in progress on each rank, and find images that take too long."""

from __future__ import annotations

import time

import pytest

from mpirender.job.outputs import Image
from mpirender.supervisor.in_flight import time_limit
from sample_events import done
from started_ranks import ranks_at


@pytest.mark.parametrize(
    ("asked", "slowest", "limit"), [(None, 0, 14400), (None, 2, 600), (None, 60, 1200), (5, 0, 5), (5, 60, 5)]
)
def test_the_time_limit_follows_the_slowest_image_unless_it_is_given(
    asked: float | None, slowest: float, limit: float
) -> None:
    assert time_limit(asked, slowest) == limit


def test_an_image_is_in_progress_from_its_take_to_its_end() -> None:
    assert ranks_at(4, 5).rendering == {0: Image(4, "HD"), 1: Image(5, "HD")}
    ranks = ranks_at(4, 5, then=[done(1, 5)])
    assert (ranks.rendering, ranks.done, ranks.slowest) == ({0: Image(4, "HD")}, 1, 2.0)
    assert ranks.hanging(10) == ()
    time.sleep(0.02)
    assert ranks.hanging(0.01) == (0,)
