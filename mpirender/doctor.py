"""What is installed, what is missing, and the command that installs it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mpirender
from mpirender import engines
from mpirender.engines.base import Check
from mpirender.errors import LaunchFailed, MpirenderError
from mpirender.job.outputs import Size
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line
from mpirender.launcher.probe import NOT_SEEN
from mpirender.movie import ffmpeg
from mpirender.supervisor import run
from mpirender.system import child_process, slurm
from mpirender.system.text import plural

RANKS = 2
SHARED_FIX = "run doctor in a folder that all nodes of the job share"


def checks(programs: Programs) -> Iterator[Check]:
    """Check everything a run needs, one thing after the other, and finally run two ranks."""
    yield Check("mpirender", True, f"{mpirender.__version__}, Python {platform.python_version()}")
    yield mpi4py_check()
    yield mpiexec_check(programs)
    yield from engine_checks(programs)
    yield ffmpeg_check()
    yield slurm_check()
    yield run_check(programs)


def engine_checks(programs: Programs) -> Iterator[Check]:
    """Check every engine; if one works, the others are not required."""
    found = [engines.get(name).checks(programs) for name in dict.fromkeys(engines.SUFFIXES.values())]
    one_works = any(checks and all(check.ok or not check.required for check in checks) for checks in found)
    for check in (check for checks in found for check in checks):
        yield replace(check, required=check.required and not one_works)


def mpi4py_check() -> Check:
    """Check for mpi4py without importing it, which would start MPI; a login node may lack MPI."""
    try:
        version = importlib.metadata.version("mpi4py")
    except importlib.metadata.PackageNotFoundError:
        return Check("mpi4py", False, "not found", "pip install mpi4py")
    return Check("mpi4py", True, version)


def mpiexec_check(programs: Programs) -> Check:
    """Check for mpiexec, and find out which MPI it belongs to."""
    try:
        path = command_line.mpiexec(engines.get("pattern"), programs)
        answer = child_process.run([path, "--version"], timeout=60)
    except (MpirenderError, OSError) as error:
        return Check("mpiexec", False, str(error).split(";", maxsplit=1)[0], command_line.MPIEXEC_FIX)
    first = next((line.strip() for line in answer.output.splitlines() if line.strip()), "version unknown")
    return Check("mpiexec", True, f"{path}, {first}")


def ffmpeg_check() -> Check:
    """Check for the ffmpeg that makes the movies."""
    try:
        return Check("ffmpeg", True, ffmpeg.ffmpeg())
    except MpirenderError as error:
        return Check("ffmpeg", False, str(error), "pip install imageio-ffmpeg")


def slurm_check() -> Check:
    """Check for a Slurm that responds; only ``submit`` needs it."""
    try:
        path = shutil.which("sbatch")
        if path is None:
            raise LaunchFailed("sbatch is not found")
        return Check("slurm", True, f"{path}, {slurm.run('sbatch', '--version').strip()}", required=False)
    except LaunchFailed as error:
        fix = "needed only for mpirender submit; log in to the cluster, or ask its staff"
        return Check("slurm", False, str(error).split("; ")[0], fix, required=False)


def run_check(programs: Programs) -> Check:
    """Render test images and a movie of them through the real launcher, on two ranks; in a Slurm job, on all its nodes.

    Nodes more likely share the current folder than the one for temporary files.
    """
    nodes, place = slurm.node_count(), Path.cwd() if slurm.job_number() else None
    ranks = max(nodes, RANKS)
    what, again = f"{ranks}-rank run", "fix what is named above, then run doctor again"
    try:
        with tempfile.TemporaryDirectory(prefix="mpirender-doctor-", dir=place) as folder:
            result = run.render(pattern_job(Path(folder), ranks, programs))
    except MpirenderError as error:
        found = str(error).splitlines()[0]
        if NOT_SEEN in found:
            return Check(what, False, found.partition("; ")[0], SHARED_FIX)
        return Check(what, False, found, again)
    except OSError as error:
        return Check(what, False, f"{place}: cannot be written ({error.strerror})", SHARED_FIX)
    where = f" on {plural(nodes, 'node')}" if nodes > 1 else ""
    return Check(what, True, f"{result.rendered} test images and a movie{where} in {result.seconds:.1f} s")


def pattern_job(folder: Path, ranks: int, programs: Programs) -> RenderJob:
    """Write a test pattern into a folder; return the job that renders it."""
    scene = folder / "doctor.pattern"
    scene.write_text(f'{{"frames": {max(8, ranks)}}}')
    sizes, output = (Size.parse("320x180"),), folder / "out"
    return RenderJob(scene=scene, output=output, sizes=sizes, ranks=ranks, mpiexec=programs.mpiexec)
