"""Everything that can be known to be wrong before a rank is started, all of it at once."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mpirender import engines
from mpirender.engines import Inspection
from mpirender.errors import MpirenderError, ToolMissing, UsageError
from mpirender.job import frames as framesets
from mpirender.job.options import ALL, AUTO, DEFAULT_RATE, DEFAULT_SIZE, OF_ENGINES, option
from mpirender.job.outputs import Size
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line
from mpirender.launcher.placement import LARGEST
from mpirender.ranks.mpi import WORLD_SIZES
from mpirender.system import apptainer, slurm

LEAST_FREE = 20 * 1024 * 1024  # bytes; less does not hold the journals and a few frames


def check(job: RenderJob, *, tools: bool = True) -> Inspection:
    """Look for everything that would stop this job; return what is in its scene.

    Args:
        tools: look for the programs as well.

    Raises:
        UsageError: with every mistake of the command and the scene; missing tools are told along with them.
        ToolMissing: only tools are missing.
    """
    mistakes: list[str] = []
    inspection = None
    try:
        inspection = inspect(job)
        mistakes += [*inspection.mistakes, *useless_options(job)]
    except UsageError as error:
        mistakes += error.mistakes
    mistakes += filter(None, [output_problem(job.output)])
    mistakes += filter(None, [launcher_problem(job, os.environ), apptainer.problem(job.container)] if tools else [])
    missing = missing_tools(job) if tools and inspection is not None else []
    if mistakes:
        raise UsageError([*mistakes, *missing])
    if missing:
        raise ToolMissing("\n".join(missing))
    assert inspection is not None
    return inspection


def resolved(job: RenderJob) -> RenderJob:
    """Return the job with what only a look at the scene tells.

    That is what ``all`` stands for, the schedule, and size and frame rate where none was asked for.

    Raises:
        UsageError: the scene cannot be read, or has to be opened to know them.
    """
    asked = {option for option, names in (("view", job.views), ("layout", job.layouts)) if ALL in names}
    if not asked and job.schedule != AUTO and job.sizes and job.frame_rate is not None:
        return job
    inspection = inspect(job)
    if asked and not inspection.frames_known:
        raise UsageError(f"{job.scene.name} is a script, whose views are known when it has run; name them")
    layouts = [layout.name for layout in inspection.layouts if layout.views]
    if "layout" in asked and not layouts:
        raise UsageError("--layout all: the scene has no layout with views; use --view all")
    schedule = "contiguous" if inspection.order_dependent else "interleaved"
    return dataclasses.replace(
        job,
        views=inspection.renderable_views if "view" in asked else job.views,
        layouts=tuple(layouts) if "layout" in asked else job.layouts,
        schedule=schedule if job.schedule == AUTO else job.schedule,
        sizes=job.sizes or (Size.of(*inspection.size) if inspection.size else Size.parse(DEFAULT_SIZE),),
        frame_rate=job.frame_rate or inspection.frame_rate or DEFAULT_RATE,
    )


def useless_options(job: RenderJob) -> Iterator[str]:
    """Yield what is asked for that the engine of the scene knows nothing of."""
    engine = engines.for_scene(job.scene)
    usual = {field.name: field.default for field in dataclasses.fields(job)}
    for name in OF_ENGINES:
        if name not in engine.OPTIONS and getattr(job, name) != usual[name]:
            yield f"{option(name)} is of no use for {engine.SCENES}; leave it out"


def images_of(job: RenderJob, inspection: Inspection) -> int:
    """Return how many images are asked for, or more than there can be where the scene has to be opened to know."""
    frames = frames_of(job, inspection)
    return LARGEST if not frames and not inspection.frames_known else len(frames) * len(job.outputs)


def frames_of(job: RenderJob, inspection: Inspection) -> Sequence[int]:
    """Return the frames that are asked for; none where only the opened scene will tell."""
    return framesets.parse(job.frames) if job.frames else inspection.frames


def inspect(job: RenderJob, read_by: str = "") -> Inspection:
    """Say what is in the scene of a job.

    Args:
        read_by: version of the program that would render it, where known.

    Raises:
        UsageError: the scene cannot be read.
    """
    content = read_scene(job.scene)
    return engines.for_scene(job.scene).inspect(content, job, read_by)


def read_scene(scene: Path) -> bytes:
    """Return the bytes of a scene file.

    Raises:
        UsageError: there is no such file, or it cannot be read.
    """
    try:
        return scene.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{scene}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{scene}: is a folder; name the state file in it") from None
    except OSError as error:
        raise UsageError(f"{scene}: cannot be read ({error.strerror})") from None


def launcher_problem(job: RenderJob, environ: Mapping[str, str]) -> str:
    """Say what does not go together with how this command was started, empty when all does."""
    started = max(slurm.tasks_of_step(environ), *(int(environ.get(name, "1")) for name in WORLD_SIZES))
    if started > 1:
        return f"mpirender was started {started} times by srun or mpiexec; start it once, it starts the ranks itself"
    if job.launcher == "srun" and not slurm.job_number(environ):
        return "--launcher srun needs a Slurm allocation: mpirender submit, sbatch or salloc; here it is mpiexec"
    return ""


def missing_tools(job: RenderJob) -> list[str]:
    """Name the programs that a launch needs and that are not there; in an allocation srun will do, too."""
    missing: list[str] = []
    needed = job.launcher == "mpiexec" or (job.launcher == "auto" and not slurm.job_number())
    looks: list[Callable[[], object]] = [lambda: command_line.mpiexec(job)] if needed or job.mpiexec else []
    looks.append(lambda: engines.for_scene(job.scene).verify(job.programs))
    for look in looks:
        try:
            look()
        except MpirenderError as error:
            missing.append(str(error))
    return missing


def output_problem(output: Path) -> str:
    """Say why nothing can be written to the output folder, empty when it can; creates nothing that stays."""
    standing = next(folder for folder in (output, *output.parents) if folder.exists())
    if not standing.is_dir():
        return f"--output {output}: {standing} is a file, not a folder"
    try:
        with tempfile.TemporaryFile(dir=standing) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        return f"--output {output}: cannot write in {standing} ({error.strerror}); choose another folder"
    free = shutil.disk_usage(standing).free
    if free < LEAST_FREE:
        return f"--output {output}: only {free / 1e6:.0f} MB are free there; make room or choose another folder"
    return ""
