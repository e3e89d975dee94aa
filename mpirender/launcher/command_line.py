"""The command line that starts the ranks."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mpirender import engines
from mpirender.errors import ToolMissing
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import Placement
from mpirender.system import apptainer

RANK = "mpirender.ranks"

MPIEXEC_CURE = (
    "load your site's MPI module, install one (Debian, Ubuntu: apt-get install openmpi-bin), "
    "or name the program with --mpiexec PATH"
)


def mpiexec(job: RenderJob) -> str:
    """Return the path of mpiexec: the one that was asked for, the one that came with the engine, or the one on PATH.

    Raises:
        ToolMissing: there is none.
    """
    asked = job.mpiexec or engines.for_scene(job.scene).mpiexec(job.programs) or "mpiexec"
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
    folders = [job.scene.parent, job.output, *(file.parent for file in files)]
    return [*apptainer.words(job.container, folders), *engines.for_scene(job.scene).command(job.programs)]


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


def shown(command_line: Sequence[str], added: Mapping[str, str]) -> str:
    """Return the command as a line to paste into a shell."""
    return shlex.join(["env", *(f"{name}={value}" for name, value in added.items()), *command_line])
