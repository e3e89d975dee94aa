"""The limits of this machine and of this user that would stop a run: each with what a run needs, and the fix."""

from __future__ import annotations

import math
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import cores
from mpirender.system import slurm

MIB = 1024**2
LEAST_TEMPORARY = 16 * MIB  # bytes that Open MPI puts into the folder for temporary files
LEAST_FILE = 16 * MIB  # size of a file that MPI makes
LEAST_ADDRESS_SPACE = 1024 * MIB
BYTES_A_PIXEL = 4
DESCRIPTORS, DESCRIPTORS_A_RANK = 64, 6  # open files of mpiexec, which has pipes to its ranks
THREADS, THREADS_A_RANK = 20, 10  # of mpiexec and ffmpeg, and of a rank with its renderer
NAME_BYTES = 255  # of a file; a temporary one has the process id in front
PART_NAME = ".part-4194304-"


def problems(job: RenderJob) -> Iterator[str]:
    """Yield what would stop the ranks of a job, or its movies, in a line each."""
    ranks = ranks_here(job)
    yield from _long_names(job)
    yield from _small_files(job)
    yield from _small_address_space()
    yield from _few_descriptors(ranks)
    yield from _few_processes(ranks)
    yield from _temporary_folder()


def ranks_here(job: RenderJob) -> int:
    """Return how many ranks a job starts on this machine: of all that it asks for, those of one node."""
    return math.ceil(job.ranks / slurm.node_count()) if job.ranks else cores()


def _long_names(job: RenderJob) -> Iterator[str]:
    """Yield names that a file system does not take; they would be noticed when the frames are done."""
    movies = [] if job.movie == "none" else [PART_NAME + job.movie_path(output).name for output in job.outputs]
    folders = [part for output in job.outputs for part in Path(output.name).parts]
    longest = max([*movies, *folders], key=lambda name: len(os.fsencode(name)))
    if (size := len(os.fsencode(longest))) > NAME_BYTES:
        fix = f"give the scene or the size a name that is {size - NAME_BYTES} bytes shorter"
        yield f"{longest.replace(PART_NAME, '')}: the name is too long for a file (at most {NAME_BYTES} bytes); {fix}"


def _small_files(job: RenderJob) -> Iterator[str]:
    largest = max(output.width * output.height for output in job.outputs) * BYTES_A_PIXEL
    limit, needed = resource.getrlimit(resource.RLIMIT_FSIZE)[0], max(largest, LEAST_FILE)
    if limit not in (resource.RLIM_INFINITY, -1) and limit < needed:
        have, need = _size(limit), _size(needed)
        yield f"files may have at most {have} here (ulimit -f), and a run makes files of {need}; ulimit -f unlimited"


def _small_address_space() -> Iterator[str]:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit not in (resource.RLIM_INFINITY, -1) and limit < LEAST_ADDRESS_SPACE:
        have, need = _size(limit), _size(LEAST_ADDRESS_SPACE)
        yield f"a process may take {have} of address space (ulimit -v), and ffmpeg needs {need}; ulimit -v unlimited"


def _few_descriptors(ranks: int) -> Iterator[str]:
    """Yield the limit of open files; one that this process may raise is raised, for the ranks too."""
    needed = DESCRIPTORS + DESCRIPTORS_A_RANK * ranks
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < needed <= most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
    elif limit < needed:
        yield (
            f"a process may open at most {limit} files here (ulimit -n), and {ranks} ranks need {needed}; "
            f"raise the limit{', or give fewer --ranks' if ranks > 1 else ''}"
        )


def _few_processes(ranks: int) -> Iterator[str]:
    """Yield the limit of processes and threads of a user, which the kernel does not apply to root."""
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if os.geteuid() == 0 or limit == resource.RLIM_INFINITY:
        return
    needed = THREADS + THREADS_A_RANK * ranks
    if (taken := _own_threads()) + needed > limit:
        yield (
            f"you may have {limit} processes and threads here (ulimit -u) and have {taken}; {ranks} ranks need about "
            f"{needed} more; raise the limit{', or give fewer --ranks' if ranks > 1 else ''}"
        )


def _own_threads() -> int:
    """Return how many threads this user has on this machine."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.geteuid():
                count += sum(1 for _ in (process / "task").iterdir())
        except OSError:  # it has ended
            continue
    return count


def _temporary_folder() -> Iterator[str]:
    """Yield what is wrong with the folder for temporary files. MPI, unlike Python, uses no other in its place."""
    named = next((name for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), "")
    folder = Path(os.environ.get(named) or "/tmp")
    existing = next(place for place in (folder, *folder.absolute().parents) if os.path.isdir(place))  # noqa: PTH112
    fix = "set TMPDIR to a folder on a local disk"
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(4096))
        free = shutil.disk_usage(existing).free
    except OSError as error:
        yield f"{folder}: temporary files cannot be written there ({error.strerror}); {fix}"
        return
    if free < LEAST_TEMPORARY:
        yield f"{folder}: {_size(free)} are free for temporary files, and MPI needs {_size(LEAST_TEMPORARY)}; {fix}"


def _size(count: int) -> str:
    return f"{count / MIB:.0f} MiB" if count >= MIB else f"{count / 1024:.0f} KiB"
