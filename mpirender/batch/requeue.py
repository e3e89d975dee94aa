"""The lives of a Slurm job: it goes back into the queue when its time is over, until the movie is done."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from mpirender.engines import Inspection
from mpirender.errors import FramesMissing, LaunchFailed, MpirenderError, Stopped
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import Event
from mpirender.run_folder.run_state import RunHistory, RunState
from mpirender.supervisor import run
from mpirender.supervisor.result import RenderResult
from mpirender.system import slurm
from mpirender.system.slurm import Allocation
from mpirender.system.text import plural

FRUITLESS = 3  # lives in a row without an image done, all ended by Slurm: it is not bad luck then
TIME_IS_OVER = "SIGUSR1"  # what mpi_render.slurm has Slurm send; SIGTERM also comes with scancel, which means it


def render(
    job: RenderJob,
    watch: Callable[[Sequence[Event]], None] = lambda new: None,
    inspection: Inspection | None = None,
) -> RenderResult:
    """Render a job as :func:`supervise.render` does; a Slurm job queues up again when told that its time is over.

    Raises:
        MpirenderError: one of its kinds, saying what is wrong and what to do.
    """
    allocation = slurm.allocation()
    if allocation is None:
        return run.render(job, watch, inspection)
    if fruitless_lives(job, allocation) >= FRUITLESS:
        raise FramesMissing(
            f"Slurm has started job {allocation.job} again and again and {FRUITLESS} times in a row no image was done; "
            f"look into {job.folder}/*.log, then submit it anew"
        )
    done = 0

    def count(new: Sequence[Event]) -> None:
        nonlocal done
        done += sum(isinstance(event, events.Done) for event in new)
        watch(new)

    try:
        return run.render(job, count, inspection)
    except Stopped as error:
        if error.signal != TIME_IS_OVER or not job.max_requeues:
            raise
        raise queued_again(job, allocation, error, done) from None


def queued_again(job: RenderJob, allocation: Allocation, error: Stopped, done: int) -> MpirenderError:
    """Put the job back into the queue if that leads somewhere; return the error that says so.

    Args:
        done: images done in this life.
    """
    name = f"Slurm job {allocation.job}"
    if allocation.run > job.max_requeues:
        often = plural(job.max_requeues, "time")
        times = f"it has been there {often} (--max-requeues)"
        return Stopped(error.so_far, f"{name} is not put back into the queue: {times}; submit it again to go on")
    if not done:
        cure = "give it more time (sbatch --time), or more cores a rank"
        return Stopped(error.so_far, f"{name} is not put back into the queue: no image was done in this life; {cure}")
    for number in (signal.SIGTERM, signal.SIGUSR1):  # Slurm sends the first at once; the last words must be said
        signal.signal(number, signal.SIG_IGN)
    try:
        slurm.requeue(allocation.job)
    except LaunchFailed as problem:
        return Stopped(
            error.so_far, f"{name} could not be put back into the queue ({problem}); submit it again to go on"
        )
    return Stopped(error.so_far, f"{name} is back in the queue and goes on with what is left")


def fruitless_lives(job: RenderJob, allocation: Allocation) -> int:
    """Return how many lives of this Slurm job in a row, up to the one before this, started ranks and did no image."""
    if allocation.run <= FRUITLESS:
        return 0
    history = RunHistory(journal.read(job.folder))
    count = 0
    for number in range(allocation.run - 1, 0, -1):
        runs = [run for run in history.runs.values() if began_in(run, allocation, number)]
        if not runs or any(run.done for run in runs):
            break
        count += 1
    return count


def began_in(run: RunState, allocation: Allocation, number: int) -> bool:
    """Return whether a run was launched in this Slurm job, when Slurm had started it for the nth time."""
    mine = (allocation.job, allocation.cluster, number)
    launches = [launch.launch for launch in run.launches.values() if launch.launch is not None]
    return any((launch.job, launch.cluster, launch.allocation) == mine for launch in launches)
