"""Everything that can be known to be wrong before a rank is started, all of it at once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mpirender import engines, launcher
from mpirender.engines import Inspection
from mpirender.errors import MpirenderError, ToolMissing, UsageError
from mpirender.job import RenderJob

LEAST_FREE = 20 * 1024 * 1024  # bytes; less does not hold the journals and a few frames


def check(job: RenderJob) -> Inspection:
    """Look for everything that would stop this job; return what is in its scene.

    Raises:
        UsageError: with every mistake of the command and the scene; missing tools are told along with them.
        ToolMissing: only tools are missing.
    """
    mistakes: list[str] = []
    inspection = None
    try:
        inspection = inspect(job)
        mistakes += inspection.mistakes
    except UsageError as error:
        mistakes += error.mistakes
    problem = output_problem(job.output)
    if problem:
        mistakes.append(problem)
    missing = missing_tools(job) if inspection is not None else []
    if mistakes:
        raise UsageError([*mistakes, *missing])
    if missing:
        raise ToolMissing("\n".join(missing))
    assert inspection is not None
    return inspection


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


def missing_tools(job: RenderJob) -> list[str]:
    """Name the programs that a launch needs and that are not there."""
    missing: list[str] = []
    for look in (launcher.mpiexec, lambda job: engines.for_scene(job.scene).command(job)):
        try:
            look(job)
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
