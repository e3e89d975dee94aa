"""Which image each rank of a launch is at, which are not written yet, and which takes too long."""

from __future__ import annotations

import time

from mpirender.job.outputs import Image
from mpirender.run_folder.events import Error
from mpirender.run_folder.run_state import LaunchState

SLOWER = 20  # times the slowest image so far
LEAST_SECONDS = 600.0
FIRST_SECONDS = 4 * 3600.0


def time_limit(asked: float | None, slowest: float) -> float:
    """Return the seconds after which an image counts as hanging.

    Args:
        asked: the limit that the user wants, None for the rule: 20 times the slowest image so far and at least 10
            minutes; 4 hours as long as no image is done.
        slowest: seconds of the slowest image so far, 0 before the first is done.
    """
    if asked is not None:
        return asked
    return max(SLOWER * slowest, LEAST_SECONDS) if slowest else FIRST_SECONDS


class RunningRanks:
    """What the ranks of a launch are doing; a view of its state.

    Where ranks render in groups, a rank stands for its group, as in the journals.
    """

    def __init__(self, launch: LaunchState) -> None:
        self.launch = launch

    @property
    def rendering(self) -> dict[int, Image]:
        """The image that each rank is rendering."""
        sessions = self.launch.sessions.items()
        return {rank: session.taken.image for rank, session in sessions if session.taken is not None}

    @property
    def unwritten(self) -> dict[int, list[Image]]:
        """These, and the images before them whose files are not in place yet, by rank."""
        return {rank: session.unwritten for rank, session in self.launch.sessions.items() if session.unwritten}

    @property
    def pids(self) -> dict[int, list[int]]:
        """The processes of each rank: those of all ranks in a group."""
        return {rank: [one.pid for one in session.start.members] for rank, session in self.launch.sessions.items()}

    @property
    def done(self) -> int:
        """The number of images that were completed."""
        return sum(session.count for session in self.launch.sessions.values())

    @property
    def slowest(self) -> float:
        """The seconds of the slowest image, 0 before one is complete."""
        return max((session.slowest for session in self.launch.sessions.values()), default=0.0)

    @property
    def finished(self) -> bool:
        """Whether the ranks have completed their work."""
        return 0 in self.launch.sessions and self.launch.sessions[0].phase == "end"

    @property
    def errors(self) -> list[Error]:
        """The errors that ranks recorded."""
        return [one.error for one in self.launch.sessions.values() if one.error is not None]

    @property
    def signal(self) -> str:
        """The signal that asked a rank to stop, empty for none."""
        return next((one.signal for one in self.launch.sessions.values() if one.signal), "")

    def hosts(self, rank: int) -> str:
        """Return the hosts of a rank, or of all in a group."""
        return ",".join(dict.fromkeys(one.host for one in self.launch.sessions[rank].start.members))

    def stopped(self, late: float) -> bool:
        """Return whether a signal asked a rank to stop, more than so many seconds ago."""
        now = time.monotonic()
        return any(one.signal and now - one.stopped_at > late for one in self.launch.sessions.values())

    def hanging(self, limit: float) -> tuple[int, ...]:
        """Return the ranks that are at an image for longer than the limit, in seconds.

        The time counts from when their records were read: the clocks of other machines may be off.
        """
        now = time.monotonic()
        sessions = self.launch.sessions.items()
        return tuple(rank for rank, one in sessions if one.taken is not None and now - one.taken_at > limit)

    def rank_in_world(self, number: int | None) -> int | None:
        """Return the rank that launchers know by this number, None if there is none (yet)."""
        sessions = self.launch.sessions.items()
        found = (rank for rank, one in sessions if number in [member.world_rank for member in one.start.members])
        return None if number is None else next(found, None)

    def rank_of(self, pid: int) -> int | None:
        """Return the rank that has this process id, None if there is none or more than one (on several hosts)."""
        ranks = [rank for rank, found in self.pids.items() if pid in found]
        return ranks[0] if len(ranks) == 1 else None
