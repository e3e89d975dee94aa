"""The folder of a run: write the job into it, read it, remove partial files, report that it is not writable."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mpirender.errors import MpirenderError, NoSpace, UsageError, out_of_space
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.run_folder import lock
from mpirender.system import files

WRITTEN = (".jsonl", ".json", ".log")  # suffixes of the files that a run writes into its folder
FOLDER_MODE = 0o755  # with a umask of 002, members of the group could otherwise write into the folder of a run


def write_down(job: RenderJob) -> None:
    """Make the folder of the run and write the job, for ranks that are started by hand.

    :raises UsageError: it cannot be written, or another run uses it.
    """
    try:
        make(job)
        with lock.held(job.folder, lock.DRY_RUN):
            write_job(job)
    except OSError as error:
        raise unwritable(job, error) from None


def make(job: RenderJob) -> None:
    """Make the folder of the run, in which only this user may write.

    :raises UsageError: it is there, but someone else could have put something into it.
    """
    job.folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    if problems := list(untrusted(job)):
        raise UsageError(problems)


def untrusted(job: RenderJob) -> Iterator[str]:
    """Yield why the output folder is not used as it is: another user could lead mpirender to harm this one.

    Symbolic links in the folder of the run would let mpirender write elsewhere. Links in the output folder are the
    user's own.
    """
    if job.folder.is_symlink():
        yield f"--output {job.output}: {job.folder} is a symbolic link, which mpirender does not follow; remove it"
        return
    for place in (job.output, job.folder):
        with contextlib.suppress(OSError):
            owner = place.stat().st_uid
            if owner != os.geteuid() and not job.trust_output:
                yield (
                    f"--output {job.output}: {place} belongs to {user_name(owner)}, who could exchange its files "
                    "during the run; choose another folder, or use it nevertheless with --trust-output"
                )
                return
    with contextlib.suppress(OSError):
        entries = list(os.scandir(job.folder))
        links = [entry.path for entry in entries if entry.is_symlink()]
        yield from (f"{link}: a symbolic link, which mpirender does not follow; remove it" for link in links[:1])
        written = [entry for entry in entries if entry.name == lock.LOCK or Path(entry.name).suffix in WRITTEN]
        others = [entry.path for entry in written if not entry.is_file() and not entry.is_symlink()]
        yield from (f"{other}: not a file, but mpirender writes one there; remove it" for other in others[:1])


def user_name(number: int) -> str:
    """Return the name of a user for a message."""
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"another user (uid {number})"


def job_digest(job: RenderJob) -> str:
    """Return the digest of the file with the job, by which the ranks see whether they read what was written."""
    return files.digest(job.to_json().encode())


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


def read_job(output: Path) -> RenderJob:
    """Return the job of a folder, which may have been moved since.

    :raises UsageError: it has none, or it cannot be read.
    """
    try:
        job = RenderJob.from_json(files.content(output / FOLDER / "job.json").decode())
    except (FileNotFoundError, NotADirectoryError):
        raise no_run(output) from None
    except OSError as error:
        raise UsageError(f"{error.filename or output}: cannot be read ({error.strerror or error})") from None
    except (ValueError, TypeError, KeyError, MpirenderError):
        what = "damaged, or of another version; run mpirender render to write it again"
        raise UsageError(f"{output / FOLDER / 'job.json'}: {what}") from None
    return replace(job, output=output)
