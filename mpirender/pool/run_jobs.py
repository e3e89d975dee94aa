"""The user's own function over jobs, in ranks that live inside the engine's program (pvbatch, Blender).

    from mpirender import pool

    outcomes = pool.run(function, jobs, engine="paraview", ranks=8)

Ranks import this, too, with the script that it is called from: what it imports at the top every pvbatch has.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mpirender import engines
from mpirender.errors import LaunchFailed, ToolMissing, UsageError
from mpirender.job.programs import Programs
from mpirender.job.render_job import OPTIONS as FIELDS
from mpirender.launcher import launch_plan
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.placement import Launcher, Placement, RankRequest, cores
from mpirender.pool import pickling
from mpirender.pool.pickling import Main
from mpirender.pool.server import Exchange
from mpirender.pool.supervisor import Limits, Shift, stopped
from mpirender.pool.task_queue import JobEnded, Outcome, PoolEvent, Work, name_of
from mpirender.pool.worker import Orders, shown
from mpirender.run_folder.events import Note
from mpirender.supervisor import preflight
from mpirender.system import apptainer, signals, slurm
from mpirender.system.signals import StopRequest
from mpirender.system.site import POOL
from mpirender.system.slurm import Allocation

__all__ = ["Outcome", "run"]

Job = TypeVar("Job")
Value = TypeVar("Value")

# What of a RenderJob is about programs and what they render with, not about a scene.
OPTIONS = ("pvbatch", "blender", "mpiexec", "backend", "gpus", "allow_software", "display", "container")
TOLD = 3  # jobs that cannot be sent, by name


def run(
    function: Callable[[Job], Value],
    jobs: Iterable[Job],
    *,
    engine: str = "paraview",
    ranks: int | None = None,
    launcher: str = "auto",
    max_restarts: int = 10,
    timeout: float | None = None,
    logs: str | Path | None = None,
    quiet: bool = False,
    watch: Callable[[Outcome[Job, Value]], object] = lambda outcome: None,
    **options: Any,  # noqa: ANN401
) -> list[Outcome[Job, Value]]:
    """Call a function with every job, in ranks inside the engine's program; return the outcomes in order.

    The ranks are set up to render and take one job after the other. An exception fails only its job. A job at which a
    rank dies is tried once more, on another rank if there is one.

    Args:
        function: of a module, or of the script that is run; in it ``from paraview import simple``, or ``import bpy``.
        jobs: what it is called with, one after the other; anything that can be pickled, as what it returns.
        engine: ``paraview``, ``blender``, or ``pattern`` for plain Python.
        ranks: how many; by default one per core, or what Slurm has room for, and never more than jobs.
        launcher: ``auto``, ``mpiexec`` or ``srun``, as for :class:`RenderJob`; ``none`` for processes on this machine
            that need no launcher, and of which a death costs no other its work.
        max_restarts: how often ranks are started again after one of them has died.
        timeout: seconds after which a job counts as hanging, and its rank as dead; None for never.
        logs: folder in which each rank's log is kept (``rank-0000.log``); by default they are not.
        quiet: show no progress.
        watch: called with each outcome when it is there.
        options: :data:`OPTIONS`, as for :class:`RenderJob`.

    Raises:
        UsageError: something of this makes no sense, with every mistake; or a rank cannot load the function.
        ToolMissing: a program is not there, or there is nothing to render with.
        LaunchFailed: the ranks do not start, or die without a job done.
        Interrupted, Stopped: Ctrl-C or another signal came.
    """
    main, given = Main.of_caller(), list(jobs)
    programs = checked(function, main, engine, options, ranks=ranks, launcher=launcher)
    limits = Limits(max_restarts, timeout)
    work: Work[Job, Value] = Work(given, pack(given), main)
    if not given:
        return []
    request = RankRequest(launcher, ranks and min(ranks, len(given)), most=len(given))
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(signals.on_signals())
        told = told_to(stack, len(given), watch, quiet=quiet)
        allocation = None if launcher == "none" else slurm.allocation()
        folder = stack.enter_context(log_folder(logs, shared=allocation is not None))
        folders = [Path.cwd(), folder, *(file.parent for file in files_of(function))]
        plan = planned(engine, programs, request, allocation, folders=folders, stop=stop, told=told)
        if plan is None:
            raise stopped(stop, work)
        exchange = stack.enter_context(Exchange(tuple(plan.placement.nodes)))
        orders = orders_for(function, main, engine, programs, folder)
        Shift(work, plan, allocation, exchange=exchange, orders=orders, limits=limits).work_until_done(stop, told)
    return work.outcomes


def checked(
    function: Callable[[Job], Value], main: Main, engine: str, options: dict[str, Any], *,
    ranks: int | None, launcher: str,
) -> Programs:  # fmt: skip
    """Return the programs to start, and what to render with.

    Raises:
        UsageError: with every mistake of what was asked for.
        ToolMissing: a program is not found.
    """
    if POOL in os.environ:
        raise UsageError(
            "mpirender.pool.run was called in a rank, which would start ranks without end; "
            'put the lines of the script that start it under: if __name__ == "__main__":'
        )
    mistakes = [*of_function(function, main), *of_options(engine, ranks, launcher, options)]
    if mistakes:
        raise UsageError(mistakes)
    programs = Programs(**options)
    problems = list(programs.mistakes())
    problems += filter(None, [apptainer.problem(programs.container)])
    if launcher != "none":
        problems += filter(None, [preflight.launcher_problem(launcher, os.environ)])
    if problems:
        raise UsageError(problems)
    missing = preflight.missing_tools(engines.get(engine), programs, launcher)
    if missing:
        raise ToolMissing("\n".join(missing))
    return programs


def of_function(function: Callable[[Job], Value], main: Main) -> Iterator[str]:
    """Yield why ranks would not find a function."""
    named = unwrapped(function)
    name = getattr(named, "__qualname__", type(named).__qualname__)
    if not callable(function):
        yield f"{function!r} is no function that could be called with a job"
    elif "<" in name:
        yield f"{name}: ranks find a function by its name; define it with def at the top of a module or script"
    elif getattr(named, "__module__", "") == "__main__" and not any(main):
        yield f"{name}: ranks cannot find what was typed into a shell; write it into a file, and import it from there"
    else:
        try:
            pickling.dumps(function)
        except Exception as error:
            yield f"{name}: cannot be sent to a rank ({shown(error)})"


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of which this is a part with some arguments given."""
    while isinstance(function, partial):
        function = function.func
    return function


