"""``--camera orbit``: the camera turns once around its focal point, over the scene's frames or a given number.

If a number of frames is given, everything else in the scene stands still. So does a scene in which nothing changes with
time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mpirender.engines.paraview import state_warnings
from mpirender.engines.paraview.proxies import CAMERA_TRACK, PVObject
from mpirender.engines.paraview.state_xml import State
from mpirender.job import frames as framesets
from mpirender.job.render_job import RenderJob

STATIC_FRAMES = 100  # 4 s at 25 frames a second


def mistakes(job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with ``--camera``."""
    if job.camera is not None and not re.fullmatch(r"orbit(:[1-9]\d*)?", job.camera):
        yield f"--camera {job.camera!r} is not valid; give orbit, or orbit:N for a turn of N frames"
    elif job.camera is not None and int(job.camera.partition(":")[2][:20] or 1) > framesets.MOST:
        yield f"--camera {job.camera[:40]}: a turn has at most {framesets.MOST} frames"


def static_frames(state: State, job: RenderJob) -> int | None:
    """Return the number of frames of an orbit around a static scene; None if the scene's own frames are rendered."""
    if job.camera is None or any(mistakes(job)):
        return None
    count = job.camera.partition(":")[2]
    moves = state.timesteps or state_warnings.may_move(state)
    return int(count) if count else None if moves else STATIC_FRAMES


def times(state: State, job: RenderJob) -> tuple[float, ...]:
    """Return the scene time of every frame, as far as the file contains it."""
    count = static_frames(state, job)
    if count is None:
        return state.times
    return (state.animation.number("AnimationTime", 0.0) if state.animation else 0.0,) * count


class Orbit:
    """Turns the cameras of views by equal angles, so that the last frame leads back to the first."""

    def __init__(self, views: Iterable[PVObject], animation: PVObject, frames: int) -> None:
        """Prepare a turn in ``frames`` steps from the current cameras; disable the tracks that would move them."""
        for cue in animation.Cues:
            if cue.SMProxy.GetXMLName() == CAMERA_TRACK:
                cue.Enabled = 0
        self._angle = 360.0 / frames
        self._poses = [
            (view, tuple(view.CameraPosition), tuple(view.CameraFocalPoint), tuple(view.CameraViewUp))
            for view in views
            if hasattr(view, "CameraViewUp")
        ]

    def move_to(self, frame: int) -> None:
        """Move the cameras to their positions at a frame, as vtkCamera's Azimuth does."""
        from vtkmodules.vtkRenderingCore import vtkCamera

        for view, position, focus, up in self._poses:
            camera = vtkCamera()
            camera.SetPosition(*position)
            camera.SetFocalPoint(*focus)
            camera.SetViewUp(*up)
            camera.Azimuth(frame * self._angle)
            view.CameraPosition = list(camera.GetPosition())
