"""The command line that starts the ranks."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping, Sequence

from mpirender.engines.base import Engine
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import Placement

RANKS = ("-m", "mpirender.ranks")

MPIEXEC_FIX = (
    "load your site's MPI module, install one (Debian, Ubuntu: apt-get install openmpi-bin), "
    "or name the program with --mpiexec PATH"
)


def mpiexec(engine: Engine, programs: Programs) -> str:
    """Return the path of mpiexec (asked for, else the engine's, else on PATH); raise ToolMissing if it is not found."""
    name = programs.mpiexec or engine.mpiexec(programs) or "mpiexec"
    if found := shutil.which(name):
        return found
    raise ToolMissing(f"{name} is not found; {MPIEXEC_FIX}")


def rank_words(job: RenderJob) -> list[str]:
    """Return the words that only the ranks of this job have on their command line."""
    return [*RANKS, str(job.folder / "job.json")]


def start(placement: Placement) -> list[str]:
    """Return the part of the command line that starts a program on all ranks."""
    launcher = placement.launcher
    if launcher.name == "none":
        return []
    if launcher.name == "srun":
        return srun(placement)
    hosts = ",".join(f"{node}:{count}" for node, count in placement.nodes.items())
    return [launcher.path, "-n", str(placement.ranks), *(["-host", hosts] if placement.named else [])]


def srun(placement: Placement) -> list[str]:
    """Return the srun command that starts a program on all ranks.

    The ranks share the job's resources on their nodes and are not bound to single cores. When a rank or a node fails,
    srun ends all ranks.
    """
    processes, plugin = placement.nodes, placement.launcher.plugin
    counts = set(processes.values())
    if len(counts) == 1:
        names, layout = list(processes), [f"--ntasks-per-node={counts.pop()}"]
    else:
        names, layout = [n for n, count in processes.items() for _ in range(count)], ["--distribution=arbitrary"]
    return [
        "srun", "--overlap", "--overcommit", "--cpu-bind=none", "--kill-on-bad-exit=1", "--no-kill=off", "--wait=0",
        *([f"--mpi={plugin}"] if plugin else []),
        f"--nodes={len(placement.nodes)}", f"--ntasks={placement.ranks}", *layout, f"--nodelist={','.join(names)}",
    ]  # fmt: skip


def for_shell(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return a command with its added environment as a line to paste into a shell."""
    return shlex.join(["env", *(f"{name}={value}" for name, value in environment.items()), *command])
