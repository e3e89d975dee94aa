"""Requeue a Slurm job when its time limit is near, until the movie is complete."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Sequence

from mpirender.engines.base import Inspection
from mpirender.errors import FramesMissing, LaunchFailed, Stopped
from mpirender.job.render_job import RenderJob
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import Event
from mpirender.run_folder.run_state import RunHistory
from mpirender.supervisor import run
from mpirender.supervisor.early_end import SPOT_NOTICE
from mpirender.supervisor.growth import MORE_NODES
from mpirender.supervisor.result import RenderResult
from mpirender.supervisor.run import Watch
from mpirender.system import slurm
from mpirender.system.slurm import Allocation
from mpirender.system.text import plural

MAX_FRUITLESS_ALLOCATIONS = 3  # in a row without a completed image: the next one would end in the same way
TIME_LIMIT_SIGNAL = "SIGUSR1"  # mpi_render.slurm has Slurm send it
END_SIGNAL = "SIGTERM"  # before Slurm ends a job: scancel, a preemption, the loss of a node, an operator's requeue


def render(
    job: RenderJob, watch: Watch = lambda _: None, inspection: Inspection | None = None, plan: LaunchPlan | None = None
) -> RenderResult:
    """Render a job as :func:`mpirender.supervisor.run.render` does; requeue its Slurm job before the time limit.

    :raises MpirenderError: a subclass, with what is wrong and how to fix it.
    """
    allocation = slurm.allocation()
    if allocation is None:
        return run.render(job, watch, inspection, plan)
    if fruitless_allocations(job, allocation) >= MAX_FRUITLESS_ALLOCATIONS:
        times = f"{MAX_FRUITLESS_ALLOCATIONS} times in a row without completing an image"
        see = f"see {job.folder}/*.log, then resubmit it"
        raise FramesMissing(f"Slurm job {allocation.job} was restarted {times}; {see}")
    done = 0

    def count(new: Sequence[Event]) -> None:
        nonlocal done
        done += sum(isinstance(event, events.Done) for event in new)
        watch(new)

    def continued(error: Stopped) -> Stopped:
        if error.signal in (TIME_LIMIT_SIGNAL, SPOT_NOTICE, MORE_NODES) and job.max_requeues:
            fruitless = error.signal == TIME_LIMIT_SIGNAL and not done
            how, continues = requeue(job, allocation, fruitless)
            text = f"Slurm job {allocation.job} {how}"
            return Stopped(error.so_far, text, signal=error.signal, continues=continues)
        if error.signal == END_SIGNAL and slurm.starts_again(allocation.job, allocation.run):
            how = f"{slurm.starting_again(allocation.job)} and continues with the remaining images"
            return Stopped(error.so_far, how, signal=error.signal, continues=True)
        return error

    return run.render(job, count, inspection, plan, continued=continued)


def requeue(job: RenderJob, allocation: Allocation, fruitless: bool) -> tuple[str, bool]:
    """Requeue the Slurm job if the next allocation can continue it.

    Return the end of a message about it, and whether the job is requeued.
    """
    if allocation.run > job.max_requeues:
        times = plural(job.max_requeues, "time")
        return f"is not requeued: it was requeued {times} (--max-requeues); submit it again to continue", False
    if fruitless:
        fix = "give it more time (sbatch --time), or more cores per rank"
        return f"is not requeued: no image was completed in this allocation; {fix}", False
    for number in (signal.SIGTERM, signal.SIGUSR1):  # Slurm sends the first at once; this message must still be printed
        signal.signal(number, signal.SIG_IGN)
    try:
        slurm.requeue(allocation.job)
    except LaunchFailed as problem:
        return f"could not be requeued ({problem}); submit it again to continue", False
    return "is requeued and will continue with the remaining images", True


def fruitless_allocations(job: RenderJob, allocation: Allocation) -> int:
    """Return how many allocations of this Slurm job in a row, before this one, started ranks but completed no image."""
    if allocation.run <= MAX_FRUITLESS_ALLOCATIONS:
        return 0
    completed: dict[int, bool] = {}  # whether an image was, by allocation
    for state in RunHistory(journal.read(job.folder)).runs.values():
        launches = [launch.launch for launch in state.launches.values() if launch.launch is not None]
        for launch in launches:
            if (launch.job, launch.cluster) == (allocation.job, allocation.cluster):
                completed[launch.allocation] = completed.get(launch.allocation, False) or bool(state.done)
    before = range(allocation.run - 1, 0, -1)
    return len(list(itertools.takewhile(lambda number: completed.get(number) is False, before)))
