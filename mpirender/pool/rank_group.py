"""One start of a pool's ranks: who is up, what each is at, and what it has ended of."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mpirender.launcher import exit_diagnosis
from mpirender.launcher.process import Launch
from mpirender.pool.server import Peer
from mpirender.supervisor import retry_policy

AT_ONCE_SECONDS = 3.0  # what a launcher gets to end its ranks
GONE_SECONDS = 5.0  # in which a launcher ends the others when a rank is gone; not all of them do


@dataclass
class Member:
    """A rank that has connected.

    Args:
        ready: whether it takes jobs.
        task: number of the job that it is at, None for none.
        since: when it took that up.
        gone: when its connection ended, None while it stands.
    """

    peer: Peer
    ready: bool = False
    task: int | None = None
    since: float = 0.0
    gone: float | None = None

    def __str__(self) -> str:
        return f"rank {self.peer.hello.rank} on {self.peer.hello.host}"


@dataclass
class Start:
    """A launcher with all its ranks, or a process that is a rank alone.

    Args:
        size: number of its ranks.
        alone: number of the rank where it is one alone.
        answers: how many jobs its ranks have dealt with.
        hung: the rank that took too long, for which all were ended.
        ended: when the launcher had ended, None while it runs.
        pushed: whether it did not do so by itself.
    """

    launch: Launch
    size: int
    alone: int | None
    began: float = field(default_factory=time.monotonic)
    members: dict[int, Member] = field(default_factory=dict)
    answers: int = 0
    hung: Member | None = None
    ended: float | None = None
    pushed: bool = False

    def end(self) -> None:
        """End the launcher and its ranks before they have done so."""
        self.pushed = True
        self.launch.end(AT_ONCE_SECONDS)

    def overdue(self, timeout: float | None) -> bool:
        """Say whether it must be ended: a rank takes too long for a job, or is gone, or none has come up."""
        now = time.monotonic()
        slow = [one for one in self.members.values() if one.task is not None and timeout and now - one.since > timeout]
        self.hung = min(slow, key=lambda one: one.since, default=None)
        gone = any(one.gone is not None and now - one.gone > GONE_SECONDS for one in self.members.values())
        return bool(self.hung or gone or (not self.members and now - self.began > retry_policy.START_SECONDS))

    def first_to_die(self) -> Member | None:
        """Return the rank that died first and of itself, as far as it is known."""
        if self.hung is not None:
            return self.hung
        if self.alone is None and not self.pushed:
            if (self.launch.code or 0) < 0:  # it was the launcher
                return None
            death = exit_diagnosis.first_death(self.launch.output)
            told_of = [self.members.get(-1 if death.rank is None else death.rank)]
            told_of += [one for one in self.members.values() if one.peer.hello.pid == death.pid]
            if found := next(filter(None, told_of), None):
                return found
        gone = [one for one in self.members.values() if one.gone is not None]
        return min(gone, key=lambda one: one.gone or 0.0, default=None)

    def cause(self, dead: Member | None, way: object, timeout: float | None) -> str:
        """Say what this start ended of."""
        code = self.launch.code or 0
        if self.hung is not None:
            return f"{dead} took longer than {timeout:g} s and was ended (timeout)"
        if dead is not None:
            how = "" if self.alone is not None else exit_diagnosis.first_death(self.launch.output).how
            return f"{dead} died ({how or ('it ended' if self.pushed else exit_diagnosis.ending(code))})"
        who = "a rank" if self.alone is not None else str(way)
        if not self.members and self.pushed:
            return f"{who} had not come up after {retry_policy.START_SECONDS / 60:.0f} minutes and was ended"
        return f"{who} ended {'' if self.members else 'before a rank was up '}({exit_diagnosis.ending(code)})"
