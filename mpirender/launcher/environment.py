"""The environment variables that the ranks are started with."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpirender.launcher.placement import Placement
from mpirender.system import site, slurm
from mpirender.system.host import THREAD_LIMITS

PACKAGE = Path(__file__).resolve().parents[1]

# Open MPI 4 reads OMPI_MCA_*, Open MPI 5 PRTE_MCA_*; other launchers ignore both. Ranks are not bound to single cores,
# because a rank may use several; more ranks than cores are the user's choice.
MPI_SETTINGS = {
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    # A rank without a launcher otherwise starts Open MPI's daemon, which may stay if the rank is killed at that moment.
    "OMPI_MCA_ess_singleton_isolated": "1",
    # Otherwise hwloc, which MPI uses to examine the machine, connects to every X server on it, and the process dies if
    # one of them ends at that moment.
    "HWLOC_COMPONENTS": "-gl",
}

# Variables by which users, sites, and processes that MPI started control MPI.
OF_LAUNCHERS = re.compile(r"(OMPI_MCA|PRTE_MCA|PMIX|PMI|HYDRA|I_MPI)_")

# On one machine messages go through shared memory; searching for fast networks takes Open MPI a quarter of a second.
ONE_MACHINE_SETTINGS = {"OMPI_MCA_pml": "ob1"}

# Without these ways to send messages Open MPI's ranks listen on no port, where other users could connect.
NO_PORTS = {"OMPI_MCA_btl": "^tcp,ofi,usnic,openib,uct"}
SHARED_MEMORY = Path("/dev/shm")
SHARED_BYTES = 1 << 24  # of a rank, at most; with less Open MPI would have to use ports

# Open MPI refuses to run as root without these; in a container root is the usual user.
ROOT_SETTINGS = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

# Open MPI 4 requires a remote shell even for ranks on this machine alone; containers often lack one.
NO_REMOTE_SHELL = {"OMPI_MCA_plm_rsh_agent": "/bin/false"}

# Compiled packages among these are used only if the host program has none of its own.
PACKAGES_OF_RANKS = ("fileseq", "imageio_ffmpeg", "imageio", "numpy", "mpi4py", "PIL", "isal")


def environment_of(placement: Placement, *, contained: bool = False) -> dict[str, str]:
    """Return the environment variables to add for ranks that are started from this machine.

    :param contained: whether each rank runs in a container of its own, in which it may not share memory with others.
    """
    remote_shell = any(map(shutil.which, ("ssh", "rsh")))
    root, in_slurm = os.geteuid() == 0, bool(placement.nodes)
    added = variables(placement.threads, os.environ, root=root, remote_shell=remote_shell, in_slurm=in_slurm)
    if in_slurm or contained or not has_shared_memory(placement.ranks):
        return added
    return {**{name: value for name, value in NO_PORTS.items() if name not in os.environ}, **added}


def has_shared_memory(ranks: int) -> bool:
    """Return whether so many ranks can exchange messages through shared memory: containers often have little."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(SHARED_MEMORY).free > ranks * SHARED_BYTES
    return False


def mpi_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of the variables that are set here and control MPI and its launchers."""
    return sorted(name for name in environ if OF_LAUNCHERS.match(name))


def variables(
    threads: int, environ: Mapping[str, str], *, root: bool = False, remote_shell: bool = True, in_slurm: bool = False
) -> dict[str, str]:
    """Return the environment variables to add for the ranks, except those that the user has already set.

    :param threads: cores that each rank may use.
    :param remote_shell: whether ssh or rsh is installed.
    :param in_slurm: whether the ranks run on the nodes of a Slurm allocation.
    """
    wanted = {**MPI_SETTINGS, **dict.fromkeys(THREAD_LIMITS, str(threads))}
    wanted.update(ROOT_SETTINGS if root else {})
    wanted.update({} if remote_shell else NO_REMOTE_SHELL)
    wanted.update(slurm.SETTINGS if in_slurm else ONE_MACHINE_SETTINGS)
    added = {name: value for name, value in wanted.items() if name not in environ}
    hosted = str(PACKAGE / "hosted")
    added["PYTHONPATH"] = os.pathsep.join(filter(None, [hosted, environ.get("PYTHONPATH", "")]))
    added[site.PACKAGE_PATH] = os.pathsep.join(package_folders(PACKAGES_OF_RANKS))
    return added


def package_folders(packages: Sequence[str]) -> list[str]:
    """Return the folders from which the user's Python imports these packages, each once."""
    specs = map(importlib.util.find_spec, packages)
    return list(dict.fromkeys(str(Path(spec.origin).parents[1]) for spec in specs if spec and spec.origin))
