"""``--camera orbit``: the camera turns once around what it looks at, over the scene's own frames or as many as asked.

Data that have no time of their own, and nothing else that moves, stand still meanwhile; they do so, too, where a number
of frames is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mpirender.engines.paraview import state_warnings
from mpirender.engines.paraview.state_xml import State
from mpirender.job.render_job import RenderJob

STILL_FRAMES = 100  # 4 s at 25 frames a second


def mistakes(job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with ``--camera``."""
    if job.camera is not None and not re.fullmatch(r"orbit(:[1-9]\d*)?", job.camera):
        yield f"--camera {job.camera!r} must be orbit, or orbit:N for a turn of N frames"


def still_frames(state: State, job: RenderJob) -> int | None:
    """Return the number of frames of a turn around a scene that stands still, None where the scene's own frames are."""
    if job.camera is None or any(mistakes(job)):
        return None
    count = job.camera.partition(":")[2]
    if count:
        return int(count)
    return None if state.timesteps or state_warnings.may_move(state) else STILL_FRAMES


def times(state: State, job: RenderJob) -> tuple[float, ...]:
    """Return the scene time of every frame, as far as the file tells it."""
    count = still_frames(state, job)
    if count is None:
        return state.times
    return (state.animation.number("AnimationTime", 0.0) if state.animation else 0.0,) * count
