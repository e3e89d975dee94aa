"""Follow which image each rank is at, and find those that take too long."""

from __future__ import annotations

import time

import pytest

from mpirender.job.outputs import Image
from mpirender.supervisor.in_flight import time_limit
from started_ranks import done, flight_of


@pytest.mark.parametrize(
    ("asked", "slowest", "limit"), [(None, 0, 14400), (None, 2, 600), (None, 60, 1200), (5, 0, 5), (5, 60, 5)]
)
def test_the_time_limit_follows_the_slowest_image_unless_it_is_given(
    asked: float | None, slowest: float, limit: float
) -> None:
    assert time_limit(asked, slowest) == limit


def test_an_image_is_in_flight_from_its_take_to_its_end() -> None:
    flight = flight_of(4, 5)
    assert flight.images == {0: Image(4, "HD"), 1: Image(5, "HD")}
    flight.add([done(1, 5)])
    assert (flight.images, flight.done, flight.slowest) == ({0: Image(4, "HD")}, 1, 2.0)
    assert flight.hanging(10) == ()
    time.sleep(0.02)
    assert flight.hanging(0.01) == (0,)
