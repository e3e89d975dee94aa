"""One launch of a pool's ranks: which ranks are up, what each is doing, and why the launch ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mpirender.launcher import exit_diagnosis
from mpirender.launcher.process import Launch
from mpirender.pool.server import Peer
from mpirender.supervisor import retry_policy
from mpirender.supervisor.retry_policy import LaunchEnd

GONE_SECONDS = 5.0  # in which a launcher ends the other ranks when one is gone; not all launchers do


@dataclass
class Member:
    """A rank that has connected."""

    peer: Peer
    ready: bool = False  # whether it takes jobs
    task: int | None = None  # number of the job that it is doing, None for none
    since: float = 0.0  # when it took that job
    gone: float | None = None  # when its connection ended, None while it is open

    def __str__(self) -> str:
        return f"rank {self.peer.hello.rank} on {self.peer.hello.host}"


@dataclass
class RankGroup:
    """A launcher with all its ranks, or a process that is a rank alone."""

    launch: Launch
    launcher: str  # name of the launcher
    size: int  # number of its ranks
    alone: int | None  # number of the rank if the process is a rank alone
    began: float = field(default_factory=time.monotonic)
    members: dict[int, Member] = field(default_factory=dict)
    results: int = 0  # number of jobs that its ranks have finished
    hung: Member | None = None  # the rank that exceeded the time limit, because of which all were ended
    ended: float | None = None  # when the launcher had ended, None while it runs
    terminated: bool = False  # whether the pool ended it

    @property
    def in_progress(self) -> dict[int, int]:
        """The number of the job that each rank is doing."""
        return {rank: member.task for rank, member in self.members.items() if member.task is not None}

    def terminate(self) -> None:
        """End the launcher and its ranks while they still run."""
        self.terminated = True
        self.launch.end()

    def overdue(self, timeout: float | None) -> bool:
        """Return whether it must be ended: a rank exceeds the time limit or is gone, or no rank came up in time."""
        now = time.monotonic()
        slow = [one for one in self.members.values() if one.task is not None and timeout and now - one.since > timeout]
        self.hung = min(slow, key=lambda one: one.since, default=None)
        gone = any(one.gone is not None and now - one.gone > GONE_SECONDS for one in self.members.values())
        return bool(self.hung or gone or (not self.members and now - self.began > retry_policy.START_SECONDS))

    def first_dead(self) -> Member | None:
        """Return the rank that died first, without being ended by the launcher, None if it is unknown."""
        if self.hung is not None:
            return self.hung
        if self.alone is None and not self.terminated:
            if (self.launch.code or 0) < 0:  # the launcher itself was killed
                return None
            death = exit_diagnosis.first_death(self.launch.output)
            named = [self.members.get(-1 if death.rank is None else death.rank)]
            named += [one for one in self.members.values() if one.peer.hello.pid == death.pid]
            if found := next(filter(None, named), None):
                return found
        gone = [one for one in self.members.values() if one.gone is not None]
        return min(gone, key=lambda one: one.gone or 0.0, default=None)

    def end(self, lost: tuple[str, ...]) -> LaunchEnd:
        """Return how it ended; ``lost`` are the nodes that no longer respond."""
        code, late = 0 if self.terminated else self.launch.code or 0, self.terminated and not self.members
        return LaunchEnd(code, tuple(self.launch.output), late=late, lost=lost, launcher=self.launcher)

    def cause(self, dead: Member | None, timeout: float | None) -> str:
        """Return why it ended, if no fault of the launcher explains it; ``dead`` is the rank that died first."""
        ending = exit_diagnosis.ending(self.launch.code or 0)
        if self.hung is not None:
            return f"{dead} took longer than {timeout:g} s and was ended (timeout)"
        if dead is not None:
            how = "" if self.alone is not None else exit_diagnosis.first_death(self.launch.output).how
            return f"{dead} died ({how or ('it ended' if self.terminated else ending)})"
        return f"{self.end(()).who} ended ({ending})" if self.members else self.end(()).before_start()
