"""The supervisor of a pool: starts the ranks, hands out jobs, starts ranks again after a death, and ends them."""

from __future__ import annotations

import itertools
import time
import uuid
from pathlib import Path
from typing import Any

from mpirender.errors import Interrupted, LaunchFailed, MpirenderError, Stopped, UsageError
from mpirender.launcher import launch_plan
from mpirender.launcher.exit_diagnosis import printed_error
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.process import LAUNCH_LOG, Launch
from mpirender.pool.messages import FromRank, Gone, Hello, Lost, Ready, Result, Setup, Unfit
from mpirender.pool.rank_group import Member, RankGroup
from mpirender.pool.server import Peer, Server
from mpirender.pool.task_queue import JobEnded, PoolWatch, RankReady, Remote, TaskQueue
from mpirender.pool.worker import MODULE
from mpirender.ranks.log import last_log_lines
from mpirender.run_folder.events import Note
from mpirender.supervisor.retry_policy import GiveUp
from mpirender.system.signals import StopRequest
from mpirender.system.slurm import Allocation

POLL_SECONDS = 0.05
EVENTS_AT_ONCE = 100
LAST_MESSAGES_SECONDS = 2.0  # for the messages of a rank before its death; a lost node closes no connections
LEAVE_SECONDS = 10.0


