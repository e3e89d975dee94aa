"""The color range survey: find the ranges of color maps over all frames before the first frame is rendered.

Each rank surveys a part of the frames without rendering them. The result is recorded for runs that resume this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from mpirender.engines.base import Ranges, Scene, merge_ranges
from mpirender.job.outputs import Image
from mpirender.ranks import schedule
from mpirender.run_folder import events
from mpirender.run_folder.events import Event
from mpirender.run_folder.journal import Journal
from mpirender.system import files
from mpirender.system.comm import Comm


def survey(
    comm: Comm,
    log: Journal,
    scene: Scene,
    images: Sequence[Image],
    *,
    past: Sequence[Event],
    key: object,
    go_on: Callable[[], bool],
) -> dict[str, Any]:
    """Survey the frames as the scene requires and set its color ranges; return the ranges, empty if none are needed.

    :param past: events of the journals; needed on rank 0 only.
    :param key: what the ranges depend on besides the frames, as JSON values.
    :param go_on: called before every frame; the survey ends when it returns False.
    """
    frames = list(dict.fromkeys(image.frame for image in images))
    wanted = scene.frames_to_survey(frames)
    found: Ranges = {}
    if wanted:
        digest = files.digest(json.dumps([key, list(wanted)], sort_keys=True, default=str).encode())
        found = comm.bcast(recorded(past, digest) if comm.rank == 0 else None, root=0) or {}
        if not found:
            found, complete = survey_share(comm, log, scene, wanted, first=frames[0], go_on=go_on)
            if comm.rank == 0 and complete:
                log.write(events.Survey(digest, found))
    scene.set_color_ranges(found)
    return {name: [float(limit) for limit in limits] for name, limits in sorted(found.items())}


def recorded(past: Sequence[Event], digest: str) -> Ranges:
    """Return the ranges that an earlier run found with this digest, empty if none did."""
    surveys = [event for event in past if isinstance(event, events.Survey) and event.of == digest]
    return surveys[-1].ranges if surveys else {}


def survey_share(
    comm: Comm, log: Journal, scene: Scene, wanted: Sequence[int], *, first: int, go_on: Callable[[], bool]
) -> tuple[Ranges, bool]:
    """Survey this rank's share of the frames; return the ranges of all ranks, and whether all frames were surveyed."""
    log.write(events.Phase("survey"))
    mine: Ranges = {}
    left = schedule.deal(wanted, comm.size, "contiguous")[comm.rank]
    while left and go_on():
        frame = left.pop(0)
        mine = merge_ranges([mine, scene.survey(frame, first=frame == first)])
    parts = comm.allgather((mine, not left))
    return merge_ranges(found for found, _ in parts), all(complete for _, complete in parts)
