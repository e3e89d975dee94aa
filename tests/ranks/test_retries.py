"""Try images again; test_ranks.py runs the tests with several ranks under mpiexec."""

from __future__ import annotations

from itertools import chain

import pytest

from mpirender.job.outputs import Image
from mpirender.ranks import retries
from sample_events import done, fail


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (done(0, 1), False),
        (fail(0, 1), True),
        (fail(0, 1, attempt=2), False),
        (fail(0, 1, attempt=2, blameless=True), True),
        (fail(0, 1, attempt=3, blameless=True), True),
        (fail(0, 1, attempt=4, blameless=True), False),
        (fail(0, 1, set_aside=True, attempt=2), False),
    ],
)
def test_an_image_gets_two_attempts_and_four_if_it_is_not_to_blame(outcome: object, again: bool) -> None:
    assert retries.worth_another(outcome) == again


@pytest.fixture
def comm():
    from mpi4py import MPI

    return MPI.COMM_WORLD


def shares(comm, failed: dict[int, list[int]], unfit: set[int] = frozenset()) -> tuple[dict[int, list[int]], bool]:
    """Return the frames that each rank tries again if these failed on each, and whether any rank does."""
    outcomes = {Image(frame, "HD"): fail(comm.rank, frame) for frame in failed.get(comm.rank, ())}
    outcomes[Image(99, "HD")] = done(comm.rank, 99)
    outcomes[Image(98, "HD")] = fail(comm.rank, 98, attempt=2)  # the last attempt
    mine, goes_on = retries.next_round(comm, outcomes, 1, fit=comm.rank not in unfit)
    parts = comm.allgather(([image.frame for image in mine], goes_on))
    assert {on for _, on in parts} == {goes_on}, "all ranks agree"
    return {rank: frames for rank, (frames, _) in enumerate(parts) if frames}, goes_on


@pytest.mark.mpi(min_size=3)
def test_failed_images_are_dealt_to_the_other_ranks(comm) -> None:
    last = comm.size - 1
    dealt, goes_on = shares(comm, {0: [0, 3, 6], last: [2]})
    assert goes_on
    assert sorted(chain(*dealt.values())) == [0, 2, 3, 6]
    assert set(dealt.get(0, ())) <= {2}, "rank 0 gets none of those that failed on it"
    assert 2 not in dealt.get(last, ())
    assert dealt[1][0] == 0, "its neighbour first"


@pytest.mark.mpi(min_size=3)
def test_ranks_that_cannot_render_get_no_images(comm) -> None:
    others = set(range(1, comm.size))
    assert shares(comm, {1: [1, 4]}, unfit=others) == ({0: [1, 4]}, True)
    assert shares(comm, {0: [0]}, unfit=others) == ({0: [0]}, True), "the only one tries its own again"
    assert shares(comm, {0: [0]}, unfit={*others, 0}) == ({}, False)


@pytest.mark.mpi(min_size=3)
def test_it_ends_when_no_image_is_worth_another_attempt(comm) -> None:
    assert shares(comm, {}) == ({}, False)
