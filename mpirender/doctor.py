"""What is installed, what is missing, and the line that installs it."""

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
from mpirender.engines import Check
from mpirender.errors import LaunchFailed, MpirenderError
from mpirender.job.outputs import Size
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line
from mpirender.movie import ffmpeg
from mpirender.supervisor import run
from mpirender.system import child_process, slurm

TRIAL_RANKS = 2


def checks(job: RenderJob) -> Iterator[Check]:
    """Look at everything a run needs, one thing after the other, and launch two ranks for real at the end.

    Args:
        job: its ``pvbatch`` and ``mpiexec`` are the programs looked at.
    """
    yield Check("mpirender", True, f"{mpirender.__version__}, Python {platform.python_version()}")
    yield mpi4py_check()
    yield mpiexec_check(job)
    yield from engine_checks(job)
    yield ffmpeg_check()
    yield slurm_check()
    yield trial(job)


def engine_checks(job: RenderJob) -> Iterator[Check]:
    """Look at every engine; where one is whole the others may be missing."""
    found = [engines.get(name).checks(job.programs) for name in dict.fromkeys(engines.SUFFIXES.values())]
    whole = any(checks and all(check.ok or not check.required for check in checks) for checks in found)
    for check in (check for checks in found for check in checks):
        yield replace(check, required=check.required and not whole)


def mpi4py_check() -> Check:
    """Look for mpi4py without importing it: that would start MPI, which a login node may not have."""
    try:
        version = importlib.metadata.version("mpi4py")
    except importlib.metadata.PackageNotFoundError:
        return Check("mpi4py", False, "not found", "pip install mpi4py")
    return Check("mpi4py", True, version)


def mpiexec_check(job: RenderJob) -> Check:
    """Look for mpiexec and ask it whose it is."""
    try:
        program = command_line.mpiexec(job)
        answer = child_process.run([program, "--version"], timeout=60)
    except (MpirenderError, OSError) as error:
        return Check("mpiexec", False, str(error).split(";", maxsplit=1)[0], command_line.MPIEXEC_CURE)
    first = next((line.strip() for line in answer.output.splitlines() if line.strip()), "says nothing of itself")
    return Check("mpiexec", True, f"{program}, {first}")


def ffmpeg_check() -> Check:
    """Look for the ffmpeg that makes the movies."""
    try:
        return Check("ffmpeg", True, ffmpeg.ffmpeg())
    except MpirenderError as error:
        return Check("ffmpeg", False, str(error), "pip install imageio-ffmpeg")


def slurm_check() -> Check:
    """Look for a Slurm that answers; without one everything but submit works."""
    try:
        program = shutil.which("sbatch")
        if program is None:
            raise LaunchFailed("sbatch is not found")
        return Check("slurm", True, f"{program}, {slurm.run('sbatch', '--version').strip()}", required=False)
    except LaunchFailed as error:
        cure = "needed for mpirender submit only; log in to the cluster, or ask its staff"
        return Check("slurm", False, str(error).split("; ")[0], cure, required=False)


def trial(job: RenderJob) -> Check:
    """Render test pictures and a movie of them on two ranks, through the real mpiexec."""
    what = f"{TRIAL_RANKS}-rank run"
    with tempfile.TemporaryDirectory(prefix="mpirender-doctor-") as folder:
        scene = Path(folder) / "trial.pattern"
        scene.write_text('{"frames": 8}')
        try:
            result = run.render(
                RenderJob(
                    scene=scene,
                    output=Path(folder) / "out",
                    sizes=(Size.parse("320x180"),),
                    ranks=TRIAL_RANKS,
                    mpiexec=job.mpiexec,
                )
            )
        except MpirenderError as error:
            return Check(what, False, str(error).splitlines()[0], "mend what is named above, then run doctor again")
    return Check(what, True, f"{result.rendered} test pictures and a movie in {result.seconds:.1f} s")
