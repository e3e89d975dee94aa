"""How the ranks are started: the command line and the environment, as pure functions of what is there."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mpirender import engines
from mpirender.backends import THREAD_LIMITS
from mpirender.errors import ToolMissing, UsageError
from mpirender.job.options import DYNAMIC
from mpirender.job.render_job import RenderJob
from mpirender.system import apptainer
from mpirender.system.slurm import Allocation

LARGEST = 1_000_000  # ranks
RANK = "mpirender.rank"
PACKAGE = Path(__file__).resolve().parent
# Open MPI 4 reads OMPI_MCA_*, Open MPI 5 PRTE_MCA_*; other launchers ignore both. Ranks are not bound to single cores,
# since a rank may have several for its threads, and more ranks than cores are the user's choice.
MPI_SETTINGS = {
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    # hwloc, by which MPI looks at the machine, else connects to every X server there, and takes its process along when
    # one of them ends at that moment.
    "HWLOC_COMPONENTS": "-gl",
}
# On one machine messages go through shared memory; looking for fast networks takes Open MPI a quarter of a second.
ALONE_SETTINGS = {"OMPI_MCA_pml": "ob1"}
# The srun by which mpiexec reaches other nodes else waits for the end of a step that had a node which is lost.
SLURM_SETTINGS = {"SLURM_OVERLAP": "1"}
# Open MPI refuses root without these; in a container root is the usual user.
ROOT_SETTINGS = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
# Open MPI 4 insists on a remote shell even for ranks on this machine alone, which a container often lacks.
NO_REMOTE_SHELL = {"OMPI_MCA_plm_rsh_agent": "/bin/false"}
# Compiled packages among these serve only where the host program has none of its own.
PACKAGES_OF_RANKS = ("fileseq", "imageio_ffmpeg", "imageio", "numpy", "mpi4py", "PIL")
MPIEXEC_CURE = (
    "load your site's MPI module, install one (Debian, Ubuntu: apt-get install openmpi-bin), "
    "or name the program with --mpiexec PATH"
)


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
        desk: whether one more process hands out frames (:mod:`mpirender.handout`).
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


def here(job: RenderJob, most: int = LARGEST) -> Placement:
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


def within(job: RenderJob, allocation: Allocation, most: int = LARGEST) -> Placement:
    """Place the ranks on the nodes of a Slurm allocation: those asked for, else as many as it has room for.

    Args:
        most: images there are; ranks that were not asked for are not more.

    Raises:
        UsageError: the ranks of a single frame are more than there is room for.
    """
    room, group = sum(allocation.nodes.values()), job.ranks_per_frame
    if not job.ranks and room < group:
        raise UsageError(
            f"--ranks-per-frame {group}: Slurm gave this job room for {room} rank{'s' if room > 1 else ''}; "
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


def mpiexec(job: RenderJob) -> str:
    """Return the path of mpiexec: the one that was asked for, the one that came with the engine, or the one on PATH.

    Raises:
        ToolMissing: there is none.
    """
    asked = job.mpiexec or engines.for_scene(job.scene).mpiexec(job) or "mpiexec"
    found = shutil.which(asked)
    if found is None:
        raise ToolMissing(f"{asked} is not found; {MPIEXEC_CURE}")
    return found


def command(job: RenderJob, placement: Placement) -> list[str]:
    """Return the command line of all ranks.

    Raises:
        ToolMissing: mpiexec or the engine's program is not there.
    """
    return [*start(job, placement), *program(job, files_of(job)), *known_by(job)]


def program(job: RenderJob, files: Iterable[Path] = ()) -> list[str]:
    """Return the engine's program, to be told which module it is to run (``-m``).

    Args:
        files: that it must see where it runs in a container.

    Raises:
        ToolMissing: it is not there.
    """
    return [*apptainer.words(job, files), *engines.for_scene(job.scene).command(job)]


def known_by(job: RenderJob) -> list[str]:
    """Return the words that the ranks of a job, and nothing else, are started with."""
    return ["-m", RANK, str(job.folder / "job.json")]


def files_of(job: RenderJob) -> Sequence[Path]:
    """Return the files that the ranks read where they run in a container, in which these must be seen.

    Raises:
        UsageError: it is no scene.
    """
    if not job.container:
        return ()
    seen = engines.for_scene(job.scene).inspect(job.scene.read_bytes(), job)
    return [Path(file.path) for file in seen.data_files if file.found]


def start(job: RenderJob, placement: Placement) -> list[str]:
    """Return the part of the command line that starts a program on all ranks.

    Raises:
        ToolMissing: mpiexec is not there.
    """
    if placement.way.launcher == "none":
        return []
    if placement.way.launcher == "srun":
        return srun(placement)
    hosts = ",".join(f"{node}:{count}" for node, count in placement.seats.items())
    return [mpiexec(job), "-n", str(placement.processes), *(["-host", hosts] if placement.named else [])]


def srun(placement: Placement) -> list[str]:
    """Return the srun that starts a program on all ranks.

    The ranks share what the job has on their nodes and are not bound to single cores; when one dies, all end, and so
    they do when a node does.
    """
    counts = set(placement.seats.values())
    if len(counts) == 1:
        names, layout = list(placement.seats), [f"--ntasks-per-node={counts.pop()}"]
    else:
        names, layout = [n for n, count in placement.seats.items() for _ in range(count)], ["--distribution=arbitrary"]
    return [
        "srun", "--overlap", "--overcommit", "--cpu-bind=none", "--kill-on-bad-exit=1", "--no-kill=off", "--wait=0",
        *([f"--mpi={placement.way.plugin}"] if placement.way.plugin else []),
        f"--nodes={len(placement.nodes)}", f"--ntasks={placement.processes}", *layout, f"--nodelist={','.join(names)}",
    ]  # fmt: skip


def settings_here(placement: Placement) -> dict[str, str]:
    """Return the environment variables to add for the ranks when they are started from this machine."""
    remote_shell = any(map(shutil.which, ("ssh", "rsh")))
    root, in_slurm = os.geteuid() == 0, bool(placement.nodes)
    return settings(placement.threads, os.environ, root=root, remote_shell=remote_shell, in_slurm=in_slurm)


def settings(
    threads: int,
    environ: Mapping[str, str],
    *,
    root: bool = False,
    remote_shell: bool = True,
    in_slurm: bool = False,
) -> dict[str, str]:
    """Return the environment variables to add for the ranks; what the user has set already is respected.

    Args:
        threads: cores that each rank may use.
        environ: the environment as it is.
        root: whether the user is root.
        remote_shell: whether ssh or rsh is installed.
        in_slurm: whether they run on the nodes of a Slurm allocation.
    """
    wishes = {**MPI_SETTINGS, **dict.fromkeys(THREAD_LIMITS, str(threads))}
    wishes.update(ROOT_SETTINGS if root else {})
    wishes.update({} if remote_shell else NO_REMOTE_SHELL)
    wishes.update(SLURM_SETTINGS if in_slurm else ALONE_SETTINGS)
    added = {name: value for name, value in wishes.items() if name not in environ}
    hosted = str(PACKAGE / "hosted")
    added["PYTHONPATH"] = os.pathsep.join(filter(None, [hosted, environ.get("PYTHONPATH", "")]))
    added["MPIRENDER_PATH"] = os.pathsep.join(package_folders(PACKAGES_OF_RANKS))
    return added


def package_folders(packages: Sequence[str]) -> list[str]:
    """Return the folders that these packages of the user's Python are imported from, each once."""
    folders: dict[str, None] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folders[str(Path(spec.origin).parents[1])] = None
    return list(folders)


