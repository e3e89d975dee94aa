"""The order trial: find out, before rendering, whether a frame's picture depends on the frames before it.

SaveAnimation renders all frames one after the other, a rank only its own. Usually that makes no difference. But a
script may count frames, a filter that draws random numbers draws others each time that its data change, and a clipping
range may depend on the frame before. No list of such things would be complete, so a few ranks render the same frames,
each after other ones, and compare the pictures. If they differ, they do so again, and render the frame before first. If
the pictures still differ, ranks compute all frames before in their order, to see whether that gives equal pictures.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mpirender.engines.base import ALL_BEFORE, PREVIOUS, Scene
from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from mpirender.ranks import mpi
from mpirender.run_folder import events
from mpirender.run_folder.events import Event
from mpirender.run_folder.journal import Journal
from mpirender.system import files
from mpirender.system.comm import Comm

REPRODUCED = 3  # the frame, by position, that is rendered in order to see whether that gives equal pictures
ORDER = "order"  # the part of the identity of images that says what they need of earlier frames
NOTHING = "nothing"
Picture = tuple[int, str]  # the position of a frame, and a digest of its pixels, empty for none
ALLOW = "--allow-order-dependence"


def keep_order(
    comm: Comm,
    log: Journal,
    scene: Scene,
    job: RenderJob,
    data: object,
    *,
    alike: bool,
    past: Sequence[Event],
    parts: dict[str, Any],
) -> list[str]:
    """Find out whether frames depend on the frames before, and if so, have the scene compute these as well.

    :param data: the state of the files that the scene may read, as JSON values.
    :param alike: whether all ranks render with the same program and device.
    :param past: events of the journals; needed on rank 0 only.
    :param parts: what determines the pictures, as JSON values; the result is added if frames depend on those before.
    :returns: a warning if they do, else nothing.
    :raises UsageError: they do, but not even their order determines the pictures, or it cannot be kept in this job.
    """
    if job.allow_order_dependence or scene.in_order or len(scene.frames) < 2:
        return []
    digest = files.digest(json.dumps([parts, data], sort_keys=True, default=str).encode())
    needs = comm.bcast(recorded(past, digest) if comm.rank == 0 else None, root=0)
    names: Sequence[str] = ()
    if needs is None:
        log.write(events.Phase("trial"))
        pictures = _try(comm, scene, alike=alike)
        differing = _differ(pictures)
        if differing is None:
            return []
        needs, names = _needs(comm, scene, job, pictures[0], alike=alike) if differing else (NOTHING, ())
        if comm.rank == 0:
            log.write(events.OrderTrial(digest, needs))
    elif needs != NOTHING:
        names = scene.keep_order(needs)
    if needs == NOTHING:
        return []
    parts[ORDER] = needs
    because = f", it seems because of {', '.join(names)}" if names and needs == ALL_BEFORE else ""
    first = "compute all frames" if needs == ALL_BEFORE else "render the frame"
    on = "earlier frames" if needs == ALL_BEFORE else "the frame before"
    cost = f"; each rank must also {first} before its own, and is given frames in a row" * (comm.size > 1)
    return [f"frames depend on {on} (found by a test){because}{cost}"]


def _needs(comm: Comm, scene: Scene, job: RenderJob, first: Picture, *, alike: bool) -> tuple[str, Sequence[str]]:
    """Return what frames need that depend on earlier ones, and the objects that may be the reason.

    The scene is prepared for that.

    :param first: the picture of the animation's first frame, rendered when nothing else had been.
    """
    names = scene.keep_order(PREVIOUS)
    # Seen with ParaView 6.1: ranks that share frames show a scene just opened with other axes than SaveAnimation does.
    known = [first] if job.ranks_per_frame == 1 else []
    if not _differ([*known, *_try(comm, scene, alike=alike)]):
        return PREVIOUS, names
    names = scene.keep_order(ALL_BEFORE)
    if not _is_reproducible(comm, scene, alike=alike):
        because = f", it seems because of {', '.join(names)}" if names else ""
        raise UsageError(
            f"{job.scene.name}: its frames are not reproducible{because}: a frame that was rendered twice in "
            "the same order gave two pictures. Images would depend on ranks and restarts. Keep the state of scripts in "
            f"self and seed random numbers, or render with {ALLOW}"
        )
    return ALL_BEFORE, names


def recorded(past: Sequence[Event], digest: str) -> str | None:
    """Return what an earlier trial with this digest found that frames need, None if there was none."""
    trials = [event for event in past if isinstance(event, events.OrderTrial) and event.of == digest]
    return trials[-1].needs if trials else None


def _try(comm: Comm, scene: Scene, *, alike: bool) -> list[Picture]:
    """Render some frames on some ranks, each after different frames; return all pictures, those of rank 0 first.

    If the ranks are not alike, the first one does this alone.
    """
    ranks = comm.size if alike else 1
    frames = tried(len(scene.frames), comm.rank, ranks) if comm.rank < ranks else []
    mine = [(position, scene.probe(scene.frames[position])) for position in frames]
    mpi.wait_for_all(comm)  # MPI's own waiting would take cores from ranks that still render
    return [found for part in comm.allgather(mine) for found in part]


def _differ(pictures: Sequence[Picture]) -> bool | None:
    """Return whether pictures of one frame differ, None if no frame has several."""
    known = [found for found in pictures if found[1]]
    several = [position for position, count in Counter(position for position, _ in known).items() if count > 1]
    return any(len({one for at, one in known if at == position}) > 1 for position in several) if several else None


def tried(count: int, rank: int, ranks: int) -> list[int]:
    """Return the positions of the frames, of ``count``, that a rank renders on trial, in this order.

    Some frames are rendered twice, each after different frames, so that the pictures differ also if only the first or
    the second half of the animation changes the data. (Data as loaded are mostly those of frame 0.)
    """
    early, middle, late, last = count // 4, count // 2, 3 * count // 4, count - 1
    if ranks == 1:
        return [0, middle, early, last, early, 0]
    if ranks == 2:
        return [[0, middle, early], [middle, last, early, 0]][rank]
    return [[0, middle], [last, middle, early], [early, middle, 0], [late, early], [middle, late], []][min(rank, 5)]


def schedule(job: RenderJob, parts: Mapping[str, Any]) -> str:
    """Return the schedule of a job: a rank that needs earlier frames renders frames in a row."""
    return "contiguous" if ORDER in parts else job.schedule


def _is_reproducible(comm: Comm, scene: Scene, *, alike: bool) -> bool:
    """Return whether two ranks, or one rank in two processes, render a frame equally in the order of the animation."""
    frame, other = scene.frames[min(REPRODUCED, len(scene.frames) - 1)], comm.size - 1 if alike else 0
    shown = [scene.probe(frame)] if comm.rank in (0, other) else []
    if comm.rank == other == 0:
        scene.keep_order(ALL_BEFORE)
        shown.append(scene.probe(frame))
    mpi.wait_for_all(comm)
    return len({picture for part in comm.allgather(shown) for picture in part}) == 1
