"""What follows a death: which item is blamed, what is tried again and where, what is set aside, when to give up.

Runs use this for images, pools for jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from mpirender.job.outputs import Image
from mpirender.ranks.retries import MAX_BLAMELESS_ATTEMPTS
from mpirender.system.child_process import ending
from mpirender.system.stopped_processes import STOPPED

MAX_DEATHS_PER_IMAGE = 2  # then the image, or the job of a pool, is set aside
MAX_FRUITLESS_LAUNCHES = 3  # in a row, without an item done or blamed: then the items are not the cause
START_SECONDS = 600.0  # until the first rank is up and connected; thousands of ranks load their program at once

Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True)
class LaunchEnd:
    """How a launch of the ranks ended."""

    code: int  # exit code of the launcher, negative for a signal
    output: tuple[str, ...] = ()  # the lines that the launcher and the ranks printed
    # Ranks that exceeded the time limit of an image, with the image, or were silent (None); they were ended.
    hung: Mapping[int, Image | None] = field(default_factory=dict)
    late: bool = False  # whether it was ended because no rank came up for too long
    stopped: bool = False  # whether it was ended because the grace period after a signal was over
    lost: tuple[str, ...] = ()  # nodes that no longer respond
    suspended: tuple[int, ...] = ()  # processes that were ended because a signal had stopped them
    launcher_suspended: bool = False  # whether the launcher is one of them
    launcher: str = "mpiexec"  # name of the launcher

    @property
    def who(self) -> str:
        """What the messages name as the process that ended."""
        return "the process" if self.launcher == "none" else self.launcher

    def launcher_fault(self) -> str:
        """Return what went wrong without any rank being the cause, empty if a rank was."""
        if self.lost:
            names = ", ".join(self.lost)
            return f"nodes {names} no longer respond" if len(self.lost) > 1 else f"node {names} no longer responds"
        if self.late:
            return f"no rank was up after {START_SECONDS / 60:.0f} minutes; {self.who} was ended"
        if self.launcher_suspended:
            return f"{self.who} was {STOPPED}"
        if self.code < 0 and self.launcher != "none" and not self.hung:
            return f"{self.launcher} was ended by {ending(self.code)}"
        return ""

    def before_start(self) -> str:
        """Return the reason for a launch that ended before a rank was up."""
        return f"{self.who} ended before a rank was up ({ending(self.code)})"

    def not_started(self, reason: str) -> str:
        """Return the message for ranks that cannot be started."""
        output = "; ".join(line.strip() for line in self.output if line.strip(" -"))[-300:]
        return f"the ranks did not start ({reason}): {output or 'no output'}"


class GiveUp(Enum):
    """Why the ranks are not started again."""

    NOT_STARTED = "the ranks have never started"
    FRUITLESS = "several launches in a row without an item done"
    TOO_MANY_RESTARTS = "the limit of the restarts is reached"


class RetryPolicy(Generic[Item]):
    """The deaths so far, and what follows from them."""

    def __init__(self, max_restarts: int) -> None:
        self.max_restarts, self.restarts = max_restarts, 0
        self.set_aside: dict[Item, str] = {}
        self.launcher_works = False  # whether it has passed a probe
        self._started = False  # whether a rank has ever been up
        self._deaths: Counter[Item] = Counter()  # for which an item is blamed
        self._losses: Counter[Item] = Counter()  # of renderers with an item
        self._last_rank: dict[Item, int | None] = {}
        self._fruitless = 0

    @property
    def suspects(self) -> frozenset[Item]:
        """The items that are blamed for a death and tried again."""
        return frozenset(item for item in self._deaths if item not in self.set_aside)

    def may_try(self, item: Item, rank: int) -> bool:
        """Return whether a rank may be given an item: an item that a rank died at goes to another rank."""
        return item not in self._last_rank or self._last_rank[item] != rank

    def blame(self, in_progress: Mapping[int, Item], rank: int | None) -> list[Item]:
        """Return the items, among those that each rank has in progress, that are suspected of a death.

        This is the item of the rank that died. If that is unknown, all items in progress are suspects, or only those
        that were suspects before, if there are any.
        """
        if rank is not None:
            return [in_progress[rank]] if rank in in_progress else []
        items = set(in_progress.values())
        return list(items & set(self._deaths) or items)

    def record_death(
        self, blamed: Collection[Item], reason: str, *, rank: int | None = None, started: bool, progress: bool
    ) -> None:
        """Record a death; an item that is blamed too often is set aside.

        :param rank: the rank that died, None if unknown.
        :param started: whether a rank was up.
        :param progress: whether an item was done in this launch.
        """
        self._started = self._started or started
        self._fruitless = 0 if progress or blamed else self._fruitless + 1
        for item in blamed:
            self._blame(item, reason, rank)

    def record_loss(self, item: Item, reason: str, *, rank: int, blameless: bool) -> None:
        """Record that a rank lost its renderer with an item, which is set aside after too many losses.

        :param blameless: the renderer was not lost because of the item.
        """
        self._losses[item] += 1
        if not blameless:
            self._blame(item, reason, rank)
        elif self._losses[item] >= MAX_BLAMELESS_ATTEMPTS:
            self.set_aside[item] = f"set aside after {self._losses[item]} attempts; the last: {reason}"

    def _blame(self, item: Item, reason: str, rank: int | None) -> None:
        self._deaths[item] += 1
        self._last_rank[item] = rank
        if self._deaths[item] >= MAX_DEATHS_PER_IMAGE:
            self.set_aside[item] = f"set aside after {self._deaths[item]} deaths; the last: {reason}"

    def next_attempt(self, reason: str) -> GiveUp | None:
        """Count a restart after a death with this reason; return None, or why the ranks are not to be started again."""
        # Worth another try if a signal ended the launch, or if it worked before; otherwise it would fail again.
        worth_it = "signal" in reason or self.launcher_works
        fruitless = self._fruitless >= MAX_FRUITLESS_LAUNCHES
        if not self._started and (fruitless or not worth_it):
            return GiveUp.NOT_STARTED
        if fruitless or self.restarts >= self.max_restarts:
            return GiveUp.FRUITLESS if fruitless else GiveUp.TOO_MANY_RESTARTS
        self.restarts += 1
        return None
