"""The static schedules: which rank renders which frame."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from mpirender.job.options import AUTO, DYNAMIC
from mpirender.job.outputs import Image

T = TypeVar("T")


def deal(frames: Sequence[T], ranks: int, schedule: str) -> list[list[T]]:
    """Distribute frames to ranks: each frame to exactly one rank; shares differ by at most one frame.

    ``interleaved`` gives rank ``r`` every ``ranks``-th frame, which evens out scenes that get slower over time.
    ``contiguous`` gives each rank one block in a row, for filters that integrate over time and readers with caches.
    ``dynamic`` has no shares in advance (:mod:`mpirender.ranks.dynamic_schedule`), except for a single rank.

    :returns: for each rank, its frames (or any other items) in order; empty where there are more ranks than frames.
    """
    if schedule in (AUTO, "interleaved") or (schedule == DYNAMIC and ranks == 1):
        return [list(frames[rank::ranks]) for rank in range(ranks)]
    if schedule == "contiguous":
        share, rest = divmod(len(frames), ranks)
        starts = [share * rank + min(rank, rest) for rank in range(ranks + 1)]
        return [list(frames[start:stop]) for start, stop in zip(starts, starts[1:])]
    raise ValueError(f"unknown schedule {schedule!r}")


def share(images: Sequence[Image], suspects: Collection[Image], rank: int, ranks: int, schedule: str) -> list[Image]:
    """Return the images that a rank renders, in order: all outputs of a frame on one rank, suspects last.

    Suspects are images that may have killed their rank. They all go to the last rank, whose share is never the
    largest. It renders one at a time, so that the next death shows which of them was the cause.
    """
    others = [image for image in images if image not in suspects]
    tasks = set(deal(list(dict.fromkeys(image.task for image in others)), ranks, schedule)[rank])
    mine = [image for image in others if image.task in tasks]
    return mine + [image for image in images if image in suspects] * (rank == ranks - 1)
