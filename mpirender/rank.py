"""The program that mpiexec starts: what every rank runs, top to bottom.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.rank orbit_renders/.mpirender/job.json

Rank 0 reads the scene and what is already complete, and broadcasts both; every rank renders its own frames; a gather
checks that every frame is there and whole; then the movies are made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    # Inside pvbatch the user's packages go to the end: its own numpy and mpi4py are never shadowed.
    own = str(Path(__file__).resolve().parents[1])
    sys.path.extend(path for path in [own, *os.environ.get("MPIRENDER_PATH", "").split(os.pathsep)] if path)

from mpirender import assembly, engines, journal, schedule
from mpirender import frames as framesets
from mpirender.display import private_display
from mpirender.errors import EncodeFailed, FramesMissing, MpirenderError, ToolMissing, UsageError
from mpirender.job import RenderJob, Size
from mpirender.journal import Image, Journal, Record

# How launchers tell a process the size of the world it was started in: Open MPI; MPICH and its kin.
WORLD_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def main() -> None:
    """Run this rank; on an error say it in one line and end all ranks."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: mpiexec -n RANKS pvbatch --no-mpi -m mpirender.rank OUTPUT/.mpirender/job.json")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        tell(f"mpi4py cannot be used here ({' '.join(str(error).split())}); install one that fits this Python and MPI")
        sys.exit(ToolMissing.exit_code)
    comm, job_file = MPI.COMM_WORLD, Path(sys.argv[1])
    try:
        check_world(comm.size, MPI.Get_library_version())
        job = RenderJob.from_json(comm.bcast(read_job(job_file) if comm.rank == 0 else "", root=0))
        with log_of_rank(job.folder, comm.rank):
            run(comm, job)
    except (FramesMissing, EncodeFailed) as error:  # raised by rank 0 after the others are done: nothing is cut off
        tell(str(error))
        leave(error.exit_code)
    except MpirenderError as error:
        tell(str(error))
        comm.Abort(error.exit_code)
    except BaseException as error:  # whatever it is: the other ranks must not wait for this one
        traceback.print_exc()
        tell(f"rank {comm.rank} of {comm.size} on {socket.gethostname()}: {type(error).__name__}: {error}")
        comm.Abort(1)
    leave(0)


def run(comm: Any, job: RenderJob) -> None:  # noqa: ANN401 - an mpi4py communicator; mpi4py may be missing
    """Render this rank's share and make the movies, together with the other ranks of comm."""
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(Journal(job.folder, comm.rank, socket.gethostname()))
        log.write("start", ranks=comm.size, pid=os.getpid())
        engine = engines.for_scene(job.scene)
        content, data = comm.bcast(read_scene(engine, job) if comm.rank == 0 else None, root=0)
        if engine.needs_display():
            stack.enter_context(private_display(comm))
        log.write("phase", phase="load")
        scene = engine.open_scene(content, job)
        log.write("phase", phase="opened", description=scene.description)
        check_complaints(log, job, scene)
        fingerprint = comm.bcast(identity(job, content, data, scene.description), root=0)
        frames = wanted(job, scene.frames)
        done = completed(comm, job, frames, fingerprint)
        tasks = left(job, frames, done)
        if comm.rank == 0:
            warnings = engine.inspect(content, job, scene.version).warnings
            log.write("plan", **plan(job, frames, done), fingerprint=fingerprint, warnings=warnings)
        mine = schedule.deal(list(tasks), comm.size, job.schedule)[comm.rank]
        outcomes = render(log, scene, job, {frame: tasks[frame] for frame in mine}, fingerprint)
        log.write("phase", phase="gather")
        assembly.assemble(comm, log, job, frames, {**done, **outcomes} if comm.rank == 0 else outcomes)
        log.write("phase", phase="end")


