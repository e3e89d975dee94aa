"""The folder of a run: write the job into it, remove partial files, report that it is not writable."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from mpirender.errors import MpirenderError, NoSpace, UsageError, out_of_space
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import lock
from mpirender.system import files


def write_down(job: RenderJob) -> None:
    """Make the folder of the run and write the job, for ranks that are started by hand.

    :raises UsageError: it cannot be written, or another run uses it.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with lock.held(job.folder, lock.DRY_RUN):
            write_job(job)
    except OSError as error:
        raise unwritable(job, error) from None


def write_job(job: RenderJob) -> None:
    """Write the job for the ranks; the lock must be held."""
    files.write_text(job.folder / "job.json", job.to_json())


def unwritable(job: RenderJob, error: OSError) -> MpirenderError:
    """Return the error for an output folder that cannot be written to."""
    if out_of_space(error):
        return NoSpace(job.output)
    return UsageError(f"--output {job.output}: cannot be written ({error.strerror or error})")


def no_run(output: Path) -> UsageError:
    """Return the error for a folder that is not that of a run."""
    hint = "give the folder that render wrote to (--output; SCENE_renders by default)"
    return UsageError(f"{output}: no run of mpirender here; {hint}")


def tidy(job: RenderJob) -> None:
    """Remove partial files of ranks that died."""
    for folder in (job.output, job.folder, *(job.output / output.name for output in job.outputs)):
        for part in folder.glob(".part-*"):
            with contextlib.suppress(OSError):
                shutil.rmtree(part) if part.is_dir() else part.unlink()
