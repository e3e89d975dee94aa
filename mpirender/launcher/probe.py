"""Where the ranks are to run and what can start them there: in a Slurm allocation that is found out by trying."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from mpirender.errors import LaunchFailed, ToolMissing, one_line
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line, exit_diagnosis
from mpirender.launcher.environment import settings_here
from mpirender.launcher.placement import Placement, Way, in_allocation, on_this_host
from mpirender.ranks.main import PRESENT, TRIAL
from mpirender.system import child_process, slurm
from mpirender.system.slurm import Allocation

TRIAL_SECONDS = 60.0  # the ranks of a trial load no scene; a launcher that does not fit may wait for ever
WORDS_TOLD = 200  # characters of what a launcher said


def place(
    job: RenderJob,
    allocation: Allocation | None,
    images: int,
    *,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], object] = lambda text: None,
) -> Placement:
    """Say where the ranks run and what starts them; within an allocation after trying that it does.

    Args:
        images: how many there are to render.
        stop: called often; the trial is given up when it says so.
        tell: called with a line when mpiexec is there but does not fit.

    Raises:
        ToolMissing: no launcher starts ranks that see each other.
    """
    if allocation is None or job.launcher == "none":
        return on_this_host(job, images)
    placement = in_allocation(job, allocation, images)
    problems: list[str] = []
    for way in ways(job):
        if stop():
            break
        problem = try_out(job, dataclasses.replace(placement, way=way), stop)
        if not problem:
            if way.launcher == "srun" and problems and problems[0].startswith("mpiexec"):
                tell(f"{problems[0]}; {way} starts ranks that see each other")
            return dataclasses.replace(placement, way=way)
        problems.append(f"{way}: {problem}")
    raise ToolMissing(
        f"no launcher starts ranks that see each other on {allocation.node_list}; load the MPI that pvbatch was built "
        f"with, or name its mpiexec with --mpiexec. Tried: {'; '.join(problems)}"
    )


def survivors(placement: Placement, allocation: Allocation | None, stop: Callable[[], bool]) -> Placement:
    """Return the placement without the nodes of the allocation that do not answer any more.

    Args:
        stop: called often; when it says so, the placement is returned as it is.

    Raises:
        LaunchFailed: the ranks that are left do not suffice for a frame.
    """
    if allocation is None or len(placement.nodes) < 2:
        return placement
    try:
        left = slurm.nodes_left(allocation.job)
        here = slurm.responding_nodes([node for node in placement.nodes if node in left], stop)
    except LaunchFailed:  # Slurm's controller has troubles of its own
        return placement
    if not here or stop():
        return placement
    kept = placement.on(here)
    if not kept.ranks:
        lost, rest = ", ".join(node for node in placement.nodes if node not in here), f"{kept.spare} of the ranks"
        raise LaunchFailed(
            f"{lost} do not answer any more; {rest} would be left, too few for --ranks-per-frame {placement.group}; "
            "submit the job again to go on"
        )
    return kept


def ways(job: RenderJob) -> Iterator[Way]:
    """Yield what could start the ranks in an allocation, the likeliest first."""
    if job.launcher in ("auto", "mpiexec"):
        with contextlib.suppress(ToolMissing):
            command_line.mpiexec(job)
            yield Way("mpiexec")
    if job.launcher in ("auto", "srun"):
        yield from (Way("srun", plugin) for plugin in ["", *slurm.mpi_plugins()])


def try_out(job: RenderJob, placement: Placement, stop: Callable[[], bool]) -> str:
    """Start a few ranks that only say where they are; say what went wrong, empty for nothing.

    One on each node, or two on a single one.
    """
    each = 1 if len(placement.nodes) > 1 else min(placement.ranks, 2)
    nodes = dict.fromkeys(placement.nodes, each)
    few = dataclasses.replace(placement, ranks=sum(nodes.values()), nodes=nodes, named=True, desk=False)
    with contextlib.suppress(OSError):
        command = [*command_line.start(job, few), *command_line.program(job), "-m", command_line.RANK, TRIAL]
        code, said = child_process.run_until(command, stop, timeout=TRIAL_SECONDS, added=settings_here(few))
        found = [line.removeprefix(PRESENT).split() for line in said.splitlines() if line.startswith(PRESENT)]
        if len(found) > 1:
            return f"each of {len(found)} ranks believes that it is alone"
        if not found:
            ending = f"no answer for {TRIAL_SECONDS:.0f} s" if code is None else exit_diagnosis.ending(code)
            return f"{ending} ({one_line(said)[:WORDS_TOLD]})" if said.strip() else ending
        if len(found[0]) != few.ranks or len(set(found[0])) != len(nodes):
            return f"{few.ranks} ranks for {len(nodes)} nodes came up as {len(found[0])} on {len(set(found[0]))}"
        return ""
    return "cannot be started"