@dataclass(frozen=True)
class Casualty:
    """Which rank has died first, as far as the launcher told, and how."""

    rank: int | None = None
    pid: int | None = None
    how: str = ""


# What is said of the rank that died first: by itself, by Open MPI 4 and 5, by MPICH and its kin, by Slurm's srun.
DEATHS = (
    r"mpirender: error: rank (?P<rank>\d+) of \d+ on \S+: (?P<how>.+)",
    r"process rank (?P<rank>\d+) with PID \d+ on node \S+ exited on signal (?P<signal>\d+)",
    r"Process name: \[.+,(?P<rank>\d+)\]\s+Exit code:\s+(?P<code>\d+)",
    r"due to process rank (?P<rank>\d+) with PID \d+ on\s+node \S+ exiting (?P<how>improperly)",
    r"BAD TERMINATION OF ONE OF YOUR .+\s+=\s+PID (?P<pid>\d+) RUNNING AT \S+\s+=\s+EXIT CODE: (?P<wait>\d+)",
    r"srun: error: \S+: tasks? (?P<rank>\d+)[\d,-]*: (?P<how>.+)",
)


def first_death(said: Sequence[str]) -> Casualty:
    """Find in what was printed which rank died first, and how; the launcher then ended the others.

    Args:
        said: the lines that the launcher and the ranks printed.
    """
    text = "\n".join(said)
    found = next(filter(None, (re.search(pattern, text) for pattern in DEATHS)), None)
    if found is None:
        return Casualty()
    told = {name: value for name, value in found.groupdict().items() if value is not None}
    rank, pid = (int(told[name]) if name in told else None for name in ("rank", "pid"))
    return Casualty(rank, pid, _how(told))


def _how(told: Mapping[str, str]) -> str:
    if "signal" in told:
        return ending(-int(told["signal"]))
    if "code" in told:
        return ending(int(told["code"]))
    if "wait" in told:  # MPICH gives what wait(2) returns
        return ending(-int(told["wait"]) if int(told["wait"]) < 128 else int(told["wait"]) >> 8)
    return told["how"]


def ending(code: int) -> str:
    """Say how a process ended: by which signal (negative, or 128 more than it) or with which exit code."""
    number = -code if code < 0 else code - 128
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(number).name}"
    return f"exit code {code}"


def shown(command_line: Sequence[str], added: Mapping[str, str]) -> str:
    """Return the command as a line to paste into a shell."""
    return shlex.join(["env", *(f"{name}={value}" for name, value in added.items()), *command_line])
