"""The environment variables that the ranks are started with."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpirender.launcher.placement import Placement
from mpirender.ranks.backends import THREAD_LIMITS
from mpirender.system import site, slurm

PACKAGE = Path(__file__).resolve().parents[1]

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

# Open MPI refuses root without these; in a container root is the usual user.
ROOT_SETTINGS = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

# Open MPI 4 insists on a remote shell even for ranks on this machine alone, which a container often lacks.
NO_REMOTE_SHELL = {"OMPI_MCA_plm_rsh_agent": "/bin/false"}

# Compiled packages among these serve only where the host program has none of its own.
PACKAGES_OF_RANKS = ("fileseq", "imageio_ffmpeg", "imageio", "numpy", "mpi4py", "PIL")


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
    wishes.update(slurm.SETTINGS if in_slurm else ALONE_SETTINGS)
    added = {name: value for name, value in wishes.items() if name not in environ}
    hosted = str(PACKAGE / "hosted")
    added["PYTHONPATH"] = os.pathsep.join(filter(None, [hosted, environ.get("PYTHONPATH", "")]))
    added[site.PACKAGE_PATH] = os.pathsep.join(package_folders(PACKAGES_OF_RANKS))
    return added


def package_folders(packages: Sequence[str]) -> list[str]:
    """Return the folders that these packages of the user's Python are imported from, each once."""
    folders: dict[str, None] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folders[str(Path(spec.origin).parents[1])] = None
    return list(folders)