def of_options(engine: str, ranks: int | None, launcher: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the options by themselves."""
    known = list(dict.fromkeys(engines.SUFFIXES.values()))
    if engine not in known:
        yield f"engine {engine!r} must be one of: {', '.join(known)}"
    given = {"ranks": ranks, "launcher": launcher, **options}
    for name in ("ranks", "launcher", *OPTIONS):
        if name in given:
            yield from FIELDS[name].check(given[name])[1]
    for name in options:
        if name not in OPTIONS:
            yield f"{name} is no option of a pool; there are: {', '.join(OPTIONS)}"


def pack(jobs: Sequence[object]) -> list[bytes]:
    """Return each job pickled.

    Raises:
        UsageError: some cannot be.
    """
    packed, mistakes = [], []
    for number, job in enumerate(jobs):
        try:
            packed.append(pickling.dumps(job))
        except Exception as error:
            mistakes.append(f"{name_of(number, job)} cannot be sent to a rank: {shown(error)}")
    if mistakes:
        more = len(mistakes) - TOLD
        raise UsageError([*mistakes[:TOLD], *([f"and {more} jobs more"] if more > 0 else [])])
    return packed


def planned(
    engine: str, programs: Programs, request: RankRequest, allocation: Allocation | None, *,
    folders: Iterable[Path], stop: StopRequest, told: Callable[[Sequence[PoolEvent]], None],
) -> LaunchPlan | None:  # fmt: skip
    """Plan the launch of the ranks; return None if it is to stop before the plan is made.

    Raises:
        ToolMissing: a program is not found, or no launcher starts ranks that see each other.
    """
    if request.launcher == "none":
        count = min(request.ranks or cores(), request.most)
        placement = Placement(count, max(cores() // count, 1), Launcher("none"))
        return LaunchPlan.of(engines.get(engine), programs, placement, folders)
    try:
        return launch_plan.make(
            engines.get(engine), programs, request, allocation, folders=folders,
            stop=lambda: stop.requested, note=lambda text: told([Note(text)]),
        )  # fmt: skip
    except ToolMissing:
        if stop.requested:
            return None
        raise


def orders_for(
    function: Callable[[Job], Value], main: Main, engine: str, programs: Programs, folder: Path
) -> Orders:  # fmt: skip
    """Return what every rank is told first."""
    return Orders(
        engine=engine, programs=programs, function=pickling.dumps(function), main=main, path=tuple(search_path()),
        words=tuple(sys.argv), folder=str(Path.cwd()), logs=str(folder),
    )  # fmt: skip


def search_path() -> Iterator[str]:
    """Yield where this process finds modules, but for those of its own Python: the rank has another."""
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    libraries |= {library / "lib-dynload" for library in libraries}
    for entry in sys.path:
        path = Path(entry).absolute()
        if path not in libraries and not (path.suffix == ".zip" and path.stem.startswith("python")):
            yield str(path)


def files_of(function: Callable[..., Any]) -> list[Path]:
    """Return the file that holds a function, if there is one."""
    with contextlib.suppress(TypeError, OSError):
        return [Path(inspect.getfile(unwrapped(function))).absolute()]
    return []


@contextlib.contextmanager
def log_folder(asked: str | Path | None, *, shared: bool) -> Iterator[Path]:
    """Give the folder for logs: the one that was asked for, or one for the time of the block.

    Args:
        shared: whether it must be where other machines see it, which of a temporary folder is not likely.

    Raises:
        LaunchFailed: nothing can be written there.
    """
    try:
        if asked is not None:
            folder = Path(asked).absolute()
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = Path(tempfile.mkdtemp(prefix="mpirender-pool-", dir=Path.cwd() if shared else None))
    except OSError as error:
        raise LaunchFailed(f"{error.filename}: no folder for logs ({error.strerror}); name one with logs=") from None
    try:
        yield folder
    finally:
        if asked is None:
            shutil.rmtree(folder, ignore_errors=True)


def told_to(
    stack: contextlib.ExitStack, total: int, watch: Callable[[Outcome[Any, Any]], object], *, quiet: bool
) -> Callable[[Sequence[PoolEvent]], None]:
    """Return what is to be called with what happens: it shows the progress, and calls the user's own function."""
    board: Callable[[Sequence[PoolEvent]], None] = lambda new: None  # noqa: E731
    if not quiet:
        from mpirender.pool import progress  # with rich, which a rank may lack

        board = stack.enter_context(progress.shown(total))

    def told(new: Sequence[PoolEvent]) -> None:
        board(new)
        for event in new:
            if isinstance(event, JobEnded):
                watch(event.outcome)

    return told
