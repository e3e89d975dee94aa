"""What each process does: render alone, lead or follow in a group, or hand out frames."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mpirender.errors import UsageError
from mpirender.job.options import DYNAMIC
from mpirender.system.comm import Comm


class RankLayout(NamedTuple):
    """The communicators of a process and its part among the others."""

    world: Comm  # all processes that the launcher started
    renderers: Comm  # the ranks that render; on the frame server, itself alone
    comm: Comm  # the ranks that take frames: all renderers, or the leaders of the groups
    server: int | None  # rank in ``world`` of the frame server, None without one
    group: Comm | None  # the ranks that render each frame together, leader first; None if each renders alone
    part: int  # number of this rank, or of its group; on the frame server, the number of ranks or groups

    @classmethod
    def of(cls, world: Comm, schedule: str, ranks_per_frame: int = 1) -> RankLayout:
        """Divide the processes of a world, all of which call this. A single rank or group needs no frame server.

        UsageError: the number of ranks is not a multiple of ``ranks_per_frame``.
        """
        server, renderers = None, world
        if schedule == DYNAMIC and world.size > ranks_per_frame:
            server = place_of_server(world.allgather(socket.gethostname()))
            renderers = world.Split(color=int(world.rank == server), key=world.rank)
        ranks = world.size - (server is not None)
        count, rest = divmod(ranks, ranks_per_frame)
        if rest:
            raise UsageError(f"--ranks-per-frame {ranks_per_frame}: {ranks} ranks were started; start a multiple of it")
        part = count if world.rank == server else renderers.rank // ranks_per_frame
        if ranks_per_frame == 1:
            return cls(world, renderers, renderers, server, None, part)
        group = world.Split(color=part, key=world.rank)
        leaders = world.Split(color=int(group.rank > 0 or world.rank == server), key=world.rank)
        return cls(world, renderers, leaders, server, group, part)

    @property
    def is_server(self) -> bool:
        """Whether this process is the frame server."""
        return self.server == self.world.rank

    @property
    def follows(self) -> bool:
        """Whether this rank renders the frames that the leader of its group takes."""
        return self.group is not None and not self.is_server and self.group.rank > 0

    @property
    def name(self) -> str:
        """The number of this rank or group, as in file names; followers add their rank in the group."""
        return f"{self.part:04d}-{self.group.rank}" if self.group is not None and self.follows else f"{self.part:04d}"


def place_of_server(hosts: Sequence[str]) -> int:
    """Return the rank of the frame server: the last rank on the host with the most ranks, or on the last such host.

    Launchers place the additional process where they like. ``hosts`` are the hosts of the ranks.
    """
    counts = Counter(hosts)
    return max(range(len(hosts)), key=lambda rank: (counts[hosts[rank]], rank))
