"""The dynamic schedule: rank 0 sends the next frame to each rank that is free.

Rank 0 answers while its own renderer works (:attr:`mpirender.ranks.renderer.Renderer.duties`). The leader of a group
renders itself (``--ranks-per-frame``) and answers only between its frames, so groups ask for one frame ahead.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from mpirender.job.options import DYNAMIC
from mpirender.job.outputs import Image
from mpirender.ranks import schedule
from mpirender.ranks.layout import RankLayout
from mpirender.ranks.renderer import POLL_SECONDS, Duties
from mpirender.system.comm import Comm

REQUEST, TASK = 2, 3  # tags: a rank is free, its next task
SHORTEST, LONGEST = 2e-4, 2e-2  # seconds between two polls
IDLE = 1e-3  # the longest pause of a rank that waits for a task
POLLS = 100  # in the time that a rank takes for a task, so that a rank waits half a hundredth of that on average
FINISHED = "finished"  # instead of None, from a rank that wants no more tasks

Task = list[Image]  # all outputs of a frame; empty if there are no more


class FrameServer:
    """Rank 0 as the one that hands out the tasks, itself included."""

    def __init__(self, comm: Comm, tasks: Iterable[Task]) -> None:
        self._comm, self._left, self._clients = comm, deque(tasks), comm.size - 1
        self._asked: dict[int, float] = {}  # when each rank asked last, by time.monotonic
        self._pause, self._leaving = LONGEST, False

    def take(self) -> Task:
        """Return the next task."""
        return self._left.popleft() if self._left else []

    def __iter__(self) -> Iterator[Image]:
        """Take tasks for this rank until it leaves."""
        while not self._leaving and (task := self.take()):
            yield from task

    def leave(self) -> None:
        """Take no more tasks for this rank after this one."""
        self._leaving = True

    def answer(self) -> float:
        """Send a task to each rank that has asked; return after how many seconds to look again."""
        while self._clients and (request := received(self._comm, None, REQUEST)):
            message, rank = request
            task: Task = [] if message == FINISHED else self.take()
            if message != FINISHED:
                self._comm.send(task, dest=rank, tag=TASK)
            self._clients -= not task
            now = time.monotonic()
            if rank in self._asked:  # look as often as tasks of this length need
                self._pause = min(max((now - self._asked[rank]) / POLLS, SHORTEST), LONGEST)
            self._asked[rank] = now
        return self._pause if self._clients else POLL_SECONDS

    def finish(self) -> None:
        """Answer until every rank knows that there are no more tasks."""
        while self._clients:
            time.sleep(self.answer())


class _Tasks:
    """The images that another rank gets from rank 0, ``ahead`` of time or not."""

    def __init__(self, comm: Comm, *, ahead: bool) -> None:
        self._comm, self._ahead, self._asked, self._finished = comm, ahead, False, False
        self._leaving = False

    def leave(self) -> None:
        """Take no more tasks after this one."""
        self._leaving = True

    def __iter__(self) -> Iterator[Image]:
        while not (self._finished or self._leaving):
            task = self._receive()
            self._finished = not task
            if self._ahead and task:
                self._ask()
            yield from task

    def finish(self) -> None:
        """Tell rank 0 that this rank takes no more tasks, unless it was sent the last one."""
        if self._asked:
            self._finished = not self._receive()
        if not self._finished:
            self._finished = True
            self._comm.send(FINISHED, dest=0, tag=REQUEST)

    def _ask(self) -> None:
        self._comm.send(None, dest=0, tag=REQUEST)
        self._asked = True

    def _receive(self) -> Task:
        if not self._asked:
            self._ask()
        self._asked = False
        task: Task = receive(self._comm, 0, TASK, longest=IDLE)
        return task


def no_duties() -> float:
    """Return how long a rank without duties may wait, in seconds."""
    return POLL_SECONDS


class Share(NamedTuple):
    """What a rank renders."""

    images: Iterable[Image]  # in order
    answer: Duties = no_duties  # what it does meanwhile
    leave: Callable[[], object] = lambda: None  # tells that it cannot render any more


@contextlib.contextmanager
def share(layout: RankLayout, images: Sequence[Image], suspects: Collection[Image], kind: str) -> Iterator[Share]:
    """Give this rank its share of the images.

    Under the dynamic schedule the images arrive one task at a time. ``images`` are the same on every rank; for
    ``suspects`` see :func:`mpirender.ranks.schedule.share`.
    """
    comm = layout.comm
    if kind != DYNAMIC or comm.size == 1:
        yield Share(schedule.share(images, suspects, comm.rank, comm.size, kind))
    elif comm.rank == 0:
        server = FrameServer(comm, tasks_of(images, suspects))
        yield Share(server, server.answer, server.leave)
        server.finish()
    else:
        mine = _Tasks(comm, ahead=layout.group is not None)
        yield Share(mine, leave=mine.leave)
        mine.finish()


def tasks_of(images: Sequence[Image], suspects: Collection[Image]) -> list[Task]:
    """Return the tasks: the outputs of each frame, and at the end all suspects together."""
    others = (image for image in images if image not in suspects)
    last = [image for image in images if image in suspects]
    return [*(list(outputs) for _, outputs in groupby(others, key=lambda image: image.task)), *([last] if last else [])]


def received(comm: Comm, source: int | None, tag: int) -> tuple[Any, int] | None:
    """Return a message that has arrived, with its sender; None if there is none. ``source`` None: of any rank."""
    from mpi4py import MPI

    status = MPI.Status()
    if not comm.Iprobe(MPI.ANY_SOURCE if source is None else source, tag, status):
        return None
    return comm.recv(source=status.source, tag=tag), status.source


def receive(comm: Comm, source: int, tag: int, longest: float = LONGEST) -> Any:  # noqa: ANN401
    """Wait for a message of a rank and return it; waiting inside MPI would take a core.

    ``longest`` is the upper limit of the pause between two polls, in seconds.
    """
    pause = SHORTEST
    while (message := received(comm, source, tag)) is None:
        time.sleep(pause)
        pause = min(1.5 * pause, longest)
    return message[0]
