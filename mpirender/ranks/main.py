"""The program that mpiexec starts: what every rank runs, from top to bottom.

    mpiexec -n 8 pvbatch --no-mpi -m mpirender.ranks orbit_renders/.mpirender/job.json

Rank 0 reads the scene and finds the complete images, and broadcasts both; every rank renders its own frames; a gather
checks that every frame is present and intact; then the movies are made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Union

from mpirender import engines
from mpirender.engines.base import BackendDevice, Scene
from mpirender.errors import MpirenderError, NoSpace, UsageError, one_line, out_of_space
from mpirender.job import frames as framesets
from mpirender.job import paths
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.movie import ffmpeg
from mpirender.ranks import (
    backends,
    color_range_survey,
    dynamic_schedule,
    gather,
    gpu_assignment,
    groups,
    mpi,
    order_trial,
    renderer_process,
    resume,
    retries,
    same_scene,
    watch,
)  # fmt: skip
from mpirender.ranks.data_record import DataRecord
from mpirender.ranks.frame_renderer import FrameRenderer
from mpirender.ranks.groups import GroupRenderer
from mpirender.ranks.layout import RankLayout
from mpirender.ranks.log import log_of_rank, path_of
from mpirender.ranks.remote_scene import SceneRenderer
from mpirender.ranks.renderer import RENDERER
from mpirender.ranks.renderer_process import SceneProcess
from mpirender.run_folder import events
from mpirender.run_folder.event_values import Process
from mpirender.run_folder.events import ImageOutcome, Plan
from mpirender.run_folder.journal import Journal, Tail
from mpirender.run_folder.restart_plan import RestartPlan
from mpirender.system import files, host, signals
from mpirender.system.comm import Comm, same_node

PATHS = re.compile(r"/[^\s'\":,()]+")
SceneSource = Union[SceneRenderer, GroupRenderer]
Files = list[tuple[str, int, int]]  # name, bytes and modification time (ns) of each


def main() -> None:
    """Run this rank; on an error print one line and abort all ranks."""
    if sys.argv[1:2] == [mpi.HELLO]:
        mpi.print_hosts(sys.argv[2:])
    if sys.argv[1:2] == [RENDERER]:
        memory, channel = map(int, sys.argv[2:])
        renderer_process.run(channel, SceneProcess(memory))
    if len(sys.argv) not in (2, 4, 5) or sys.argv[1].startswith("-"):
        sys.exit("usage: mpiexec -n RANKS pvbatch --no-mpi -m mpirender.ranks OUTPUT/.mpirender/job.json")
    renderer = SceneRenderer()  # it must not inherit anything of MPI
    job_file, (run_id, digest, *engine) = Path(sys.argv[1]), sys.argv[2:] or ("", "")
    if engine:
        renderer.warm_up(*engine)  # while MPI starts
    world = mpi.start_mpi()
    try:
        mpi.check_world(world)
        job = world.bcast(read_job(job_file, digest) if world.rank == 0 else None, root=0)
        layout = RankLayout.of(world, job.ranks_per_frame)
        with log_of_rank(job.folder, layout.name), watch.watching(world, job.folder, run_id, job.spot_notices):
            if layout.group is not None:
                renderer.close()
                engines.for_scene(job.scene).split_into_groups(layout.part, layout.group.rank)
            if layout.follows:
                follow(layout, job)
            else:
                run(layout, job, run_id, renderer)
    except BaseException as error:  # the other ranks must not wait for this one
        mpi.abort_all(world, NoSpace(job_file.parent.parent) if out_of_space(error) else error)
    mpi.finalize(world, 0)


def run(layout: RankLayout, job: RenderJob, run_id: str, renderer: SceneRenderer) -> None:
    """Render this rank's share of the frames and make the movies, together with the other ranks."""
    comm = layout.comm
    with contextlib.ExitStack() as stack:
        plan, heartbeat = restart_plan(comm, job, run_id, stack)
        log = stack.enter_context(Journal(job.folder, comm.rank, socket.gethostname()))
        stop = stack.enter_context(signals.on_signals(lambda name: log.write(events.Stop(name)), at_once=True))
        followers = groups.followers(layout.group, layout.world)
        log.write(events.Start(plan.run, plan.launch, comm.size, os.getpid(), layout.world.rank, host.age(), followers))
        stack.enter_context(recorded(log, job))

        def go_on() -> bool:
            heartbeat()
            return not stop.requested

        source = scene_source(layout, job, log, renderer)
        content, data = broadcast_scene(layout.world, source)
        log.write(events.Phase("backend"))
        device = stack.enter_context(backends.chosen(layout.world, engines.for_scene(job.scene), job.programs))
        log.write(events.Phase("load"))
        scene = source.open_scene(content, same_node(layout.world))
        log.write(opened(scene, device, followers))
        check_opened(comm, log, job, scene, device)
        renderers, always, data = common(layout, scene, data)
        images = comm.bcast(resume.requested(job, scene) if comm.rank == 0 else None, root=0)
        journals = Tail(job.folder, from_start=True)
        past = journals.read() if comm.rank == 0 else []
        record = DataRecord(log, past)
        parts = resume.identity(job, content, always, "; ".join(renderers))
        order = order_trial.keep_order(comm, log, scene, job, data, alike=len(renderers) == 1, past=past, parts=parts)
        parts["survey"] = color_range_survey.survey(comm, log, scene, images, past=past, key=[parts, data], go_on=go_on)
        fingerprint, now = resume.fingerprint(parts), resume.sampled(job, images)
        other_data = resume.of_other_data(comm, past, images, fingerprint, record)
        done = resume.completed(comm, job, images, past, fingerprint, other_data=other_data)
        if comm.rank == 0:
            outdated = [resume.outdated(job, past, images, fingerprint, parts), resume.changed(other_data)]
            notes = [*order, *(outdated if plan.launch == 1 else ()), resume.different_renderers(renderers)]
            notes += [*source.inspection_warnings(content, scene.version), *scene.warnings]
            work = work_of(job, images, done, fingerprint, parts)
            log.write(replace(work, warnings=tuple(filter(None, notes)), skipped=journals.skipped))
        left = [image for image in now if image not in done and image not in plan.set_aside]
        frames = FrameRenderer(log, scene, job, fingerprint, suspects=plan.suspects, data=record)
        outcomes = render_all(layout, order_trial.schedule(job, parts), left, frames, source, go_on=go_on)
        scene.finish()
        source.close()
        if comm.rank == 0:
            outcomes.update({**done, **frames.fail(plan.set_aside)})
        log.write(events.Phase("gather"))
        gather.finish(comm, log, job, now, outcomes, data=record, stopped=stop.name, sources=frames.sources)
        log.write(events.Phase("end"))


