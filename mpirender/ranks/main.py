"""The program that mpiexec starts: what every rank runs, top to bottom.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.ranks orbit_renders/.mpirender/job.json

Rank 0 reads the scene and what is already complete, and broadcasts both; every rank renders its own frames; a gather
checks that every frame is there and whole; then the movies are made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpirender import engines
from mpirender.errors import (
    MpirenderError,
    NoSpace,
    UsageError,
    one_line,
    out_of_space,
)
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks import backends, color_range_survey, dynamic_schedule, gather, groups, hello, resume, roster
from mpirender.ranks.dynamic_schedule import Crew
from mpirender.ranks.frame_renderer import Painter
from mpirender.ranks.groups import LedScene
from mpirender.ranks.image_writer import Writer
from mpirender.ranks.log import log_of_rank
from mpirender.ranks.mpi import check_world, end_all, enter, leave, wait_for_all
from mpirender.run_folder import events, lock
from mpirender.run_folder.events import ImageOutcome, Plan
from mpirender.run_folder.journal import Journal, Tail
from mpirender.run_folder.restart_plan import RestartPlan
from mpirender.system import signals
from mpirender.system.comm import Comm, same_node


def main() -> None:
    """Run this rank; on an error say it in one line and end all ranks."""
    if sys.argv[1:] == [hello.HELLO]:
        hello.main()
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit("usage: mpiexec -n RANKS pvbatch --no-mpi -m mpirender.ranks OUTPUT/.mpirender/job.json")
    writer = Writer()  # before MPI: of that it must have nothing
    world, job_file, run_id = enter(), Path(sys.argv[1]), "".join(sys.argv[2:])
    try:
        check_world(world)
        job = world.bcast(read_job(job_file) if world.rank == 0 else None, root=0)
        crew = Crew.of(world, job.schedule, job.ranks_per_frame)
        with log_of_rank(job.folder, crew.name):
            if crew.group is not None:
                engines.for_scene(job.scene).split_into_groups(crew.part, crew.group.rank)
            if crew.at_desk or crew.follows:
                writer.close()
            if crew.at_desk:
                dynamic_schedule.serve(world, crew.part)
            elif crew.follows:
                follow(crew, job)
            else:
                run(crew, job, run_id, writer)
                writer.close()
    except BaseException as error:  # whatever it is: the other ranks must not wait for this one
        end_all(world, NoSpace(job_file.parent.parent) if out_of_space(error) else error)
    leave(world, 0)


def run(crew: Crew, job: RenderJob, run_id: str, writer: Writer) -> None:
    """Render this rank's share and make the movies, together with the other ranks."""
    comm = crew.comm
    with contextlib.ExitStack() as stack:
        orders, beat = take_orders(comm, job, run_id, stack)
        log = stack.enter_context(Journal(job.folder, comm.rank, socket.gethostname()))
        heard = signals.on_signals(lambda name: log.write(events.Stop(name)), at_once=True)
        stop = stack.enter_context(heard)
        followers = groups.members(crew.group, crew.world)
        log.write(events.Start(orders.run, orders.launch, comm.size, os.getpid(), crew.world.rank, age(), followers))
        stack.enter_context(recorded(log, job))

        def go_on() -> bool:
            beat()
            return not stop.requested

        engine = engines.for_scene(job.scene)
        content, data = crew.everyone.bcast(read_scene(engine, job) if comm.rank == 0 else None, root=0)
        log.write(events.Phase("backend"))
        ability = stack.enter_context(backends.chosen(crew.everyone, engine, job.programs))
        log.write(events.Phase("load"))
        scene = opened(crew, engine, content, job, stack)
        log.write(roster.entry(scene, ability, followers))
        backends.check(ability, scene.renderer, job.programs)
        check_complaints(log, job, scene)
        with_what = sorted(set(crew.everyone.allgather(scene.description)))
        images = comm.bcast(resume.wanted(job, scene) if comm.rank == 0 else None, root=0)
        journals = Tail(job.folder, from_start=True)
        past = journals.read() if comm.rank == 0 else []
        data += comm.bcast(files_of(scene.files) if comm.rank == 0 else None, root=0)
        parts = resume.identity(job, content, data, "; ".join(with_what))
        parts["survey"] = color_range_survey.settle(comm, log, scene, images, past=past, about=parts, go_on=go_on)
        mark = resume.fingerprint(parts)
        done = resume.completed(comm, job, images, past, mark)
        if comm.rank == 0:
            stale = resume.stale(job, past, images, mark, parts) if orders.launch == 1 else ""
            notes = filter(None, [stale, resume.mixed(with_what)])
            warnings = [*notes, *engine.inspect(content, job, scene.version).warnings, *scene.warnings]
            planned = plan(job, images, done, mark, parts)
            log.write(replace(planned, warnings=tuple(warnings), skipped=journals.skipped))
        left = [image for image in images if image not in done and image not in orders.set_aside]
        painter = Painter(log, scene, job, mark, writer, suspects=orders.suspects)
        log.write(events.Phase("render"))
        with dynamic_schedule.share(crew, left, orders.suspects, job.schedule) as mine:
            outcomes = painter.render(mine, go_on)
        again = second_chance(comm, outcomes)
        outcomes.update(painter.render(again, go_on, attempt=2))
        if comm.rank == 0:
            outcomes.update({**done, **painter.fail(orders.set_aside)})
        log.write(events.Phase("gather"))
        gather.assemble(comm, log, job, images, outcomes, stopped=stop.name)
        log.write(events.Phase("end"))


