"""The program that mpiexec starts: what every rank runs, top to bottom.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.rank orbit_renders/.mpirender/job.json

Rank 0 reads the scene and what is already complete, and broadcasts both; every rank renders its own frames; a gather
checks that every frame is there and whole; then the movies are made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    # Inside pvbatch the user's packages go to the end: its own numpy and mpi4py are never shadowed.
    own = str(Path(__file__).resolve().parents[1])
    sys.path.extend(path for path in [own, *os.environ.get("MPIRENDER_PATH", "").split(os.pathsep)] if path)

from mpirender import assembly, engines, journal, lock, resume, schedule, stopping
from mpirender import frames as framesets
from mpirender.display import private_display
from mpirender.errors import (
    EncodeFailed,
    FramesMissing,
    MpirenderError,
    NoSpace,
    Stopped,
    TakenOver,
    ToolMissing,
    UsageError,
    out_of_space,
)
from mpirender.images import Painter
from mpirender.job import Image, RenderJob
from mpirender.journal import Journal, Record
from mpirender.orders import Orders
from mpirender.stopping import StopRequest

# How launchers tell a process the size of the world it was started in: Open MPI; MPICH and its kin.
WORLD_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")


def main() -> None:
    """Run this rank; on an error say it in one line and end all ranks."""
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit("usage: mpiexec -n RANKS pvbatch --no-mpi -m mpirender.rank OUTPUT/.mpirender/job.json")
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        tell(f"mpi4py cannot be used here ({' '.join(str(error).split())}); install one that fits this Python and MPI")
        sys.exit(ToolMissing.exit_code)
    comm, job_file, run_id = MPI.COMM_WORLD, Path(sys.argv[1]), "".join(sys.argv[2:])
    try:
        check_world(comm.size, MPI.Get_library_version())
        job = RenderJob.from_json(comm.bcast(read_job(job_file) if comm.rank == 0 else "", root=0))
        with log_of_rank(job.folder, comm.rank), stopping.on_signals() as stop:
            run(comm, job, stop, run_id)
    except BaseException as error:  # whatever it is: the other ranks must not wait for this one
        end_all(comm, job_file, error)
    leave(0)


def end_all(comm: Any, job_file: Path, error: BaseException) -> NoReturn:  # noqa: ANN401
    """Say what is wrong and end all ranks, with the exit code of the error."""
    told = NoSpace(job_file.parent.parent) if out_of_space(error) else error
    if not isinstance(told, MpirenderError):
        traceback.print_exception(type(error), error, error.__traceback__)
        tell(f"rank {comm.rank} of {comm.size} on {socket.gethostname()}: {type(error).__name__}: {error}")
        comm.Abort(1)
        raise AssertionError("Abort does not return")
    tell(str(told))
    # These are raised by rank 0 when the others are done; there is nothing to cut off.
    if isinstance(told, (FramesMissing, EncodeFailed, Stopped)) and not isinstance(told, (NoSpace, TakenOver)):
        leave(told.exit_code)
    comm.Abort(told.exit_code)
    raise AssertionError("Abort does not return")


def run(comm: Any, job: RenderJob, stop: StopRequest, run_id: str) -> None:  # noqa: ANN401 - an mpi4py communicator
    """Render this rank's share and make the movies, together with the other ranks of comm."""
    with contextlib.ExitStack() as stack:
        orders, beat = take_orders(comm, job, run_id, stack)
        log = stack.enter_context(Journal(job.folder, comm.rank, socket.gethostname()))
        log.write("start", ranks=comm.size, pid=os.getpid(), run=orders.run, life=orders.life)
        engine = engines.for_scene(job.scene)
        content, data = comm.bcast(read_scene(engine, job) if comm.rank == 0 else None, root=0)
        if engine.needs_display():
            stack.enter_context(private_display(comm))
        log.write("phase", phase="load")
        scene = engine.open_scene(content, job)
        log.write("phase", phase="opened", description=scene.description)
        check_complaints(log, job, scene)
        parts = comm.bcast(resume.identity(job, content, data, scene.description), root=0)
        mark = resume.fingerprint(parts)
        images = resume.wanted(job, scene.frames)
        records = journal.read(job.folder) if comm.rank == 0 else []
        done = resume.completed(comm, job, images, records, mark)
        if comm.rank == 0:
            stale = resume.stale(records, images, mark, parts) if orders.life == 1 else ""
            warnings = [*filter(None, [stale]), *engine.inspect(content, job, scene.version).warnings]
            log.write("plan", **plan(job, images, done, mark), parts=parts, warnings=warnings)
        left = [image for image in images if image not in done and image not in orders.set_aside]
        painter = Painter(log, scene, job, mark)
        log.write("phase", phase="render")

        def go_on() -> bool:
            beat()
            return not stop.asked

        outcomes = painter.render(schedule.share(left, orders.suspects, comm.rank, comm.size, job.schedule), go_on)
        again = second_chance(comm, outcomes)
        outcomes.update(painter.render(again, go_on, attempt=2))
        if comm.rank == 0:
            outcomes.update({**done, **painter.fail(orders.set_aside)})
        if stop.asked:
            log.write("stop", signal=stop.name)
        log.write("phase", phase="gather")
        with recorded(log):
            assembly.assemble(comm, log, job, images, outcomes, stopped=stop.name)
        log.write("phase", phase="end")


@contextlib.contextmanager
def recorded(log: Journal) -> Iterator[None]:
    """Record the exit code of an error: launchers do not always pass it on."""
    try:
        yield
    except MpirenderError as error:
        log.write("error", code=error.exit_code)
        raise


def take_orders(
    comm: Any,  # noqa: ANN401
    job: RenderJob,
    run_id: str,
    stack: contextlib.ExitStack,
) -> tuple[Orders, Callable[[], None]]:
    """Return what the supervisor wants, and what to call between images.

    Without a supervisor rank 0 takes the lock of the folder itself, and keeps it fresh between its images.
    """
    beat: Callable[[], None] = lambda: None  # noqa: E731
    orders = None
    if comm.rank == 0 and run_id:
        orders = Orders.read(job.folder, run_id)
    elif comm.rank == 0:
        orders = Orders(uuid.uuid4().hex[:12])
        beat = stack.enter_context(lock.held(job.folder, orders.run)).beat
    return comm.bcast(orders, root=0), beat


def second_chance(comm: Any, outcomes: Mapping[Image, Record]) -> list[Image]:  # noqa: ANN401
    """Return the images to try again here: those that failed on another rank, dealt out to the ranks behind it."""
    assembly.wait_for_all(comm)
    failed = [image for image, record in outcomes.items() if record["event"] == "fail"]
    mine: list[Image] = []
    for rank, part in enumerate(comm.allgather(failed)):
        behind = [(rank + step) % comm.size for step in range(1, comm.size)] or [rank]
        mine += [image for image, chosen in zip(part, itertools.cycle(behind)) if chosen == comm.rank]
    return mine


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


def plan(job: RenderJob, images: Sequence[Image], done: Collection[Image], mark: str) -> dict[str, Any]:
    """Return what is recorded of the work before it starts."""
    return {
        "frames": framesets.text(image.frame for image in images),
        "sizes": [size.name for size in job.sizes],
        "total": len(images),
        "left": len(images) - len(done),
        "left_of": Counter(image.size for image in images if image not in done),
        "fingerprint": mark,
    }


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
        with contextlib.suppress(OSError):  # the disk may be full
            traceback.print_exc()  # into the log: the terminal gets one line
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
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
    # Not this module's own main: ParaView runs the scripts of a state in __main__, after "from numpy import *".
    from mpirender.rank import main as run_rank

    run_rank()
