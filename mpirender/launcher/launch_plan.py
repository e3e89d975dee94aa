"""The launch plan: everything needed to start the ranks, made once for a run, a pool or a dry run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mpirender import engines
from mpirender.engines.base import Engine, Inspection
from mpirender.errors import LaunchFailed, ToolMissing
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line, probe
from mpirender.launcher.environment import environment_of
from mpirender.launcher.placement import Launcher, Placement, RankRequest, in_allocation, on_this_host
from mpirender.system import apptainer, slurm
from mpirender.system.slurm import Allocation


@dataclass(frozen=True)
class LaunchPlan:
    """How the ranks are started."""

    engine: Engine  # the engine that renders
    program: tuple[str, ...]  # words that run the engine's program (``pvbatch --no-mpi``), inside a container if any
    placement: Placement  # where the ranks run, and the launcher
    environment: Mapping[str, str]  # variables to add for the ranks

    @classmethod
    def of(cls, engine: Engine, programs: Programs, placement: Placement, folders: Iterable[Path] = ()) -> LaunchPlan:
        """Return the plan for a placement; raise ToolMissing if the engine's program is not found.

        :param folders: folders that the ranks must see if they run in a container.
        """
        program = [*apptainer.words(programs.container, folders), *engine.command(programs)]
        return cls(engine, tuple(program), placement, environment_of(placement, contained=bool(programs.container)))

    def command(self, *words: str) -> list[str]:
        """Return the command line that starts the program on all ranks, with these words after it."""
        return [*command_line.start(self.placement), *self.program, *words]


def of_job(
    job: RenderJob,
    inspection: Inspection,
    images: int,
    *,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], object] = lambda text: None,
) -> LaunchPlan:
    """Plan the launch of a job's ranks; the arguments and errors are those of :func:`make`."""
    folders = {Path(file.path).parent for file in inspection.data_files if file.found}
    folders |= {job.scene.parent, job.output}
    # A container cannot have been given a folder that is not there yet.
    shared = job.output if job.output.is_dir() or not job.programs.container else None
    engine, request = engines.for_scene(job.scene), RankRequest.of(job, images)
    return make(engine, job.programs, request, slurm.allocation(), folders=folders, shared=shared, stop=stop, note=note)


def make(
    engine: Engine,
    programs: Programs,
    request: RankRequest,
    allocation: Allocation | None,
    *,
    folders: Iterable[Path] = (),
    shared: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    note: Callable[[str], object] = lambda text: None,
) -> LaunchPlan:
    """Plan the launch of ranks; in an allocation the launcher is the first one that passes a probe.

    :param folders: folders that the ranks must see if they run in a container.
    :param shared: the output folder, which all nodes must see.
    :param stop: called often; when it returns True, the probe is ended.
    :param note: called with a message when mpiexec is installed but does not work here.
    :raises UsageError: a single frame needs more ranks than the allocation has room for, or a node does not see the
        folder.
    :raises ToolMissing: a program is not found, or no launcher starts ranks that see each other.
    """
    if allocation is None or request.launcher == "none":
        placement = on_this_host(request)
        if placement.launcher.name == "mpiexec":
            placement = replace(placement, launcher=Launcher(path=command_line.mpiexec(engine, programs)))
        return LaunchPlan.of(engine, programs, placement, folders)
    plan = LaunchPlan.of(engine, programs, in_allocation(request, allocation), folders)
    problems: list[str] = []
    for launcher in launchers(engine, programs, request.launcher):
        if stop():
            break
        placement = replace(plan.placement, launcher=launcher)
        problem = probe.problem_of(plan.program, placement, stop, shared)
        if not problem:
            if launcher.name == "srun" and problems and problems[0].startswith("mpiexec"):
                note(f"{problems[0]}; using {launcher} instead")
            return replace(plan, placement=placement)
        problems.append(f"{launcher}: {problem}")
    raise ToolMissing(
        f"no launcher starts ranks that see each other on {allocation.node_list}; load the MPI that pvbatch was built "
        f"with, or name its mpiexec with --mpiexec. Tried: {'; '.join(problems)}"
    )


def launchers(engine: Engine, programs: Programs, wanted: str) -> Iterator[Launcher]:
    """Yield the launchers to try in an allocation, the most likely first."""
    if wanted in ("auto", "mpiexec"):
        with contextlib.suppress(ToolMissing):
            yield Launcher(path=command_line.mpiexec(engine, programs))
    if wanted in ("auto", "srun"):
        yield from (Launcher("srun", "srun", plugin) for plugin in ["", *slurm.mpi_plugins()])


def without(plan: LaunchPlan, nodes: Collection[str]) -> LaunchPlan:
    """Return the plan without some of its nodes."""
    left = [node for node in plan.placement.nodes if node not in nodes]
    return replace(plan, placement=plan.placement.on(left))


def on_responding_nodes(
    plan: LaunchPlan, allocation: Allocation | None, stop: Callable[[], bool]
) -> tuple[LaunchPlan, tuple[str, ...]]:
    """Return the plan without the nodes of the allocation that no longer respond, and these nodes.

    When ``stop``, called often, returns True, the plan is returned unchanged.

    :raises LaunchFailed: the remaining ranks are too few for a frame.
    """
    placement = plan.placement
    if allocation is None or len(placement.nodes) < 2:
        return plan, ()
    try:
        left = slurm.nodes_left(allocation.job)
        here = slurm.responding_nodes([node for node in placement.nodes if node in left], stop)
    except LaunchFailed:  # Slurm's controller does not respond: the nodes may well be all right
        return plan, ()
    if not here or stop():
        return plan, ()
    kept = placement.on(here)
    if not kept.ranks:
        lost = ", ".join(node for node in placement.nodes if node not in here)
        raise LaunchFailed(
            f"{lost} no longer respond; the remaining {kept.spare} ranks are too few for --ranks-per-frame "
            f"{placement.group}; submit the job again to continue"
        )
    return replace(plan, placement=kept), tuple(node for node in placement.nodes if node not in kept.nodes)
