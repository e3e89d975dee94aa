"""Who renders which frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat


def deal(frames: Sequence[int], ranks: int, schedule: str) -> list[list[int]]:
    """Deal frames out to ranks: every frame to exactly one rank, shares differing by at most one frame.

    ``interleaved`` gives rank ``r`` every ``ranks``-th frame, which evens out scenes that get slower over time.
    ``contiguous`` gives each rank one block in a row, for filters that integrate over time and readers with caches.

    Args:
        frames: the frames to render, in order.
        ranks: number of ranks, at least 1.
        schedule: one of :data:`mpirender.job.SCHEDULES`.

    Returns:
        For each rank, its frames in order; empty where there are more ranks than frames.
    """
    if schedule == "interleaved":
        return [list(frames[rank::ranks]) for rank in range(ranks)]
    if schedule == "contiguous":
        share, rest = divmod(len(frames), ranks)
        sizes = chain(repeat(share + 1, rest), repeat(share, ranks - rest))
        remaining = iter(frames)
        return [[next(remaining) for _ in range(size)] for size in sizes]
    raise ValueError(f"unknown schedule {schedule!r}")
