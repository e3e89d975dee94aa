"""What must be known of all frames before the first is rendered: the ranges of colour maps over time.

Each rank looks at a part of the frames, without rendering them. What is found is recorded, so that a run that goes on
does not look again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from mpirender import engines
from mpirender.engines import Ranges
from mpirender.job.outputs import Image
from mpirender.ranks import schedule
from mpirender.run_folder import events
from mpirender.run_folder.events import Event
from mpirender.run_folder.journal import Journal
from mpirender.system import files
from mpirender.system.comm import Comm


def settle(
    comm: Comm,
    log: Journal,
    scene: engines.Scene,
    images: Sequence[Image],
    *,
    past: Sequence[Event],
    about: object,
    go_on: Callable[[], bool],
) -> dict[str, Any]:
    """Find out what the scene wants to know of the frames, and let it take it; return that, empty for nothing.

    Args:
        past: what the journals hold; needed on rank 0 alone.
        about: what the answer depends on beside the frames, as JSON values.
        go_on: says between frames whether to go on.
    """
    frames = list(dict.fromkeys(image.frame for image in images))
    wanted = scene.frames_to_survey(frames)
    found: Ranges = {}
    if wanted:
        question = files.digest(json.dumps([about, list(wanted)], sort_keys=True, default=str).encode())
        found = comm.bcast(known(past, question) if comm.rank == 0 else None, root=0) or {}
        if not found:
            found, whole = look(comm, log, scene, wanted, first=frames[0], go_on=go_on)
            if comm.rank == 0 and whole:
                log.write(events.Survey(question, found))
    scene.set_color_ranges(found)
    return {name: [float(limit) for limit in limits] for name, limits in sorted(found.items())}


def known(past: Sequence[Event], question: str) -> Ranges:
    """Return what was found before, empty for nothing."""
    surveys = [event for event in past if isinstance(event, events.Survey) and event.of == question]
    return surveys[-1].ranges if surveys else {}


def look(
    comm: Comm,
    log: Journal,
    scene: engines.Scene,
    wanted: Sequence[int],
    *,
    first: int,
    go_on: Callable[[], bool],
) -> tuple[Ranges, bool]:
    """Look at this rank's part of the frames; return what all ranks have found, and whether they looked at all."""
    log.write(events.Phase("survey"))
    mine: Ranges = {}
    left = schedule.deal(wanted, comm.size, "contiguous")[comm.rank]
    while left and go_on():
        frame = left.pop(0)
        mine = engines.merge_ranges([mine, scene.survey(frame, first=frame == first)])
    parts = comm.allgather((mine, not left))
    return engines.merge_ranges(found for found, _ in parts), all(whole for _, whole in parts)
