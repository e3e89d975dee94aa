"""Run a user's function over jobs, in ranks inside the engine's program (pvbatch, Blender).

Ranks import this module with the user's script, so its imports at the top are limited to what every pvbatch has.
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
from mpirender.launcher.placement import RankRequest, cores, notes
from mpirender.pool import pickling
from mpirender.pool.messages import Setup, describe
from mpirender.pool.pickling import Main
from mpirender.pool.server import Server
from mpirender.pool.supervisor import PoolSupervisor, stopped
from mpirender.pool.task_queue import JobEnded, Outcome, PoolEvent, PoolWatch, TaskQueue, name_of
from mpirender.run_folder.events import Note
from mpirender.supervisor import preflight
from mpirender.supervisor.retry_policy import RetryPolicy
from mpirender.system import apptainer, signals, slurm
from mpirender.system.signals import StopRequest
from mpirender.system.site import POOL
from mpirender.system.slurm import Allocation

__all__ = ["Outcome", "run"]

Job = TypeVar("Job")
Value = TypeVar("Value")

# The options of a RenderJob that concern programs and hardware, not a scene.
OPTIONS = ("pvbatch", "blender", "mpiexec", "backend", "gpus", "allow_software", "display", "container")
NAMED = 3  # jobs that cannot be sent, in a message


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

    An exception fails only its job. The function runs in a child process of each rank, its renderer: if that crashes
    with a job, another one is started, and the job is tried once more, on another rank if there is one.

    :param function: a function of a module or of the script; it may import ``paraview.simple``, or ``bpy``.
    :param jobs: the arguments of the calls, of any type that can be pickled, like the return values.
    :param engine: ``paraview``, ``blender``, or ``pattern`` for plain Python.
    :param ranks: number of ranks, at most one per job; by default one per core, or as many as the Slurm job has room
        for.
    :param launcher: as for :class:`RenderJob`; ``none`` for processes on this machine that die independently.
    :param max_restarts: how often the ranks are started again after one of them was lost, for example with its node.
    :param timeout: seconds after which a job counts as hung, and its renderer is ended; None for never.
    :param logs: folder for the logs of the ranks (``rank-0000.log``); by default they are deleted.
    :param quiet: show no progress.
    :param watch: called with each outcome.
    :param options: :data:`OPTIONS`, as for :class:`RenderJob`.
    :raises UsageError: with every mistake in the arguments; or a rank cannot load the function.
    :raises ToolMissing: a program is missing, or there is nothing to render with.
    :raises LaunchFailed: the ranks do not start, or die without a job done.
    :raises Interrupted, Stopped: Ctrl-C or another signal ended the pool.
    """
    main, given = Main.of_caller(), list(jobs)
    limits = {"ranks": ranks, "launcher": launcher, "max_restarts": max_restarts, "timeout": timeout}
    programs = checked_programs(function, main, engine, limits, options)
    tasks: TaskQueue[Job, Value] = TaskQueue(given, pack(given), main, RetryPolicy(max_restarts))
    if not given:
        return []
    with contextlib.ExitStack() as stack, signals.on_signals() as stop:
        allocation = None if launcher == "none" else slurm.allocation()
        folder = log_folder(logs, shared=allocation is not None)
        setup = setup_for(function, main, engine, programs, logs=stack.enter_context(folder), timeout=timeout)
        show = stack.enter_context(shown_to(len(given), watch, quiet=quiet))
        run_on_ranks(tasks, limits, setup, allocation, function=function, stop=stop, show=show)
    return tasks.outcomes


def run_on_ranks(
    tasks: TaskQueue[Any, Any], limits: Mapping[str, Any], setup: Setup, allocation: Allocation | None, *,
    function: Callable[..., Any], stop: StopRequest, show: PoolWatch,
) -> None:  # fmt: skip
    """Do all jobs on ranks; the arguments are those of :func:`run` and :class:`PoolSupervisor`."""
    launcher = limits["launcher"]
    ranks = limits["ranks"] or (cores() if launcher == "none" else None)
    request = RankRequest(launcher, ranks and min(ranks, tasks.total), most=tasks.total)
    try:
        plan = launch_plan.make(
            engines.get(setup.engine), setup.programs, request, allocation,
            folders=[*folders_of(function), Path(setup.logs)],
            stop=lambda: stop.requested, note=lambda text: show([Note(text)]),
        )  # fmt: skip
    except ToolMissing:
        if stop.requested:
            raise stopped(stop, tasks) from None
        raise
    for line in notes(plan.placement):
        show([Note(line)])
    with Server(tuple(plan.placement.nodes)) as server:
        pool = PoolSupervisor(tasks, plan, allocation=allocation, server=server, setup=setup)
        pool.run(stop, show)


def checked_programs(
    function: Callable[[Job], Value], main: Main, engine: str, limits: Mapping[str, Any], options: dict[str, Any]
) -> Programs:  # fmt: skip
    """Check the arguments of a pool; return the programs to start, and the hardware to render on."""
    if POOL in os.environ:
        raise UsageError(
            "mpirender.pool.run was called inside a rank, which would start ranks without end; "
            'put the lines of the script that call it under: if __name__ == "__main__":'
        )
    if mistakes := [*function_mistakes(function, main), *option_mistakes(engine, limits, options)]:
        raise UsageError(mistakes)
    programs, launcher = Programs(**options), limits["launcher"]
    problems = [*programs.mistakes(), apptainer.problem(programs.container)]
    problems.append("" if launcher == "none" else preflight.launcher_problem(launcher, os.environ))
    if any(problems):
        raise UsageError(list(filter(None, problems)))
    if missing := preflight.missing_tools(engines.get(engine), programs, launcher):
        raise ToolMissing("\n".join(missing))
    return programs