def scene_source(layout: RankLayout, job: RenderJob, log: Journal, renderer: SceneRenderer) -> SceneSource:
    """Return what opens the scene: the renderer of this rank, or the ranks of its group together."""
    if layout.group is not None:
        return GroupRenderer(layout.group, job)
    renderer.take_job(job, log, path_of(job.folder, layout.name))
    return renderer


def render_all(
    layout: RankLayout,
    schedule: str,
    images: Sequence[Image],
    frames: FrameRenderer,
    source: SceneSource,
    *,
    go_on: Callable[[], bool],
) -> dict[Image, ImageOutcome]:
    """Render this rank's share of the images, then those that failed on other ranks; return the outcome of each."""
    frames.log.write(events.Phase("render"))
    with dynamic_schedule.share(layout, images, frames.suspects, schedule) as mine:

        def meanwhile() -> float:
            go_on()
            return mine.answer()

        frames.duties, frames.leave = meanwhile, mine.leave
        source.duties = meanwhile
        outcomes = frames.render(mine.images, go_on)
    for attempt in itertools.count(1):
        again, goes_on = retries.next_round(layout.comm, outcomes, attempt, fit=frames.fit)
        if not goes_on:
            return outcomes
        outcomes.update(frames.render(again, go_on, attempt + 1))
    raise AssertionError


def follow(layout: RankLayout, job: RenderJob) -> None:
    """Render frames together with the leader of this rank's group, until the leader has no more."""
    assert layout.group is not None
    signals.ignore_signals()  # the leaders handle them
    groups.followers(layout.group, layout.world)
    engine = engines.for_scene(job.scene)
    content, _ = broadcast_scene(layout.world, None)
    with backends.chosen(layout.world, engine, job.programs) as device:
        scene = engine.open_scene(content, job, layout.group, same_node(layout.world).rank)
        gpu_assignment.check(device, scene.renderer, job.programs)
        agreed(layout.world, scene)
        groups.follow(scene, layout.group)


def agreed(world: Comm, scene: Scene) -> tuple[list[str], bool]:
    """Return the descriptions of the renderers of all ranks, and whether all observe what their images depend on."""
    descriptions, observe = zip(*world.allgather((scene.description, scene.observes)))
    return sorted(set(descriptions)), all(observe)


def common(layout: RankLayout, scene: Scene, data: Files) -> tuple[list[str], Files, Files]:
    """Return the renderers of all ranks, the files on which all images depend, and all data files.

    :param data: the data files that are known without opening the scene.
    """
    comm = layout.comm
    renderers, observe = agreed(layout.world, scene)
    found = (files_of(scene.files), [*data, *files_of(scene.data)]) if comm.rank == 0 else None
    always, every = comm.bcast(found, root=0)
    return renderers, always if observe else [*always, *every], every


