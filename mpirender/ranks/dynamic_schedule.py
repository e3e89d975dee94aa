"""The dynamic schedule: frames are handed out by messages as ranks get free.

A rank that renders cannot answer another, since ParaView keeps Python's interpreter lock meanwhile, so none of them can
hand out without holding the others up. A desk does: one more process that renders nothing. It loads nothing and sleeps
between looks, so that no rank loses its core to it.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from mpirender.errors import UsageError
from mpirender.job.options import DYNAMIC
from mpirender.job.outputs import Image
from mpirender.ranks import schedule
from mpirender.system import signals
from mpirender.system.comm import Comm

PLAN, ASK, PART = 1, 2, 3  # tags: what there is to do, a rank is free, what it is to do next
SHORTEST, LONGEST = 2e-4, 2e-2  # seconds between two looks
IDLE = 1e-3  # those of a rank, which has nothing else to do
LOOKS = 100  # in the time that a rank is at its part: what a rank waits is half a hundredth of that
ENOUGH = "enough"  # instead of None, by a rank that wants no more


class Crew(NamedTuple):
    """The ranks, and the world they are in: their own, or one with a desk in it.

    Args:
        everyone: all ranks that render; on the desk, itself alone.
        comm: those of them that take up frames: all, or the leaders of the groups.
        desk: the rank of the desk in the world, None where there is none.
        group: the ranks that render each frame together, the leader first; None where each renders alone.
        part: number of this rank, or group; on the desk, how many there are.
    """

    world: Comm
    everyone: Comm
    comm: Comm
    desk: int | None
    group: Comm | None
    part: int

    @classmethod
    def of(cls, world: Comm, kind: str, ranks_per_frame: int = 1) -> Crew:
        """Divide a world, for this schedule; all its processes call it. A single rank, or group, needs no desk.

        Raises:
            UsageError: the ranks do not make whole groups.
        """
        desk, everyone = None, world
        if kind == DYNAMIC and world.size > ranks_per_frame:
            desk = place_of_desk(world.allgather(socket.gethostname()))
            everyone = world.Split(color=int(world.rank == desk), key=world.rank)
        count, rest = divmod(world.size - (desk is not None), ranks_per_frame)
        if rest:
            raise UsageError(
                f"--ranks-per-frame {ranks_per_frame}: {world.size - (desk is not None)} ranks make no whole groups; "
                "start a multiple of it"
            )
        part = count if world.rank == desk else everyone.rank // ranks_per_frame
        if ranks_per_frame == 1:
            return cls(world, everyone, everyone, desk, None, part)
        group = world.Split(color=part, key=world.rank)
        leaders = world.Split(color=int(group.rank > 0 or world.rank == desk), key=world.rank)
        return cls(world, everyone, leaders, desk, group, part)

    @property
    def at_desk(self) -> bool:
        """Whether this process hands out."""
        return bool(self.desk == self.world.rank)

    @property
    def follows(self) -> bool:
        """Whether this rank renders what another one takes up."""
        return self.group is not None and not self.at_desk and self.group.rank > 0

    @property
    def name(self) -> str:
        """The number of the rank among those that take up frames; the desk is counted behind all ranks."""
        return f"{self.part:04d}-{self.group.rank}" if self.group is not None and self.follows else f"{self.part:04d}"


def place_of_desk(hosts: Sequence[str]) -> int:
    """Return which process is the desk: the last one of the host that has the most, or of the last of these.

    Launchers put a process more than there are seats where they like.
    """
    counts = Counter(hosts)
    return max(range(len(hosts)), key=lambda rank: (counts[hosts[rank]], rank))


@contextlib.contextmanager
def share(crew: Crew, images: Sequence[Image], suspects: Collection[Image], kind: str) -> Iterator[Iterable[Image]]:
    """Give the images that this rank renders, in order; of the dynamic schedule they come one after the other.

    Args:
        images: the images to render, in order, the same on every rank.
        suspects: those that may have killed their rank; see :func:`mpirender.ranks.schedule.share`.
    """
    if crew.desk is None:
        yield schedule.share(images, suspects, crew.comm.rank, crew.comm.size, kind)
        return
    if crew.comm.rank == 0:
        crew.world.send(parts(images, suspects), dest=crew.desk, tag=PLAN)
    mine = _Mine(crew.world, crew.desk)
    yield mine
    mine.leave()


class _Mine:
    """What the desk hands to this rank."""

    def __init__(self, world: Comm, desk: int) -> None:
        self._world, self._desk, self._over = world, desk, False

    def __iter__(self) -> Iterator[Image]:
        while not self._over:
            self._world.send(None, dest=self._desk, tag=ASK)
            part, _ = receive(self._world, self._desk, PART, longest=IDLE)
            self._over = not part
            yield from part

    def leave(self) -> None:
        """Say, where the desk does not know it, that this rank takes no more."""
        if not self._over:
            self._over = True
            self._world.send(ENOUGH, dest=self._desk, tag=ASK)


def parts(images: Sequence[Image], suspects: Collection[Image]) -> list[list[Image]]:
    """Return what is handed out at a time: all sizes of a frame, and at the end all suspects together."""
    calm = (image for image in images if image not in suspects)
    last = [image for image in images if image in suspects]
    return [*(list(sizes) for _, sizes in groupby(calm, key=lambda image: image.task)), *([last] if last else [])]


def serve(world: Comm, takers: int) -> None:
    """Hand out what the first rank names, until every rank knows that there is no more.

    Args:
        takers: how many there are.
    """
    signals.ignore_signals()  # the ranks hear of signals, and say when they take no more
    plan, _ = receive(world, None, PLAN)
    left = iter(plan)
    at_work = takers
    since: dict[int, float] = {}
    longest = LONGEST
    while at_work:
        asked, rank = receive(world, None, ASK, longest)
        part: list[Image] = [] if asked == ENOUGH else next(left, [])
        if asked != ENOUGH:
            world.send(part, dest=rank, tag=PART)
        at_work -= not part
        now = time.monotonic()
        if rank in since:
            longest = min(max((now - since[rank]) / LOOKS, SHORTEST), LONGEST)
        since[rank] = now


def receive(world: Comm, source: int | None, tag: int, longest: float = LONGEST) -> tuple[Any, int]:
    """Wait for a message, asleep: MPI's own waiting would take a core; return it and the rank it is from.

    Args:
        source: a rank, or None for any.
        longest: seconds between two looks, in the end.
    """
    from mpi4py import MPI

    status, pause = MPI.Status(), SHORTEST
    while not world.Iprobe(MPI.ANY_SOURCE if source is None else source, tag, status):
        time.sleep(pause)
        pause = min(1.5 * pause, longest)
    return world.recv(source=status.source, tag=tag), status.source