def function_mistakes(function: Callable[[Job], Value], main: Main) -> Iterator[str]:
    """Yield why ranks could not find the function."""
    named = unwrapped(function)
    name = getattr(named, "__qualname__", type(named).__qualname__)
    if not callable(function):
        yield f"{function!r} is not a function that can be called with a job"
    elif "<" in name:
        yield f"{name}: ranks find a function by its name; define it with def at the top of a module or script"
    elif getattr(named, "__module__", "") == "__main__" and not any(main):
        yield f"{name}: ranks cannot find a function typed into a shell; write it into a file and import it from there"
    else:
        try:
            pickling.dumps(function)
        except Exception as error:
            yield f"{name}: cannot be sent to a rank ({describe(error)})"


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside of partial()."""
    while isinstance(function, partial):
        function = function.func
    return function


def option_mistakes(engine: str, limits: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the options, each by itself."""
    known = list(dict.fromkeys(engines.SUFFIXES.values()))
    if engine not in known:
        yield f"engine {engine!r} must be one of: {', '.join(known)}"
    for name, value in {**limits, **options}.items():
        if name in ("ranks", "launcher", "max_restarts", *OPTIONS):
            yield from FIELDS[name].check(value)[1]
    if (timeout := limits["timeout"]) is not None and not timeout > 0:
        yield f"timeout {timeout:g} must be more than 0 seconds"
    unknown = [name for name in options if name not in OPTIONS]
    yield from (f"{name} is not an option of a pool; its options are: {', '.join(OPTIONS)}" for name in unknown)


def pack(jobs: Sequence[object]) -> list[bytes]:
    """Return each job pickled; raise UsageError if some cannot be."""
    packed, mistakes = [], []
    for number, job in enumerate(jobs):
        try:
            packed.append(pickling.dumps(job))
        except Exception as error:
            mistakes.append(f"{name_of(number, job)} cannot be sent to a rank: {describe(error)}")
    if mistakes:
        more = len(mistakes) - NAMED
        raise UsageError([*mistakes[:NAMED], *([f"and {more} more jobs"] if more > 0 else [])])
    return packed


def setup_for(
    function: Callable[[Job], Value], main: Main, engine: str, programs: Programs, *, logs: str, timeout: float | None
) -> Setup:  # fmt: skip
    """Return the first message to every rank."""
    return Setup(
        engine=engine, programs=programs, function=pickling.dumps(function), main=main,
        module_path=tuple(module_path()), arguments=tuple(sys.argv), folder=str(Path.cwd()), logs=logs,
        timeout=timeout,
    )  # fmt: skip


def module_path() -> Iterator[str]:
    """Yield the folders of this process's modules, without those of its own Python: the ranks have another Python."""
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    libraries |= {library / "lib-dynload" for library in libraries}
    for entry in sys.path:
        path = Path(entry).absolute()
        if path not in libraries and not (path.suffix == ".zip" and path.stem.startswith("python")):
            yield str(path)


def folders_of(function: Callable[..., Any]) -> Iterator[Path]:
    """Yield the current folder, and that of the file that defines a function, if there is one."""
    yield Path.cwd()
    with contextlib.suppress(TypeError, OSError):
        yield Path(inspect.getfile(unwrapped(function))).absolute().parent


@contextlib.contextmanager
def log_folder(asked: str | Path | None, *, shared: bool) -> Iterator[str]:
    """Yield the folder for logs: the folder asked for, or a temporary one; raise LaunchFailed if it cannot be made.

    :param shared: whether other machines must see it, which is unlikely under /tmp; it is then made in the current
        folder.
    """
    with contextlib.ExitStack() as stack:
        try:
            if asked is not None:
                folder = Path(asked).absolute()
                folder.mkdir(parents=True, exist_ok=True)
            else:
                folder = Path(tempfile.mkdtemp(prefix="mpirender-pool-", dir=Path.cwd() if shared else None))
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
        except OSError as error:
            problem = f"{error.filename}: cannot make the folder for logs ({error.strerror})"
            raise LaunchFailed(f"{problem}; name another one with logs=") from None
        yield str(folder)


@contextlib.contextmanager
def shown_to(total: int, watch: Callable[[Outcome[Any, Any]], object], *, quiet: bool) -> Iterator[PoolWatch]:
    """Yield a function for the events of a pool: it shows the progress, and passes outcomes to the user's function."""
    with contextlib.ExitStack() as stack:
        progress_bar: PoolWatch = lambda new: None  # noqa: E731
        if not quiet:
            from mpirender.pool import progress  # imports rich, which a rank may lack

            progress_bar = stack.enter_context(progress.shown(total))

        def show(new: Sequence[PoolEvent]) -> None:
            progress_bar(new)
            for event in new:
                if isinstance(event, JobEnded):
                    watch(event.outcome)

        yield show
