"""The camera of an open scene, turned around what it looks at; see :mod:`turntable`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

OF_CAMERA = "CameraAnimationCue"


class Orbit:
    """Turns the cameras of views by equal angles, so that the last frame leads back to the first."""

    def __init__(self, views: Iterable[Any], animation: Any, frames: int) -> None:  # noqa: ANN401
        """Take the cameras as they are, and away from tracks of the animation that would move them.

        Args:
            frames: of the whole turn.
        """
        for cue in animation.Cues:
            if cue.SMProxy.GetXMLName() == OF_CAMERA:
                cue.Enabled = 0
        self._angle = 360.0 / frames
        self._poses = [
            (view, tuple(view.CameraPosition), tuple(view.CameraFocalPoint), tuple(view.CameraViewUp))
            for view in views
            if hasattr(view, "CameraViewUp")
        ]

    def look(self, frame: int) -> None:
        """Turn the cameras to where they are at a frame, as vtkCamera's Azimuth does."""
        from vtkmodules.vtkRenderingCore import vtkCamera

        for view, position, focus, up in self._poses:
            camera = vtkCamera()
            camera.SetPosition(*position)
            camera.SetFocalPoint(*focus)
            camera.SetViewUp(*up)
            camera.Azimuth(frame * self._angle)
            view.CameraPosition = list(camera.GetPosition())
