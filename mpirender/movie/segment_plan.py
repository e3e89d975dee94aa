"""Which rank encodes which frames of which movie, and with how many threads."""

from __future__ import annotations

import os
import socket
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A segment begins with a key frame of its own, so short ones make the movie larger: rendered pictures in h264 by 4 %
# with segments of 50 frames, by 11 % with 25.
SHORTEST = 50
WHOLE = {"images"}  # these are copied as they are, which is no work to share


@dataclass(frozen=True)
class Cores:
    """The cores of its host that a rank may use."""

    host: str
    allowed: frozenset[int]

    @classmethod
    def here(cls) -> Cores:
        """Return those of this process."""
        return cls(socket.gethostname(), frozenset(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Piece:
    """Some frames of a movie, from the one at ``start`` to the one before ``stop``, and the rank that encodes them."""

    size: str
    number: int
    of: int
    start: int
    stop: int
    rank: int


def spread(cores: Sequence[Cores]) -> list[int]:
    """Return the ranks in the order in which they get work: first one of each host, then another of each."""
    seen: Counter[str] = Counter()
    turns = []
    for rank, one in enumerate(cores):
        turns.append((seen[one.host], rank))
        seen[one.host] += 1
    return [rank for _, rank in sorted(turns)]


def plan(sizes: Iterable[str], frames: int, ranks: Sequence[int], codec: str, *, transparent: bool) -> list[Piece]:
    """Cut the movies of all sizes into contiguous pieces, at most one of each for a rank, and deal them out.

    Args:
        frames: how many each movie has.
        ranks: in the order in which they get work.
    """
    apart = codec not in WHOLE and not (codec == "gif" and transparent)  # of which a picture needs the one before
    of = min(len(ranks), max(frames // SHORTEST, 1)) if apart else 1
    bounds = [frames * number // of for number in range(of + 1)]
    pieces: list[Piece] = []
    for size in sizes:
        for number, (start, stop) in enumerate(zip(bounds, bounds[1:])):
            pieces.append(Piece(size, number, of, start, stop, ranks[len(pieces) % len(ranks)]))
    return pieces


def threads_of(cores: Sequence[Cores], pieces: Iterable[Piece]) -> dict[int, int]:
    """Return how many threads each rank with work may start: those that have some share the cores of their host."""
    workers = {piece.rank for piece in pieces}
    working = Counter(cores[rank].host for rank in workers)
    there: dict[str, set[int]] = defaultdict(set)
    for one in cores:
        there[one.host] |= one.allowed
    return {
        rank: max(min(len(there[cores[rank].host]) // working[cores[rank].host], len(cores[rank].allowed)), 1)
        for rank in workers
    }
