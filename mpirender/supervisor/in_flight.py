"""Which image each rank of a launch is at, which are not written yet, and which takes too long."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mpirender.job.outputs import Image
from mpirender.run_folder.events import Error
from mpirender.run_folder.run_state import LaunchState

SILENT_SECONDS = 600.0  # a file system may be busy or away for a while


class RunningRanks:
    """What the ranks of a launch are doing; where they render in groups, a rank stands for its group."""

    def __init__(self, launch: LaunchState) -> None:
        self.sessions = launch.sessions

    @property
    def rendering(self) -> dict[int, Image]:
        """The image that each rank is rendering."""
        return {rank: session.taken.image for rank, session in self.sessions.items() if session.taken is not None}

    @property
    def unwritten(self) -> dict[int, list[Image]]:
        """These, and the images before them whose files are not in place yet, by rank."""
        return {rank: list(session.unwritten) for rank, session in self.sessions.items() if session.unwritten}

    @property
    def pids(self) -> dict[int, list[int]]:
        """The processes of each rank: those of all ranks in a group."""
        return {rank: [one.pid for one in session.start.members] for rank, session in self.sessions.items()}

    @property
    def done(self) -> int:
        """The number of images that were completed."""
        return sum(session.count for session in self.sessions.values())

    @property
    def slowest(self) -> float:
        """The seconds of the slowest image, 0 before one is complete."""
        return max((session.slowest for session in self.sessions.values()), default=0.0)

    @property
    def finished(self) -> bool:
        """Whether the ranks have completed their work."""
        return 0 in self.sessions and self.sessions[0].phase == "end"

    def finished_for(self, seconds: float) -> bool:
        """Return whether the ranks have completed their work more than so many seconds ago."""
        return self.finished and time.monotonic() - self.sessions[0].heard_at > seconds

    @property
    def errors(self) -> list[Error]:
        """The errors that ranks recorded."""
        return [one.error for one in self.sessions.values() if one.error is not None]

    @property
    def signal(self) -> str:
        """The signal that asked a rank to stop, empty for none."""
        return next((one.signal for one in self.sessions.values() if one.signal), "")

    def hosts(self, rank: int) -> str:
        """Return the hosts of a rank, or of all in a group."""
        return ",".join(dict.fromkeys(one.host for one in self.sessions[rank].start.members))

    def stopped(self, late: float) -> bool:
        """Return whether a signal asked a rank to stop, more than so many seconds ago."""
        now = time.monotonic()
        return any(one.signal and now - one.stopped_at > late for one in self.sessions.values())

    def hanging(self, limit: float) -> dict[int, Image]:
        """Return the ranks that are at an image for longer than the limit, in seconds, with the image.

        The time counts from when their records were read: the clocks of other machines may be off.
        """
        now = time.monotonic()
        return {rank: image for rank, image in self.rendering.items() if now - self.sessions[rank].taken_at > limit}

    def silent(self) -> dict[int, None]:
        """Return the ranks that have recorded nothing for too long, not even a beat, although they have not ended."""
        now = time.monotonic()
        at_work = {rank: one for rank, one in self.sessions.items() if one.phase != "end"}
        return {rank: None for rank, one in at_work.items() if now - one.heard_at > SILENT_SECONDS}

    def rank_in_world(self, number: int | None) -> int | None:
        """Return the rank that launchers know by this number, None if there is none (yet)."""
        ranks = {one.world_rank: rank for rank, session in self.sessions.items() for one in session.start.members}
        return None if number is None else ranks.get(number)

    def rank_of(self, pid: int) -> int | None:
        """Return the rank that has this process id, None if there is none or more than one (on several hosts)."""
        ranks = [rank for rank, found in self.pids.items() if pid in found]
        return ranks[0] if len(ranks) == 1 else None

    def ranks_of(self, pids: Iterable[int]) -> list[int]:
        """Return the ranks that have these process ids."""
        return [rank for pid in pids if (rank := self.rank_of(pid)) is not None]

    def forget(self, seconds: float) -> None:
        """Leave out this time, in which this process was suspended and could not read the records of the ranks."""
        for session in self.sessions.values():
            session.heard_at += seconds
            session.taken_at += seconds
            session.stopped_at += seconds