class PoolSupervisor:
    """All launches of a pool's ranks."""

    def __init__(
        self, queue: TaskQueue[Any, Any], plan: LaunchPlan, *,
        allocation: Allocation | None, server: Server, setup: Setup,
    ) -> None:  # fmt: skip
        self.queue, self.policy, self.plan = queue, queue.policy, plan
        self._allocation, self._server, self._setup = allocation, server, setup
        self._watch: PoolWatch = lambda new: None
        self._id, self._launches = uuid.uuid4().hex[:12], itertools.count(1)
        self._groups: dict[str, RankGroup] = {}
        self._leaving = self._came_up = False
        self.policy.launcher_works = bool(plan.placement.nodes)  # it has passed a probe

    def run(self, stop: StopRequest, watch: PoolWatch) -> None:
        """Start the ranks, and again after a death, until every job has an outcome; call ``watch`` often.

        :raises MpirenderError: a signal came, the function cannot be loaded, or no rank could do a single job.
        """
        self._watch = watch
        together = self.plan.placement.launcher.name != "none"
        try:
            for alone in [None] if together else range(self.plan.placement.ranks):
                self._start(alone)
            while not self.queue.finished:
                if stop.requested:
                    raise stopped(stop, self.queue)
                self._receive()
                for tag in list(self._groups):
                    self._check(tag, stop)
            self._let_leave()
        finally:
            for group in self._groups.values():
                group.launch.end()

    def _start(self, alone: int | None) -> None:
        tag, placement = f"{self._id}-{next(self._launches)}", self.plan.placement
        words, log = ["-m", MODULE, tag], Path(self._setup.logs) / LAUNCH_LOG
        command = self.plan.command(*words, *([] if alone is None else [str(alone)]))
        launch = Launch(command, {**self.plan.environment, **self._server.environment}, rank_words=words, log=log)
        size = placement.ranks if alone is None else 1
        self._groups[tag] = RankGroup(launch, str(placement.launcher), size, alone)

    @property
    def _members(self) -> list[Member]:
        return [member for group in self._groups.values() for member in group.members.values()]

    def _receive(self) -> None:
        """Handle the messages of the ranks, and hand out jobs to those that are free."""
        event, handled = self._server.receive(POLL_SECONDS), 0
        while event is not None:
            self._handle(*event)
            handled += 1
            event = self._server.receive(0.0) if handled < EVENTS_AT_ONCE else None
        self._hand_out()
        self._watch([])

    def _handle(self, peer: Peer, message: FromRank) -> None:
        group = self._groups.get(peer.hello.tag)
        if group is None:  # it has ended
            return
        if isinstance(message, Hello):
            self._came_up = True
            group.members[message.rank] = Member(peer)
            peer.send(self._setup)
            if self._leaving:
                peer.send(None)
            return
        member = group.members[peer.hello.rank]
        if isinstance(message, Ready):
            self._make_ready(member, message)
        elif isinstance(message, Result):
            member.task = None
            group.results += 1
            self._watch([JobEnded(self.queue.finish(message, peer.hello.rank, peer.hello.host))])
        elif isinstance(message, Lost):
            self._lose(member, message)
        elif isinstance(message, Unfit):
            self._retire(peer.hello.tag, member, message)
        elif isinstance(message, Gone):
            member.gone = time.monotonic()

    def _make_ready(self, member: Member, message: Ready) -> None:
        if message.problem:
            raise UsageError(
                f"the function cannot be loaded in a rank ({message.problem}); "
                "the ranks run another Python: import only modules that it has"
            ) from Remote(message.details)
        member.ready = True
        self._watch([RankReady()])

    def _lose(self, member: Member, message: Lost) -> None:
        """Try a job again, or set it aside, with which a rank lost its renderer."""
        member.task, member.ready = None, False
        number, rank = message.number, member.peer.hello.rank
        self.policy.record_loss(number, f"the renderer {message.reason}", rank=rank, blameless=message.blameless)
        if self._retry(member, number, message.log):
            what = f"{self.queue.name(number)}: the renderer of {member} {message.reason}"
            self._watch([Note(f"warning: {what}; trying the job again")])

    def _retire(self, tag: str, member: Member, message: Unfit) -> None:
        """Do without a rank, and without its launch if no rank of it is left."""
        member.fit = False
        error, group = LaunchFailed(f"{member} takes no more jobs: {message.reason}"), self._groups[tag]
        if group.fit:
            self._watch([Note(f"warning: {error}")])
            return
        del self._groups[tag]
        group.launch.end()
        error.__cause__ = Remote(message.log)
        if not self.queue.finished:
            self._give_up(error)

    def _hand_out(self) -> None:
        only_rank = sum(group.fit for group in self._groups.values()) == 1
        for member in self._members if self.queue.waiting else ():
            if member.ready and member.task is None and member.gone is None:
                task = self.queue.take(member.peer.hello.rank, only_rank=only_rank)
                if task is not None:
                    member.task, member.since = task.number, time.monotonic()
                    member.peer.send(task)

    def _check(self, tag: str, stop: StopRequest) -> None:
        """End a launch that is overdue; recover from one that has ended, once all its messages are handled."""
        group = self._groups[tag]
        if group.launch.code is None:
            if not group.overdue(self._setup.timeout):
                return
            group.terminate()
        group.ended = group.ended or time.monotonic()
        complete = all(member.gone is not None for member in group.members.values())
        if complete or time.monotonic() - group.ended > LAST_MESSAGES_SECONDS:
            del self._groups[tag]
            group.launch.end()
            if not stop.requested and not self.queue.finished:
                self._recover(group, stop)

    def _recover(self, group: RankGroup, stop: StopRequest) -> None:
        """Find out why a launch ended and which job is to blame; start it again if that makes sense."""
        self.plan, lost = launch_plan.on_responding_nodes(self.plan, self._allocation, lambda: stop.requested)
        end = group.end(lost)
        dead = None if end.lost else group.first_dead()
        reason = end.launcher_fault() or group.cause(dead)
        error = None if group.terminated else printed_error(end.output, end.code)
        rank = None if dead is None else dead.peer.hello.rank
        blamed = [] if rank is None else self.policy.blame(group.in_progress, rank)
        self.policy.record_death(blamed, reason, rank=rank, started=self._came_up, progress=bool(group.results))
        for member in group.members.values():
            if member.task is not None:
                log = Path(self._setup.logs) / f"rank-{member.peer.hello.rank:04d}.log"
                self._retry(member, member.task, "\n".join(last_log_lines(log)))
        if not self.queue.waiting:
            return
        if error is None and (verdict := self.policy.next_attempt(reason)) is not None:
            error = LaunchFailed(self._message(verdict, reason, end.not_started(reason)))
        if error is not None:
            self._give_up(error)
            return
        self._watch([Note(f"warning: {reason}{'' if blamed else '; starting again'}")])
        self._start(group.alone)

    def _retry(self, member: Member, task: int, log: str) -> bool:
        """Return whether a job that its rank has lost is tried again; if not, report its outcome."""
        outcome = self.queue.retry_or_fail(task, member.peer.hello.rank, member.peer.hello.host, log)
        if outcome is not None:
            self._watch([JobEnded(outcome)])
        return outcome is None

    def _message(self, verdict: GiveUp, reason: str, not_started: str) -> str:
        """Return why the ranks are not started again."""
        return {
            GiveUp.NOT_STARTED: not_started,
            GiveUp.FRUITLESS: f"the ranks died repeatedly without a job done: {reason}",
            GiveUp.TOO_MANY_RESTARTS: f"{reason}, after {self.policy.restarts} restarts (max_restarts)",
        }[verdict]

    def _give_up(self, error: MpirenderError) -> None:
        """Leave the waiting jobs to the other ranks, or fail them if there are none; raise if no job is done at all."""
        if self._groups and (self.queue.outcomes or any(member.ready for member in self._members)):
            self._watch([Note(f"warning: {error}; the other ranks continue")])
            return
        if not self.queue.outcomes:
            raise error
        self._watch([JobEnded(outcome) for outcome in self.queue.give_up(str(error))])

    def _let_leave(self) -> None:
        """Let the ranks exit; those that cannot are ended."""
        self._leaving = True
        for member in self._members:
            member.peer.send(None)
        end, groups = time.monotonic() + LEAVE_SECONDS, self._groups.values()
        while time.monotonic() < end and any(group.launch.code is None and group.members for group in groups):
            self._receive()


def stopped(stop: StopRequest, queue: TaskQueue[Any, Any]) -> MpirenderError:
    """Return the error for a pool that a signal has ended."""
    so_far = f"{len(queue.outcomes)} of {queue.total} jobs are done"
    if stop.interrupted:
        return Interrupted(f"interrupted; {so_far}")
    return Stopped(f"stopped on {stop.name}; {so_far}", signal=stop.name)
