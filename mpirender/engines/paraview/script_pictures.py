"""Recognizes scripts that save pictures in a loop, which an animation must replace."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from mpirender.engines.paraview.proxies import PVObject

Camera = tuple[float, ...]


class Shot(NamedTuple):
    """The scene in a picture that a script would save."""

    line: int
    view: str
    camera: Camera
    time: float


class Pictures:
    """Records the pictures that a script would save, without saving them."""

    def __init__(self) -> None:
        self._shots: list[Shot] = []

    def record(self, line: int, view: PVObject = None) -> None:
        """Record a picture of a view, by default of the active one."""
        from paraview import simple

        view = view or simple.GetActiveView()
        camera: Camera = ()
        if hasattr(view, "GetActiveCamera"):
            active = view.GetActiveCamera()
            camera = (*active.GetPosition(), *active.GetFocalPoint(), *active.GetViewUp())
        time = getattr(view, "ViewTime", 0.0) if view else 0.0
        name = view.SMProxy.GetGlobalIDAsString() if view else ""
        self._shots.append(Shot(line, name, camera, float(time)))

    def problem(self, script: str) -> str:
        """Return a line that says what to write instead of a loop; empty if there is none."""
        (line, view), count = next(iter(Counter(shot[:2] for shot in self._shots).most_common(1)), ((0, ""), 0))
        if count < 2:
            return ""
        shots = [shot for shot in self._shots if shot[:2] == (line, view)]
        loop = f"{script}: line {line}: the script saves {count} pictures in a loop, but mpirender renders an animation"
        if len({shot.time for shot in shots}) > 1:
            return (
                f"{loop}; instead of the loop write scene = GetAnimationScene(); "
                "scene.UpdateAnimationUsingDataTimeSteps(); scene.PlayMode = 'Snap To TimeSteps'"
            )
        if len({shot.camera for shot in shots}) > 1:
            return f"{loop}; remove the loop and use --camera orbit:{count}, or write a camera track (GetCameraTrack)"
        return f"{loop}; remove the loop, and animate the property with a track (GetAnimationTrack) or use --vary"