def opened(scene: Scene, device: BackendDevice | None, followers: Sequence[Process]) -> events.Opened:
    """Return the record of this rank after it has opened the scene: host resources, backend, device and renderer."""
    return events.Opened(
        description=scene.description,
        hosts=tuple(follower.host for follower in followers),
        backend="" if device is None else device.backend,
        device=None if device is None else device.device,
        node_memory=host.memory(),
        cores=host.cores(),
        threads=host.threads(),
        renderer=scene.renderer,
    )


@contextlib.contextmanager
def recorded(log: Journal, job: RenderJob) -> Iterator[None]:
    """Record that this rank is alive, and an error that ends it, from which the supervisor makes its own."""
    try:
        with log.beating():
            yield
    except (MpirenderError, OSError) as error:
        known = NoSpace(job.output) if out_of_space(error) else error
        if isinstance(known, MpirenderError):
            with contextlib.suppress(OSError):  # a full disk; the error is printed as well
                log.write(events.Error(known.exit_code, type(known).__name__, known.message))
        raise


def restart_plan(
    comm: Comm, job: RenderJob, run_id: str, stack: contextlib.ExitStack
) -> tuple[RestartPlan, Callable[[], None]]:
    """Return the restart plan, and the function to call between images.

    Without a supervisor, rank 0 takes the lock of the folder itself; the function is the lock's heartbeat.
    """
    heartbeat: Callable[[], None] = lambda: None  # noqa: E731
    plan = None
    if comm.rank == 0 and run_id:
        plan = RestartPlan.read(job.folder, run_id)
    elif comm.rank == 0:
        from mpirender.run_folder import lock

        plan = RestartPlan(uuid.uuid4().hex[:12])
        heartbeat = stack.enter_context(lock.held(job.folder, plan.run)).beat
    return comm.bcast(plan, root=0), heartbeat


def read_job(job_file: Path, digest: str = "") -> RenderJob:
    """Read the job file; a UsageError says that it cannot be read, or that another version of mpirender wrote it.

    :param digest: of the file that the supervisor wrote, empty for any: whoever can write into the folder could
        exchange the file, and so let this user run another scene.
    """
    try:
        content = files.content(job_file)
        if digest and files.digest(content) != digest:
            raise UsageError(f"{job_file}: exchanged since this run wrote it; use a folder that only you can write to")
        return RenderJob.from_json(content.decode())
    except OSError as error:
        raise UsageError(f"{job_file}: {error.strerror}; mpirender render writes this file") from None
    except (TypeError, KeyError, ValueError) as error:
        raise UsageError(
            f"{job_file}: written by another version of mpirender ({one_line(str(error))}); "
            "the container must hold the same version as the host"
        ) from None


def broadcast_scene(world: Comm, source: SceneSource | None) -> tuple[bytes, Files]:
    """Read the scene on rank 0; return on every rank the scene as it is loaded, and the files that it reads."""
    read = None
    if world.rank == 0 and source is not None:
        content, found = source.prepare()
        read = content, files_of(found)
    mpi.wait_for_all(world)  # MPI's own waiting would take the core on which a renderer imports its modules
    content, data = world.bcast(read, root=0)
    return content, data


def files_of(paths: Sequence[Path]) -> Files:
    """Return name, size in bytes and modification time in ns of files; a file that is gone has none."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            state = path.stat()
            found.append((str(path), state.st_size, state.st_mtime_ns))
    return found


def check_opened(comm: Comm, log: Journal, job: RenderJob, scene: Scene, device: BackendDevice | None) -> None:
    """Refuse a renderer on another device than asked for, or a scene that differs from that of other ranks.

    A scene with errors of loading is refused, too, unless the job keeps such frames: each would fail, hours later. So
    is an ffmpeg without the encoder: that of the ranks may be another than the supervisor's.
    """
    if comm.rank == 0 and job.movie != "none":
        ffmpeg.check(job.movie_codec)
    gpu_assignment.check(device, scene.renderer, job.programs)
    for error in scene.errors:
        log.write(events.Complaint(error))
    if scene.errors and job.on_error == "fail":
        of_data = any(name != str(job.scene) and paths.exists(name) for name in PATHS.findall(scene.errors[0]))
        fix = f"{'restore the data' if of_data else 'fix the scene'}, or render it nevertheless with --on-error warn"
        raise UsageError(f"{job.scene.name}: error while loading: {scene.errors[0]} ({fix})")
    scene.warnings = [*scene.warnings, *same_scene.check(comm, job, scene.contents)]


def work_of(
    job: RenderJob, images: Sequence[Image], done: Collection[Image], fingerprint: str, parts: Mapping[str, Any]
) -> Plan:  # fmt: skip
    """Return the record of the work, without warnings."""
    frames, left = framesets.text(image.frame for image in images), [image for image in images if image not in done]
    outputs, left_of = tuple(output.name for output in job.outputs), Counter(image.output for image in left)
    return Plan(frames, outputs, len(images), len(left), left_of, fingerprint=fingerprint, parts=dict(parts))
