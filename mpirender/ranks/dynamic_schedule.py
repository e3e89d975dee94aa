"""The dynamic schedule: a frame server sends the next frame to each rank that is free.

A rank that renders cannot answer messages, since ParaView keeps Python's interpreter lock. The frame server is thus
one more process. It loads no scene and sleeps between polls, so it takes no core from a rank.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from mpirender.job.outputs import Image
from mpirender.ranks import schedule
from mpirender.ranks.layout import RankLayout
from mpirender.system import signals
from mpirender.system.comm import Comm

PLAN, REQUEST, TASK = 1, 2, 3  # tags: all tasks, a rank is free, its next task
SHORTEST, LONGEST = 2e-4, 2e-2  # seconds between two polls
IDLE = 1e-3  # the longest pause of a rank that waits for a task
POLLS = 100  # in the time that a rank takes for a task, so that a rank waits half a hundredth of that on average
FINISHED = "finished"  # instead of None, from a rank that wants no more tasks


def serve(world: Comm, clients: int) -> None:
    """Send each rank its next task, all outputs of a frame, until every rank knows that there are no more.

    The first rank sends the tasks; ``clients`` is the number of ranks or groups that take frames.
    """
    signals.ignore_signals()  # the ranks receive them, and send FINISHED
    left = iter(receive(world, None, PLAN)[0])
    asked: dict[int, float] = {}  # when each rank asked last, by time.monotonic
    longest = LONGEST
    while clients:
        message, rank = receive(world, None, REQUEST, longest)
        task: list[Image] = [] if message == FINISHED else next(left, [])
        if message != FINISHED:
            world.send(task, dest=rank, tag=TASK)
        clients -= not task
        now = time.monotonic()
        if rank in asked:  # poll as often as tasks of this length need
            longest = min(max((now - asked[rank]) / POLLS, SHORTEST), LONGEST)
        asked[rank] = now


@contextlib.contextmanager
def share(
    layout: RankLayout, images: Sequence[Image], suspects: Collection[Image], kind: str
) -> Iterator[Iterable[Image]]:
    """Give the images that this rank renders, in order; under the dynamic schedule they arrive one task at a time.

    ``images`` are the same on every rank; for ``suspects`` see :func:`mpirender.ranks.schedule.share`.
    """
    if layout.server is None:
        yield schedule.share(images, suspects, layout.comm.rank, layout.comm.size, kind)
        return
    if layout.comm.rank == 0:
        layout.world.send(tasks_of(images, suspects), dest=layout.server, tag=PLAN)
    mine = _Tasks(layout.world, layout.server)
    yield mine
    mine.finish()


class _Tasks:
    """The images that the frame server sends to this rank."""

    def __init__(self, world: Comm, server: int) -> None:
        self._world, self._server, self._finished = world, server, False

    def __iter__(self) -> Iterator[Image]:
        while not self._finished:
            self._world.send(None, dest=self._server, tag=REQUEST)
            task, _ = receive(self._world, self._server, TASK, longest=IDLE)
            self._finished = not task
            yield from task

    def finish(self) -> None:
        """Tell the frame server that this rank takes no more tasks, unless it was sent the last one."""
        if not self._finished:
            self._finished = True
            self._world.send(FINISHED, dest=self._server, tag=REQUEST)


def tasks_of(images: Sequence[Image], suspects: Collection[Image]) -> list[list[Image]]:
    """Return the tasks: the outputs of each frame, and at the end all suspects together."""
    others = (image for image in images if image not in suspects)
    last = [image for image in images if image in suspects]
    return [*(list(outputs) for _, outputs in groupby(others, key=lambda image: image.task)), *([last] if last else [])]


def receive(world: Comm, source: int | None, tag: int, longest: float = LONGEST) -> tuple[Any, int]:
    """Wait for a message of a rank (None: any) and return it with its sender; waiting inside MPI would take a core.

    ``longest`` is the upper limit of the pause between two polls, in seconds.
    """
    from mpi4py import MPI

    status, pause = MPI.Status(), SHORTEST
    while not world.Iprobe(MPI.ANY_SOURCE if source is None else source, tag, status):
        time.sleep(pause)
        pause = min(1.5 * pause, longest)
    return world.recv(source=status.source, tag=tag), status.source
