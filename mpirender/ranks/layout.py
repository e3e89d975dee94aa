"""What each rank does: render alone, or lead or follow in a group that renders each frame together."""

from __future__ import annotations

from typing import NamedTuple

from mpirender.errors import UsageError
from mpirender.system.comm import Comm


class RankLayout(NamedTuple):
    """The communicators of a rank and its part among the others."""

    world: Comm  # all ranks
    comm: Comm  # the ranks that take frames: all, or the leaders of the groups
    group: Comm | None  # the ranks that render each frame together, leader first; None if each renders alone
    part: int  # number of this rank, or of its group

    @classmethod
    def of(cls, world: Comm, ranks_per_frame: int = 1) -> RankLayout:
        """Divide the ranks of a world, all of which call this.

        UsageError: the number of ranks is not a multiple of ``ranks_per_frame``.
        """
        if world.size % ranks_per_frame:
            raise UsageError(
                f"--ranks-per-frame {ranks_per_frame}: {world.size} ranks were started; start a multiple of it"
            )
        if ranks_per_frame == 1:
            return cls(world, world, None, world.rank)
        part = world.rank // ranks_per_frame
        group = world.Split(color=part, key=world.rank)
        leaders = world.Split(color=int(group.rank > 0), key=world.rank)
        return cls(world, leaders, group, part)

    @property
    def follows(self) -> bool:
        """Whether this rank renders the frames that the leader of its group takes."""
        return self.group is not None and self.group.rank > 0

    @property
    def name(self) -> str:
        """The number of this rank or group, as in file names; followers add their rank in the group."""
        return f"{self.part:04d}-{self.group.rank}" if self.group is not None and self.follows else f"{self.part:04d}"
