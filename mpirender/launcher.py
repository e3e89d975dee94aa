"""How the ranks are started: the command line and the environment, as pure functions of what is there."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender import engines
from mpirender.errors import ToolMissing
from mpirender.job import RenderJob

PACKAGE = Path(__file__).resolve().parent
# Open MPI 4 reads OMPI_MCA_*, Open MPI 5 PRTE_MCA_*; other launchers ignore both. Ranks are not bound to single cores,
# since a rank may have several for its threads, and more ranks than cores are the user's choice.
MPI_SETTINGS = {
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}
# Open MPI refuses root without these; in a container root is the usual user.
ROOT_SETTINGS = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
# Open MPI 4 insists on a remote shell even for ranks on this machine alone, which a container often lacks.
NO_REMOTE_SHELL = {"OMPI_MCA_plm_rsh_agent": "/bin/false"}
THREAD_LIMITS = ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VTK_SMP_MAX_THREADS")
# Compiled packages among these serve only where the host program has none of its own.
PACKAGES_OF_RANKS = ("fileseq", "imageio_ffmpeg", "imageio", "numpy", "mpi4py", "PIL")
MPIEXEC_CURE = (
    "load your site's MPI module, install one (Debian, Ubuntu: apt-get install openmpi-bin), "
    "or name the program with --mpiexec PATH"
)


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0))


def ranks_of(job: RenderJob) -> int:
    """Return the number of ranks to start: those asked for, else one per core."""
    return job.ranks or cores()


def mpiexec(job: RenderJob) -> str:
    """Return the path of mpiexec.

    Raises:
        ToolMissing: there is none.
    """
    asked = job.mpiexec or "mpiexec"
    found = shutil.which(asked)
    if found is None:
        raise ToolMissing(f"{asked} is not found; {MPIEXEC_CURE}")
    return found


def command(job: RenderJob) -> list[str]:
    """Return the command line of all ranks.

    Raises:
        ToolMissing: mpiexec or the engine's program is not there.
    """
    host = engines.for_scene(job.scene).command(job)
    return [mpiexec(job), "-n", str(ranks_of(job)), *host, "-m", "mpirender.rank", str(job.folder / "job.json")]


def settings_here(job: RenderJob) -> dict[str, str]:
    """Return the environment variables to add for the ranks on this machine."""
    remote_shell = any(map(shutil.which, ("ssh", "rsh")))
    return settings(job, os.environ, core_count=cores(), root=os.geteuid() == 0, remote_shell=remote_shell)


def settings(
    job: RenderJob, environ: Mapping[str, str], *, core_count: int, root: bool = False, remote_shell: bool = True
) -> dict[str, str]:
    """Return the environment variables to add for the ranks; what the user has set already is respected.

    Args:
        environ: the environment as it is.
        core_count: cores of this machine that may be used, shared by the ranks' threads.
        root: whether the user is root.
        remote_shell: whether ssh or rsh is installed.
    """
    threads = str(max(core_count // ranks_of(job), 1))
    wishes = {**MPI_SETTINGS, **dict.fromkeys(THREAD_LIMITS, threads)}
    wishes.update(ROOT_SETTINGS if root else {})
    wishes.update({} if remote_shell else NO_REMOTE_SHELL)
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
