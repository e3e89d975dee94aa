"""Where the ranks run: how many, on which nodes, with how many threads, and which launcher starts them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from mpirender.system import host, slurm
from mpirender.system.slurm import Allocation
from mpirender.system.text import plural, ranks_or_groups

LARGEST = 1_000_000  # ranks
FAR_FEWER = 2  # times; a core may count as two, for its hardware threads
LEAST_MEMORY = 64 * 1024**2  # of a rank and its renderer, in bytes


@dataclass(frozen=True)
class Launcher:
    """A way to start the ranks."""

    name: str = "mpiexec"  # ``mpiexec``, ``srun``, or ``none`` for one rank without a launcher
    path: str = "mpiexec"  # the program to run
    plugin: str = ""  # value of srun's ``--mpi``; empty for the site's default

    def __str__(self) -> str:
        return f"{self.name} --mpi={self.plugin}" if self.plugin else self.name


@dataclass(frozen=True)
class RankRequest:
    """The ranks that a user asks for."""

    launcher: str = "auto"  # ``auto``, ``mpiexec``, ``srun`` or ``none``
    ranks: int | None = None  # number of ranks; None for as many as the cores allow, but not more than ``most`` groups
    group: int = 1  # ranks that render each frame together
    most: int = LARGEST  # images to render
    oversubscribe: bool = False  # whether to start more ranks than are of use, or than memory holds

    @classmethod
    def of(cls, job: RenderJob, images: int = LARGEST) -> RankRequest:
        """Return the request of a job with so many images."""
        return cls(job.launcher, job.ranks, job.ranks_per_frame, images, job.oversubscribe)

    @property
    def useful(self) -> int | None:
        """The number of ranks asked for, without those that would have nothing to render."""
        if self.ranks is None or self.oversubscribe:
            return self.ranks
        return min(self.ranks, max(self.most, 1) * self.group)


@dataclass(frozen=True)
class Placement:
    """Where the ranks run and what starts them."""

    ranks: int
    threads: int  # cores that each rank may use
    launcher: Launcher = Launcher()
    nodes: Mapping[str, int] = field(default_factory=dict)  # ranks per node of an allocation; empty for this machine
    named: bool = False  # whether to name the nodes, because the launcher would place the ranks differently
    group: int = 1  # ranks that render each frame together
    spare: int = 0  # ranks that would fit but make no whole group
    idle: int = 0  # ranks that were asked for but would have nothing to render
    possible: int = 0  # ranks that the cores of the allocation would allow, if it has tasks for far fewer
    uncounted: bool = False  # whether there is a rank per core although Slurm set another number of tasks

    @property
    def groups(self) -> int:
        """Number of frames that are rendered at a time."""
        return self.ranks // self.group

    def on(self, nodes: Collection[str]) -> Placement:
        """Return the part of the placement that is on these nodes."""
        kept = {node: ranks for node, ranks in self.nodes.items() if node in nodes}
        spare = sum(kept.values()) % self.group
        kept = without(kept, spare)
        ranks, named = sum(kept.values()), self.named or bool(spare) or len(kept) < len(self.nodes)
        return replace(self, ranks=ranks, nodes=kept, named=named, spare=spare)


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def on_this_host(request: RankRequest) -> Placement:
    """Place the requested ranks on this machine, by default one per core."""
    group, alone = request.group, request.launcher == "none"
    ranks = request.useful or (1 if alone else max(min(cores(), request.most * group), group))
    if not request.oversubscribe and ranks * LEAST_MEMORY > (memory := host.memory()):
        raise UsageError(
            f"{ranks} ranks do not fit into the {memory / 1e9:.1f} GB of memory here, of which each needs at least "
            f"{LEAST_MEMORY / 1e6:.0f} MB; give at most --ranks {memory // LEAST_MEMORY}, or --oversubscribe"
        )
    idle = (request.ranks or 0) - ranks
    spare = ranks % group
    ranks -= spare
    launcher = Launcher("none") if alone else Launcher()
    threads = max(cores() // ranks, 1)
    return Placement(ranks, threads, launcher, group=group, spare=spare, idle=max(idle, 0))


def in_allocation(request: RankRequest, allocation: Allocation) -> Placement:
    """Place the requested ranks on a Slurm allocation, by default as many as fit; raise UsageError if no group fits."""
    room, group = sum(allocation.nodes.values()), request.group
    if not request.ranks and room < group:
        raise UsageError(
            f"--ranks-per-frame {group}: this Slurm job has room for {plural(room, 'rank')}; "
            "request more (--nodes, --ntasks-per-node), or give --ranks to run several ranks per core"
        )
    ranks = request.useful or max(min(room, request.most * group), 1)
    idle = max((request.ranks or 0) - ranks, 0)
    spare = ranks % group
    ranks -= spare
    whole = ranks == room
    nodes = dict(allocation.nodes) if whole else spread(ranks, allocation.nodes)
    named = not (whole and allocation.placed)
    threads = max(min(allocation.threads * allocation.nodes[node] // count for node, count in nodes.items()), 1)
    placement = Placement(ranks, threads, nodes=nodes, named=named, group=group, spare=spare, idle=idle)
    if request.ranks:
        return placement
    possible = min(allocation.most, request.most * group)
    few = ranks * FAR_FEWER < possible and not slurm.has_gpus()  # GPUs need few ranks
    return replace(placement, possible=possible * few, uncounted=allocation.uncounted)


def notes(placement: Placement) -> list[str]:
    """Return notes about a number of ranks that users may not expect, and about ranks that are not started."""
    lines, few = [], plural(placement.ranks, "rank")
    if placement.possible:
        lines.append(
            f"warning: {few}, though there are cores for {placement.possible}: the Slurm job asks for few tasks; "
            f"submit it without --ntasks and --ntasks-per-node, or give --ranks {placement.possible}"
        )
    if placement.uncounted:
        lines.append(
            f"{few} fill the nodes: the number of tasks that Slurm sets because of --hint or --threads-per-core is "
            "ignored; --ranks sets another number"
        )
    if placement.idle:
        asked = placement.ranks + placement.spare + placement.idle
        lines.append(f"{few} instead of {asked}: there are no images for more (--oversubscribe starts them all)")
    if placement.spare:
        left = "1 more is" if placement.spare == 1 else f"{placement.spare} more are"
        groups = ranks_or_groups(placement.groups, placement.group)
        lines.append(f"{placement.ranks} ranks make {groups}; {left} not started")
    return lines


def without(nodes: Mapping[str, int], spare: int) -> dict[str, int]:
    """Return the ranks on each node with ``spare`` of them taken away, from the last nodes; omit empty nodes."""
    left = dict(nodes)
    for node in reversed(list(nodes)):
        taken = min(spare, left[node])
        left[node] -= taken
        spare -= taken
    return {node: ranks for node, ranks in left.items() if ranks}


def spread(ranks: int, room: Mapping[str, int]) -> dict[str, int]:
    """Distribute ranks over nodes in proportion to their room; omit empty nodes."""
    total = sum(room.values())
    shares, room_so_far, placed = {}, 0, 0
    for node, places in room.items():
        room_so_far += places
        upto = -(-ranks * room_so_far // total)  # rounded up: the first nodes get the remainder
        shares[node], placed = upto - placed, upto
    return {node: share for node, share in shares.items() if share}
