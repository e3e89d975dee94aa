"""One launch of a pool's ranks: which ranks are up, what each is doing, and why the launch ended."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from mpirender.launcher import exit_diagnosis
from mpirender.launcher.process import Launch
from mpirender.pool.server import Peer
from mpirender.supervisor import retry_policy
from mpirender.supervisor.retry_policy import LaunchEnd
from mpirender.system.child_process import ending

SILENT_SECONDS = 60.0  # after the time limit of a job, in which its rank must report its end
GONE_SECONDS = 5.0  # in which a launcher ends the other ranks when one is gone; not all launchers do


@dataclass
class Member:
    """A rank that has connected."""

    peer: Peer
    ready: bool = False  # whether it takes jobs
    fit: bool = True  # whether it will be ready again
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
    silent: Member | None = None  # the rank that did not end an overdue job, because of which all were ended
    ended: float | None = None  # when the launcher had ended, None while it runs
    terminated: bool = False  # whether the pool ended it

    @property
    def in_progress(self) -> dict[int, int]:
        """The number of the job that each rank is doing."""
        return {rank: member.task for rank, member in self.members.items() if member.task is not None}

    @property
    def fit(self) -> int:
        """Number of its ranks that do jobs, or will."""
        return self.size - sum(not member.fit for member in self.members.values())

    def terminate(self) -> None:
        """End the launcher and its ranks while they still run."""
        self.terminated = True
        self.launch.end()

    def overdue(self, timeout: float | None) -> bool:
        """Return whether it must be ended: a rank is gone or silent, or no rank came up in time.

        :param timeout: seconds after which a rank ends a job.
        """
        now, members = time.monotonic(), self.members.values()
        gone = any(one.gone is not None and now - one.gone > GONE_SECONDS for one in members)
        limit = math.inf if timeout is None else timeout + SILENT_SECONDS
        late = [one for one in members if one.task is not None and now - one.since > limit]
        self.silent = min(late, key=lambda one: one.since, default=None)
        return bool(gone or self.silent or (not members and now - self.began > retry_policy.START_SECONDS))

    def first_dead(self) -> Member | None:
        """Return the rank that died first, without being ended by the launcher, None if it is unknown."""
        if self.silent is not None:
            return self.silent
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

    def cause(self, dead: Member | None) -> str:
        """Return why it ended, if no fault of the launcher explains it; ``dead`` is the rank that died first."""
        if self.silent is not None:
            return f"{dead} was silent and was ended"
        how_ended = ending(self.launch.code or 0)
        if dead is not None:
            how = "" if self.alone is not None else exit_diagnosis.first_death(self.launch.output).how
            return f"{dead} died ({how or ('it ended' if self.terminated else how_ended)})"
        return f"{self.end(()).who} ended ({how_ended})" if self.members else self.end(()).before_start()