def read_job(job_file: Path) -> str:
    """Return the job's JSON.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return job_file.read_text()
    except OSError as error:
        raise UsageError(f"{job_file}: {error.strerror}; mpirender render writes this file") from None


def read_scene(engine: engines.Engine, job: RenderJob) -> tuple[bytes, list[tuple[str, int, int]]]:
    """Read the scene on rank 0; return it as the ranks load it, and name, bytes and time of the files it reads."""
    content, files = engine.prepare(job.scene.read_bytes(), job)
    return content, [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def check_world(size: int, library: str) -> None:
    """Make sure that the ranks see each other.

    Raises:
        ToolMissing: the launcher started several processes, yet each believes to be rank 0 of 1.
    """
    started = max(int(os.environ.get(name, "1")) for name in WORLD_SIZES)
    if size == 1 and started > 1:
        raise ToolMissing(
            f"mpiexec started {started} ranks but each believes it is alone: mpi4py here uses another MPI "
            f"({library.splitlines()[0][:60].rstrip(', ')}) than mpiexec; "
            "name the mpiexec of that MPI with --mpiexec, or install an mpi4py for yours"
        )


def check_complaints(log: Journal, job: RenderJob, scene: engines.Scene) -> None:
    """Refuse a scene during whose loading the engine reported an error, unless the job keeps such frames.

    The pipeline has run by then and will not run again for every frame, so later frames would look faultless.

    Raises:
        UsageError: with the first error.
    """
    for complaint in scene.complaints:
        log.write("complaint", text=complaint)
    if scene.complaints and job.on_error == "fail":
        raise UsageError(
            f"{job.scene.name}: error while loading: {scene.complaints[0]} "
            "(mend the scene, or render it all the same with --on-error warn)"
        )


def identity(job: RenderJob, content: bytes, data: Sequence[tuple[str, int, int]], renderer: str) -> str:
    """Return the fingerprint of what decides the pixels: scene, data files, options, engine and renderer."""
    parts = [journal.digest(content), data, job.pixel_options(), renderer]
    return hashlib.blake2b(json.dumps(parts, default=str).encode(), digest_size=16).hexdigest()


def wanted(job: RenderJob, count: int) -> list[int]:
    """Return the frames to be in the movie.

    Args:
        count: number of frames the opened scene has.

    Raises:
        UsageError: the scene has no frames, or not all that were asked for.
    """
    if count < 1:
        raise UsageError(f"{job.scene.name}: the scene has no frames")
    if job.frames is None:
        return list(range(count))
    if beyond := framesets.out_of_range(job.frames, count):
        raise UsageError(beyond)
    return list(framesets.parse(job.frames))


def left(job: RenderJob, frames: Sequence[int], done: Mapping[Image, Record]) -> dict[int, list[Size]]:
    """Return the frames that are not complete, with the sizes that are missing of each."""
    missing = {frame: [size for size in job.sizes if Image(frame, size.name) not in done] for frame in frames}
    return {frame: sizes for frame, sizes in missing.items() if sizes}


def completed(comm: Any, job: RenderJob, frames: Sequence[int], fingerprint: str) -> dict[Image, Record]:  # noqa: ANN401
    """Return the images that an earlier run completed and that are still whole; each rank checks its part of them.

    One that was kept in spite of an error counts only for a job that keeps such images, too.
    """
    claimed: list[tuple[Image, Record]] = []
    if comm.rank == 0:
        asked = {Image(frame, size.name) for frame in frames for size in job.sizes}
        last = journal.newest(journal.read(job.folder), fingerprint)
        claimed = [
            (image, record)
            for image, record in last.items()
            if image in asked and record["event"] == "done" and (job.on_error == "warn" or not record.get("complaints"))
        ]
    part = comm.scatter([claimed[rank :: comm.size] for rank in range(comm.size)], root=0)
    sizes = {size.name: size for size in job.sizes}
    whole = {
        image: record for image, record in part if journal.whole(job.image(sizes[image.size], image.frame), record)
    }
    return {image: record for checked in comm.allgather(whole) for image, record in checked.items()}


def plan(job: RenderJob, frames: Sequence[int], done: Mapping[Image, Record]) -> dict[str, Any]:
    """Return what is recorded of the work before it starts."""
    total = len(frames) * len(job.sizes)
    return {"frames": framesets.text(frames), "total": total, "left": total - len(done)}


def render(
    log: Journal, scene: engines.Scene, job: RenderJob, tasks: Mapping[int, Sequence[Size]], fingerprint: str
) -> dict[Image, Record]:
    """Render these frames, each once per size; return the record of every image, done or failed."""
    for size in job.sizes:
        (job.output / size.name).mkdir(parents=True, exist_ok=True)
    log.write("phase", phase="render")
    outcomes: dict[Image, Record] = {}
    for frame, sizes in tasks.items():
        log.write("take", frame=frame)
        for size in sizes:
            event, facts = make_image(scene, job, frame, size)
            about = {"frame": frame, "size": size.name, "fingerprint": fingerprint}
            outcomes[Image(frame, size.name)] = log.write(event, **about, **facts)
    return outcomes


def make_image(scene: engines.Scene, job: RenderJob, frame: int, size: Size) -> tuple[str, dict[str, Any]]:
    """Render one image and put it in its place; return the event and the facts to record."""
    place = job.image(size, frame)
    written = place.with_name(f".part-{place.name}")
    started = time.perf_counter()
    complaints: list[str] = []
    try:
        complaints = scene.render(frame, size, written)
        if complaints and job.on_error == "fail":
            written.unlink(missing_ok=True)
            return "fail", {"reason": complaints[0]}
        facts = journal.put_in_place(written, place)
    except Exception as error:  # a frame that cannot be rendered must not cost the others
        written.unlink(missing_ok=True)
        return "fail", {"reason": complaints[0] if complaints else f"{type(error).__name__}: {error}"}
    return "done", {**facts, "seconds": time.perf_counter() - started, "complaints": complaints}


@contextlib.contextmanager
def log_of_rank(folder: Path, rank: int) -> Iterator[None]:
    """Send everything this process prints, C++ included, to the rank's own log for the time of the block."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    log = os.open(folder / f"rank-{rank:04d}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    except BaseException:
        traceback.print_exc()  # into the log: the terminal gets one line
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, copy in zip((1, 2), saved):
            os.dup2(copy, fd)
            os.close(copy)


def tell(message: str) -> None:
    """Say each mistake in a line of its own, as the supervisor looks for it."""
    for line in message.splitlines():
        print(f"mpirender: error: {line}", file=sys.stderr)  # noqa: T201
    sys.stderr.flush()


def leave(code: int) -> NoReturn:
    """End the process without the engine's own clean-up, which would call an X server that may be gone by now."""
    from mpi4py import MPI

    MPI.Finalize()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
