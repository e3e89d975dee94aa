"""Which rank encodes which frames of which movie, and with how many threads."""

from __future__ import annotations

import itertools
import os
import socket
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# A segment begins with its own key frame, so short segments make the movie larger: rendered images in h264 by 4 % with
# segments of 50 frames, by 11 % with 25.
SHORTEST = 50
COPIED = {"images"}  # codecs that copy the images, so that several ranks would not be faster


@dataclass(frozen=True)
class Cores:
    """The cores of its host that a rank may use."""

    host: str
    allowed: frozenset[int]

    @classmethod
    def here(cls) -> Cores:
        """Return the cores of this process."""
        return cls(socket.gethostname(), frozenset(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Segment:
    """Frames of a movie, from ``start`` up to and without ``stop``, and the rank that encodes them."""

    output: str  # the output that the movie shows
    number: int  # position of the segment in the movie, from 0
    count: int  # number of segments of the movie
    start: int
    stop: int
    rank: int


def rank_order(cores: Sequence[Cores]) -> list[int]:
    """Return the ranks in the order in which they get segments: the first rank of each host, then the second, …"""
    earlier: dict[str, Iterator[int]] = defaultdict(itertools.count)  # by host: the number of its ranks so far
    turns = [(next(earlier[one.host]), rank) for rank, one in enumerate(cores)]
    return [rank for _, rank in sorted(turns)]


def plan(outputs: Iterable[str], frames: int, ranks: Sequence[int], codec: str, *, transparent: bool) -> list[Segment]:
    """Cut the movies of all outputs into contiguous segments, at most one of each movie per rank, and assign them.

    ``frames`` is the number of frames of each movie; the ranks are in the order in which they get segments.
    """
    # In a transparent gif a frame may depend on the frame before it.
    separable = codec not in COPIED and not (codec == "gif" and transparent)
    count = min(len(ranks), max(frames // SHORTEST, 1)) if separable else 1
    bounds = [frames * number // count for number in range(count + 1)]
    segments: list[Segment] = []
    for output in outputs:
        for number, (start, stop) in enumerate(zip(bounds, bounds[1:])):
            segments.append(Segment(output, number, count, start, stop, ranks[len(segments) % len(ranks)]))
    return segments


def threads_of(cores: Sequence[Cores], segments: Iterable[Segment]) -> dict[int, int]:
    """Return the number of threads of each rank that has segments: such ranks share the cores of their host."""
    workers = {segment.rank for segment in segments}
    working = Counter(cores[rank].host for rank in workers)
    on_host: dict[str, set[int]] = defaultdict(set)
    for one in cores:
        on_host[one.host] |= one.allowed
    return {
        rank: max(min(len(on_host[cores[rank].host]) // working[cores[rank].host], len(cores[rank].allowed)), 1)
        for rank in workers
    }
