"""The ranks of a pool at work: started, handed jobs, heard, started again when they die, and ended."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpirender.errors import Interrupted, LaunchFailed, MpirenderError, Stopped, UsageError
from mpirender.launcher import launch_plan
from mpirender.launcher.exit_diagnosis import printed_error
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.process import LAUNCH_LOG, Launch
from mpirender.pool.rank_group import AT_ONCE_SECONDS, Member, Start
from mpirender.pool.server import Exchange, Gone, Peer, Said
from mpirender.pool.task_queue import JobEnded, Outcome, PoolEvent, RankReady, Remote, Work
from mpirender.pool.worker import MODULE, Answer, Hello, Orders, Ready
from mpirender.run_folder.events import Note
from mpirender.supervisor import retry_policy
from mpirender.system.signals import StopRequest
from mpirender.system.slurm import Allocation

POLL_SECONDS = 0.05
EVENTS_AT_ONCE = 100
LAST_WORDS_SECONDS = 2.0  # for what a rank has said before it died; a node that is lost does not close its connections
LEAVE_SECONDS = 10.0


@dataclass(frozen=True)
class Limits:
    """When a pool loses patience.

    Args:
        max_restarts: how often ranks are started again after a death.
        timeout: seconds after which a job counts as hanging, None for never.

    Raises:
        UsageError: with every mistake.
    """

    max_restarts: int = 10
    timeout: float | None = None

    def __post_init__(self) -> None:
        mistakes = [f"max_restarts {self.max_restarts} must be at least 0"] if self.max_restarts < 0 else []
        if self.timeout is not None and not self.timeout > 0:
            mistakes.append(f"timeout {self.timeout:g} must be more than 0 seconds")
        if mistakes:
            raise UsageError(mistakes)


class Shift:
    """As many starts of the ranks as the work takes.

    Args:
        work: the jobs.
        allocation: the part of a cluster that the ranks run in, None for this machine alone.
        plan: how the ranks are started.
        orders: what each rank is told first.
    """

    def __init__(
        self, work: Work[Any, Any], plan: LaunchPlan, allocation: Allocation | None, *,
        exchange: Exchange, orders: Orders, limits: Limits,
    ) -> None:  # fmt: skip
        self.work, self.plan, self.allocation = work, plan, allocation
        self._exchange, self._orders, self._limits = exchange, orders, limits
        self._watch: Callable[[Sequence[PoolEvent]], None] = lambda new: None
        self._run, self._count = uuid.uuid4().hex[:12], 0
        self._starts: dict[str, Start] = {}
        self._restarts = self._fruitless = 0
        self._leaving = self._came_up = False

    def work_until_done(self, stop: StopRequest, watch: Callable[[Sequence[PoolEvent]], None]) -> None:
        """Start the ranks, and again after a death, until something has come of every job.

        Args:
            watch: called many times a second with what has happened since.

        Raises:
            MpirenderError: a signal came; the function cannot be loaded; or no rank could do a single job.
        """
        self._watch = watch
        together = self.plan.placement.launcher.name != "none"
        try:
            for alone in [None] if together else range(self.plan.placement.ranks):
                self._start(alone)
            while not self.work.finished:
                if stop.requested:
                    raise stopped(stop, self.work)
                self._hear()
                for tag in list(self._starts):
                    self._look_after(tag, stop)
            self._let_go()
        finally:
            for start in self._starts.values():
                start.launch.end(AT_ONCE_SECONDS)

    def _start(self, alone: int | None) -> None:
        self._count += 1
        tag = f"{self._run}-{self._count}"
        known_by = ["-m", MODULE, tag]
        command = self.plan.command(*known_by, *([] if alone is None else [str(alone)]))
        environment = {**self.plan.environment, **self._exchange.settings}
        launch = Launch(command, environment, rank_words=known_by, log=Path(self._orders.logs) / LAUNCH_LOG)
        self._starts[tag] = Start(launch, self.plan.placement.ranks if alone is None else 1, alone)

    def _hear(self) -> None:
        """Take in what the ranks have said, and hand out jobs to those that are free."""
        event, heard = self._exchange.hear(POLL_SECONDS), 0
        while event is not None:
            self._take_in(*event)
            heard += 1
            event = self._exchange.hear(0.0) if heard < EVENTS_AT_ONCE else None
        self._hand_out()
        self._watch([])

    def _take_in(self, peer: Peer, said: Said) -> None:
        start = self._starts.get(peer.hello.tag)
        if start is None:  # it is buried already
            return
        if isinstance(said, Hello):
            self._came_up = True
            start.members[said.rank] = Member(peer)
            peer.tell(self._orders)
            if self._leaving:
                peer.tell(None)
            return
        member = start.members[peer.hello.rank]
        if isinstance(said, Ready):
            if said.problem:
                cure = "its Python is another one: import there only what that has"
                problem = f"the function cannot be loaded in a rank ({said.problem}); {cure}"
                raise UsageError(problem) from Remote(said.details)
            member.ready = True
            self._watch([RankReady()])
        elif isinstance(said, Answer):
            member.task = None
            start.answers += 1
            self._outcome(self.work.settle(said, peer.hello.rank, peer.hello.host))
        elif isinstance(said, Gone):
            member.gone = time.monotonic()

    def _hand_out(self) -> None:
        alone = sum(start.size for start in self._starts.values()) == 1
        for member in self._free() if self.work.left else ():
            task = self.work.take(member.peer.hello.rank, alone=alone)
            if task is not None:
                member.task, member.since = task.number, time.monotonic()
                member.peer.tell(task)

    def _free(self) -> Iterator[Member]:
        members = (member for start in self._starts.values() for member in start.members.values())
        return (member for member in members if member.ready and member.task is None and member.gone is None)

    def _look_after(self, tag: str, stop: StopRequest) -> None:
        """End a start that is overdue, and bury one that has ended, when all that it had to say is heard."""
        start = self._starts[tag]
        if start.launch.code is None:
            if not start.overdue(self._limits.timeout):
                return
            start.end()
        start.ended = start.ended or time.monotonic()
        heard = all(member.gone is not None for member in start.members.values())
        if heard or time.monotonic() - start.ended > LAST_WORDS_SECONDS:
            del self._starts[tag]
            start.launch.end(AT_ONCE_SECONDS)
            self._bury(start, stop)

    def _bury(self, start: Start, stop: StopRequest) -> None:
        """Find out what a start ended of and whom to blame; start it again where that helps."""
        if stop.requested or self.work.finished:
            return
        lost = self._lost_nodes(stop)
        dead = None if lost else start.first_to_die()
        reason = lost or start.cause(dead, self.plan.placement.launcher, self._limits.timeout)
        error = None if start.pushed else printed_error(start.launch.output, start.launch.code or 0)
        guilty = dead is not None and dead.task is not None
        for member in start.members.values():
            if member.task is not None and member is not dead:
                self.work.put_back(member.task)
        if dead is not None and dead.task is not None:
            self._blame(dead, dead.task, reason)
        self._fruitless = 0 if start.answers or guilty else self._fruitless + 1
        if not self.work.left:
            return
        error = error or self._too_much(start, reason)
        if error is not None:
            self._give_up(error)
            return
        self._restarts += 1
        again = "" if guilty else "; starting again"
        self._note(f"warning: {reason}{again}")
        self._start(start.alone)

    def _blame(self, dead: Member, task: int, reason: str) -> None:
        hello = dead.peer.hello
        log = Path(self._orders.logs) / f"rank-{hello.rank:04d}.log"
        outcome = self.work.blame(task, hello.rank, hello.host, reason, "\n".join(retry_policy.tail_of(log)))
        if outcome is not None:
            self._outcome(outcome)

    def _lost_nodes(self, stop: StopRequest) -> str:
        """Go on without the nodes that do not answer any more; say which, empty for none."""
        before = self.plan.placement.nodes
        if self.plan.placement.launcher.name == "none":
            return ""
        self.plan = launch_plan.on_responding_nodes(self.plan, self.allocation, lambda: stop.requested)
        lost = tuple(node for node in before if node not in self.plan.placement.nodes)
        return retry_policy.End(0, lost=lost).of_launch()

    def _too_much(self, start: Start, reason: str) -> MpirenderError | None:
        """Return why it makes no sense to start again, None where it does."""
        worth = "signal" in reason or self._came_up or self.plan.placement.nodes  # a launcher for nodes was tried
        if not worth or (self._fruitless >= retry_policy.FRUITLESS and not self._came_up):
            tail = "; ".join(line.strip() for line in start.launch.output if line.strip(" -"))[-300:]
            return LaunchFailed(f"the ranks did not start ({reason}): {tail or 'no output'}")
        if self._fruitless >= retry_policy.FRUITLESS:
            return LaunchFailed(f"the ranks die again and again without a job done: {reason}")
        if self._restarts >= self._limits.max_restarts:
            return LaunchFailed(f"{reason}, after {self._restarts} restarts (max_restarts)")
        return None

    def _give_up(self, error: MpirenderError) -> None:
        """Leave the rest to the other ranks, or undone where there are none; where nothing is done at all, raise."""
        others = [member for start in self._starts.values() for member in start.members.values()]
        if self._starts and (self.work.outcomes or any(member.ready for member in others)):
            self._note(f"warning: {error}; the other ranks go on")
            return
        if not self.work.outcomes:
            raise error
        for outcome in self.work.give_up(str(error)):
            self._outcome(outcome)

    def _let_go(self) -> None:
        """Let the ranks leave; those that cannot are ended."""
        self._leaving = True
        for start in self._starts.values():
            for member in start.members.values():
                member.peer.tell(None)
        end = time.monotonic() + LEAVE_SECONDS
        while time.monotonic() < end and any(
            start.launch.code is None and start.members for start in self._starts.values()
        ):
            self._hear()

    def _outcome(self, outcome: Outcome[Any, Any]) -> None:
        self._watch([JobEnded(outcome)])

    def _note(self, text: str) -> None:
        self._watch([Note(text)])


def stopped(stop: StopRequest, work: Work[Any, Any]) -> MpirenderError:
    """Return the error for work that a signal has ended."""
    so_far = f"{len(work.outcomes)} of {work.total} jobs are done"
    if stop.interrupted:
        return Interrupted(f"interrupted; {so_far}")
    return Stopped(f"stopped on {stop.name}; {so_far}", signal=stop.name)
