"""The checks before any rank is started, so that all mistakes are reported at once."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

from mpirender import engines
from mpirender.engines.base import Engine, Inspection
from mpirender.errors import EncodeFailed, MpirenderError, ToolMissing, UsageError
from mpirender.job import frames as framesets
from mpirender.job import paths
from mpirender.job.options import ALL, AUTO, DEFAULT_RATE, DEFAULT_SIZE
from mpirender.job.outputs import Size
from mpirender.job.programs import Programs
from mpirender.job.render_job import OPTIONS, RenderJob
from mpirender.launcher import command_line
from mpirender.launcher.placement import LARGEST
from mpirender.movie import encode, ffmpeg
from mpirender.ranks.mpi import started_processes
from mpirender.run_folder import folder, own_files
from mpirender.supervisor import limits
from mpirender.system import apptainer, slurm
from mpirender.system.text import listed

MOST_IMAGES = 2_000_000  # each rank knows all of them
LARGEST_TEXT = 64 * 1024**2  # bytes of a state or script; the tree of a larger state takes more than 1 GB
SHORTEST_MOVIE = 2  # seconds; a shorter one is over before it is seen
LEAST_FREE = 20 * 1024 * 1024  # bytes; less does not hold the journals and a few frames


def check(job: RenderJob, inspection: Inspection | None = None, *, tools: bool = True) -> Inspection:
    """Look for everything that would stop this job; return the inspection of its scene.

    :param inspection: the inspection of the scene, if it was made before.
    :param tools: whether to look for the programs as well.
    :raises UsageError: with every mistake of the command and the scene, and with the missing tools.
    :raises ToolMissing: only tools are missing.
    """
    mistakes: list[str] = []
    try:
        inspection = inspection or inspect(job)
        mistakes += [*inspection.mistakes, *useless_options(job)]
        if too_many := "" if mistakes else too_many_images(job, inspection):
            mistakes.append(too_many)
        else:
            frames = frames_of(job, inspection)
            mistakes += [*own_files.mistakes(job, frames, inspection.beside), *own_files.in_the_way(job, frames)]
    except UsageError as error:
        mistakes += error.mistakes
    mistakes += filter(None, [output_problem(job.output), *folder.untrusted(job)])
    missing: list[str] = []
    if tools:
        mistakes += filter(None, [launcher_problem(job.launcher, os.environ), apptainer.problem(job.container)])
        mistakes += (found := list(limits.problems(job)))
        mistakes += filter(None, [encoder_problem(job)])
        codec = "" if job.movie == "none" else job.movie_codec
        if inspection and not found:  # otherwise tools would fail because of the limits
            missing = missing_tools(engines.for_scene(job.scene), job.programs, job.launcher, codec=codec)
    if mistakes:
        raise UsageError([*mistakes, *missing])
    if missing:
        raise ToolMissing("\n".join(missing))
    assert inspection is not None
    return inspection


def script_note(inspection: Inspection) -> str:
    """Return a line about the scripts that will run, empty if none will."""
    if not (inspection.scripts and inspection.scripts_run):
        return ""
    named = listed(inspection.scripts)
    return f"warning: scripts in this scene run with your permissions: {named}; --no-scripts refuses such scenes"


def resolved(job: RenderJob, inspection: Inspection) -> RenderJob:
    """Return the job with the values that depend on the scene; raise UsageError if they are known only after opening.

    These are the views and layouts that ``all`` stands for, the schedule, and by default image resolution and rate.
    """
    if ALL in (*job.views, *job.layouts) and not inspection.frames_known:
        raise UsageError(f"{job.scene.name} is a script, whose views are known only after it has run; name them")
    layouts = tuple(layout.name for layout in inspection.layouts if layout.views)
    if ALL in job.layouts and not layouts:
        raise UsageError("--layout all: the scene has no layout with views; use --view all")
    schedule = "contiguous" if inspection.order_dependent else "interleaved"
    return dataclasses.replace(
        job,
        views=inspection.renderable_views if ALL in job.views else job.views,
        layouts=layouts if ALL in job.layouts else job.layouts,
        schedule=schedule if job.schedule == AUTO else job.schedule,
        sizes=job.sizes or (Size.of(*inspection.size) if inspection.size else Size.parse(DEFAULT_SIZE),),
        frame_rate=job.frame_rate or inspection.frame_rate or DEFAULT_RATE,
    )


def useless_options(job: RenderJob) -> Iterator[str]:
    """Yield the options that do not apply to the engine of the scene."""
    engine = engines.name_for(job.scene)
    for name, option in OPTIONS.items():
        if not option.applies_to(engine) and getattr(job, name) != option.default:
            yield f"{option.flag} does not apply to {engines.get(engine).SCENES}"


def images_of(job: RenderJob, inspection: Inspection) -> int:
    """Return the number of images asked for; an upper limit if it is known only after the scene is opened."""
    frames = frames_of(job, inspection)
    return LARGEST if not frames and not inspection.frames_known else len(frames) * len(job.outputs)


def too_many_images(job: RenderJob, inspection: Inspection) -> str:
    """Return the mistake that a job has more images than one run can have, empty if not."""
    if (images := images_of(job, inspection)) <= MOST_IMAGES:
        return ""
    return f"{images} images are more than {MOST_IMAGES}; render them in several runs, each with an --output of its own"


def frames_of(job: RenderJob, inspection: Inspection) -> Sequence[int]:
    """Return the frames asked for; none if they are known only after the scene is opened."""
    return framesets.parse(job.frames) if job.frames else inspection.frames


def short_movie(job: RenderJob, inspection: Inspection) -> list[str]:
    """Return the advice to show fewer frames per second if the movie would last less than two seconds."""
    frames = len(frames_of(job, inspection))
    rate = Fraction(job.frame_rate or inspection.frame_rate or DEFAULT_RATE)
    if job.movie == "none" or frames < 2 or frames / rate >= SHORTEST_MOVIE:  # a single frame is a still
        return []
    slower = frames // SHORTEST_MOVIE
    lasts = f"the movie lasts {float(frames / rate):.3g} s ({frames} frames at {float(rate):g} per second)"
    return [f"{lasts}; --frame-rate {slower} makes it {frames / slower:.3g} s long"]


def inspect(job: RenderJob, read_by: str = "") -> Inspection:
    """Inspect the scene of a job; raise UsageError if it cannot be read.

    :param read_by: version of the program that would render it, if known.
    """
    scene = job.scene
    try:
        size = scene.stat().st_size if paths.is_file(scene) else 0
        if size > LARGEST_TEXT and engines.name_for(scene) != "blender":
            raise UsageError(f"{scene}: {size / 1e6:.0f} MB are too much for a scene; is it a file of data?")
        content = scene.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{scene}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{scene}: is a folder; name the scene file in it") from None
    except OSError as error:
        raise UsageError(f"{scene}: cannot be read ({error.strerror})") from None
    inspection = engines.for_scene(scene).inspect(content, job, read_by)
    if len(inspection.times) > framesets.MOST:
        many = f"{scene.name}: more than {framesets.MOST} frames; give the scene fewer, or render parts of it"
        return dataclasses.replace(inspection, times=(), mistakes=(many,))
    return inspection


def launcher_problem(launcher: str, environ: Mapping[str, str]) -> str:
    """Return why the ranks cannot be started from here, empty if they can."""
    started = max(slurm.tasks_of_step(environ), started_processes(environ))
    if started > 1:
        return f"srun or mpiexec started mpirender {started} times; start it once, it starts the ranks itself"
    if launcher == "srun" and not slurm.job_number(environ):
        return "--launcher srun needs a Slurm allocation (mpirender submit, sbatch or salloc); use mpiexec here"
    return ""


def missing_tools(engine: Engine, programs: Programs, launcher: str, *, codec: str = "") -> list[str]:
    """Return messages about the programs that a launch needs and that are missing; in an allocation srun suffices."""
    missing: list[str] = []
    needed = launcher == "mpiexec" or (launcher == "auto" and not slurm.job_number()) or programs.mpiexec
    looks: list[Callable[[], object]] = [partial(command_line.mpiexec, engine, programs)] if needed else []
    looks.append(partial(engine.verify, programs))
    if codec and not programs.container:  # a container has an ffmpeg of its own, which rank 0 checks
        looks.append(partial(ffmpeg.check, codec))
    for look in looks:
        try:
            look()
        except MpirenderError as error:
            missing.append(str(error))
    return missing


def encoder_problem(job: RenderJob) -> str:
    """Return why no encoder of this ffmpeg takes the images of a job, empty if one does, or ffmpeg is missing."""
    if job.movie == "none" or job.container:
        return ""
    try:
        for output in job.outputs:
            encode.check_encoder(job.movie_codec, job.pixel_format, (output.width, output.height), job.rate)
    except EncodeFailed as error:
        return str(error)
    except ToolMissing:
        return ""
    return ""


def output_problem(output: Path) -> str:
    """Return why the output folder cannot be written to, empty if it can; leaves no file or folder behind."""
    existing = next(folder for folder in (output, *output.parents) if paths.exists(folder))
    if not paths.is_folder(existing):
        return f"--output {output}: {existing} is a file, not a folder"
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        return f"--output {output}: cannot write in {existing} ({error.strerror}); choose another folder"
    if (free := shutil.disk_usage(existing).free) < LEAST_FREE:
        return f"--output {output}: only {free / 1e6:.0f} MB are free there; make room or choose another folder"
    return ""
