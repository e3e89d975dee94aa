"""Where the ranks run: how many, on which nodes, and how many threads each has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mpirender.errors import UsageError
from mpirender.job.options import DYNAMIC
from mpirender.job.render_job import RenderJob
from mpirender.system.slurm import Allocation
from mpirender.system.text import plural

LARGEST = 1_000_000  # ranks


@dataclass(frozen=True)
class Way:
    """A way to start the ranks.

    Args:
        launcher: ``mpiexec``, ``srun``, or ``none`` for one rank without MPI's help.
        plugin: what srun is to use, empty for what the site has chosen.
    """

    launcher: str = "mpiexec"
    plugin: str = ""

    def __str__(self) -> str:
        return f"{self.launcher} --mpi={self.plugin}" if self.plugin else self.launcher


@dataclass(frozen=True)
class Placement:
    """Where the ranks run and what starts them.

    Args:
        ranks: those that render.
        threads: cores that each rank may use.
        nodes: the ranks on each node of a Slurm allocation; empty for this machine alone.
        named: whether the nodes must be named to MPI's launcher, which would place the ranks in another way.
        desk: whether one more process hands out frames (:mod:`mpirender.ranks.dynamic_schedule`).
        group: ranks that render each frame together.
        spare: ranks that there would be room for, and that make no whole group.
    """

    ranks: int
    threads: int
    way: Way = Way()
    nodes: Mapping[str, int] = field(default_factory=dict)
    named: bool = False
    desk: bool = False
    group: int = 1
    spare: int = 0

    @property
    def groups(self) -> int:
        """How many frames are rendered at a time."""
        return self.ranks // self.group

    @property
    def processes(self) -> int:
        """How many are started."""
        return self.ranks + self.desk

    @property
    def seats(self) -> dict[str, int]:
        """The processes on each node; the desk is the last of all, on the last node."""
        seats = dict(self.nodes)
        if self.desk and seats:
            seats[list(seats)[-1]] += 1
        return seats

    def on(self, nodes: Sequence[str]) -> Placement:
        """Return the part of it that is on these nodes."""
        kept = {node: ranks for node, ranks in self.nodes.items() if node in nodes}
        spare = sum(kept.values()) % self.group
        kept = without(kept, spare)
        ranks, named = sum(kept.values()), self.named or bool(spare) or len(kept) < len(self.nodes)
        desk = self.desk and ranks > self.group
        return replace(self, ranks=ranks, nodes=kept, named=named, desk=desk, spare=spare)


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def on_this_host(job: RenderJob, most: int = LARGEST) -> Placement:
    """Place the ranks on this machine: those asked for, else one per core.

    Args:
        most: images there are; ranks that were not asked for are not more.
    """
    group = job.ranks_per_frame
    ranks = 1 if job.launcher == "none" else job.ranks or max(min(cores(), most * group), group)
    spare = ranks % group
    ranks -= spare
    way = Way("none" if job.launcher == "none" else "mpiexec")
    desk = needs_desk(job, ranks)
    return Placement(ranks, max(cores() // ranks, 1), way, desk=desk, group=group, spare=spare)


def in_allocation(job: RenderJob, allocation: Allocation, most: int = LARGEST) -> Placement:
    """Place the ranks on the nodes of a Slurm allocation: those asked for, else as many as it has room for.

    Args:
        most: images there are; ranks that were not asked for are not more.

    Raises:
        UsageError: the ranks of a single frame are more than there is room for.
    """
    room, group = sum(allocation.nodes.values()), job.ranks_per_frame
    if not job.ranks and room < group:
        raise UsageError(
            f"--ranks-per-frame {group}: Slurm gave this job room for {plural(room, 'rank')}; "
            "ask it for more (--nodes, --ntasks-per-node), or give --ranks to have several on a core"
        )
    ranks = job.ranks or max(min(room, most * group), 1)
    spare = ranks % group
    ranks -= spare
    whole = ranks == room
    nodes = dict(allocation.nodes) if whole else spread(ranks, allocation.nodes)
    desk = needs_desk(job, ranks)
    named = desk or not (whole and allocation.placed)
    threads = max(min(allocation.threads * allocation.nodes[node] // count for node, count in nodes.items()), 1)
    return Placement(ranks, threads, nodes=nodes, named=named, desk=desk, group=group, spare=spare)


def needs_desk(job: RenderJob, ranks: int) -> bool:
    """Say whether the schedule takes one more process than ranks, to hand out the frames."""
    return job.schedule == DYNAMIC and ranks > job.ranks_per_frame


def without(nodes: Mapping[str, int], spare: int) -> dict[str, int]:
    """Take so many ranks away, from the last of the nodes on; those that have none are left out."""
    left = dict(nodes)
    for node in reversed(list(nodes)):
        taken = min(spare, left[node])
        left[node] -= taken
        spare -= taken
    return {node: ranks for node, ranks in left.items() if ranks}


def spread(ranks: int, room: Mapping[str, int]) -> dict[str, int]:
    """Share ranks among nodes in proportion to their room; nodes that get none are left out."""
    total = sum(room.values())
    shares, seats, before = {}, 0, 0
    for node, places in room.items():
        seats += places
        upto = -(-ranks * seats // total)  # rounded up, so that the first nodes get what cannot be shared evenly
        shares[node], before = upto - before, upto
    return {node: share for node, share in shares.items() if share}