def follow(crew: Crew, job: RenderJob) -> None:
    """Render frames together with the leader of this rank's group, until that has nothing more."""
    assert crew.group is not None
    signals.ignore_signals()  # the leaders hear of signals
    groups.members(crew.group, crew.world)
    engine = engines.for_scene(job.scene)
    content, _ = crew.everyone.bcast(None, root=0)
    with backends.chosen(crew.everyone, engine, job.programs) as ability:
        scene = engine.open_scene(content, job, crew.group, same_node(crew.everyone).rank)
        backends.check(ability, scene.renderer, job.programs)
        crew.everyone.allgather(scene.description)
        groups.follow(scene, crew.group)


def opened(
    crew: Crew, engine: engines.Engine, content: bytes, job: RenderJob, stack: contextlib.ExitStack
) -> engines.Scene:
    """Open the scene on a rank that takes up frames; those of its group wait for it until the stack ends."""
    scene = engine.open_scene(content, job, crew.group, same_node(crew.everyone).rank)
    if crew.group is None:
        return scene
    led = LedScene(scene, crew.group)
    stack.callback(led.dismiss)
    return led


@contextlib.contextmanager
def recorded(log: Journal, job: RenderJob) -> Iterator[None]:
    """Record an error that ends this rank, from which the supervisor makes its own."""
    try:
        yield
    except (MpirenderError, OSError) as error:
        known = NoSpace(job.output) if out_of_space(error) else error
        if isinstance(known, MpirenderError):
            with contextlib.suppress(OSError):  # a full disk; the error is printed as well
                log.write(events.Error(known.exit_code, type(known).__name__, known.message))
        raise


def take_orders(
    comm: Comm,
    job: RenderJob,
    run_id: str,
    stack: contextlib.ExitStack,
) -> tuple[RestartPlan, Callable[[], None]]:
    """Return what the supervisor wants, and what to call between images.

    Without a supervisor rank 0 takes the lock of the folder itself, and keeps it fresh between its images.
    """
    beat: Callable[[], None] = lambda: None  # noqa: E731
    orders = None
    if comm.rank == 0 and run_id:
        orders = RestartPlan.read(job.folder, run_id)
    elif comm.rank == 0:
        orders = RestartPlan(uuid.uuid4().hex[:12])
        beat = stack.enter_context(lock.held(job.folder, orders.run)).beat
    return comm.bcast(orders, root=0), beat


def second_chance(comm: Comm, outcomes: Mapping[Image, ImageOutcome]) -> list[Image]:
    """Return the images to try again here: those that failed on another rank, dealt out to the ranks behind it."""
    wait_for_all(comm)
    failed = [image for image, outcome in outcomes.items() if isinstance(outcome, events.Fail)]
    mine: list[Image] = []
    for rank, part in enumerate(comm.allgather(failed)):
        behind = [(rank + step) % comm.size for step in range(1, comm.size)] or [rank]
        mine += [image for image, chosen in zip(part, itertools.cycle(behind)) if chosen == comm.rank]
    return mine


def read_job(job_file: Path) -> RenderJob:
    """Return the job.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return RenderJob.from_json(job_file.read_text())
    except OSError as error:
        raise UsageError(f"{job_file}: {error.strerror}; mpirender render writes this file") from None
    except (TypeError, KeyError, ValueError) as error:
        raise UsageError(
            f"{job_file}: written by another version of mpirender ({one_line(str(error))}); "
            "a container must hold the one that is outside"
        ) from None


def age() -> float:
    """Return the seconds since this process was started; field 22 of proc_pid_stat(5), in ticks since the boot."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def read_scene(engine: engines.Engine, job: RenderJob) -> tuple[bytes, list[tuple[str, int, int]]]:
    """Read the scene on rank 0; return it as the ranks load it, and name, bytes and time of the files it reads."""
    content, files = engine.prepare(job.scene.read_bytes(), job)
    return content, files_of(files)


def files_of(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Return name, bytes and time of files."""
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def check_complaints(log: Journal, job: RenderJob, scene: engines.Scene) -> None:
    """Refuse a scene during whose loading the engine reported an error, unless the job keeps such frames.

    It is told before hours are spent on frames that would fail one by one.

    Raises:
        UsageError: with the first error.
    """
    for complaint in scene.errors:
        log.write(events.Complaint(complaint))
    if scene.errors and job.on_error == "fail":
        raise UsageError(
            f"{job.scene.name}: error while loading: {scene.errors[0]} "
            "(mend the scene, or render it all the same with --on-error warn)"
        )


def plan(
    job: RenderJob, images: Sequence[Image], done: Collection[Image], mark: str, parts: Mapping[str, Any]
) -> Plan:  # fmt: skip
    """Return what is recorded of the work before it starts, without warnings."""
    return Plan(
        frames=framesets.text(image.frame for image in images),
        outputs=tuple(output.name for output in job.outputs),
        total=len(images),
        left=len(images) - len(done),
        left_of=Counter(image.output for image in images if image not in done),
        fingerprint=mark,
        parts=dict(parts),
    )
