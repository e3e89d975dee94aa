"""What the comparison runs inside pvbatch: ``pvbatch --no-mpi in_paraview.py ACTION ARGUMENT…``.

The two ways of today are written as their usual scripts have them; sizes are given as ``NAME=WxH``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paraview import servermanager, simple


def window_class() -> None:
    """Print the kind of window this ParaView opens; no display is needed to ask."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - loads the kind of window there is
    from vtkmodules.vtkRenderingCore import vtkRenderWindow

    print(f"window {vtkRenderWindow().GetClassName()}")


def one_frame(state: str, frame: str, folder: str, *sizes: str) -> None:
    """Render one frame at every size: a task of the usual Slurm job array."""
    simple.LoadState(state)
    scene = simple.GetAnimationScene()
    view = shown_view()
    scene.AnimationTime = time_of(scene, int(frame))
    for name, resolution in named(sizes):
        path = Path(folder, name, f"frame_{int(frame):06d}.png")
        simple.SaveScreenshot(str(path), view, ImageResolution=resolution)


def save_animation(state: str, first: str, last: str, folder: str, *sizes: str) -> None:
    """Render a window of frames with ParaView's own SaveAnimation, once per size."""
    simple.LoadState(state)
    scene = simple.GetAnimationScene()
    view = shown_view()
    window = [int(first), int(last)]
    # Labels of axes settle a render late, so the first frame is made to follow the one before it, as it does in
    # the middle of the animation. Not simple.Render: its first call resets the camera that the state was saved with.
    scene.AnimationTime = time_of(scene, max(window[0] - 1, 0))
    view.SMProxy.StillRender()
    for name, resolution in named(sizes):
        path = str(Path(folder, name, "frame.png"))
        simple.SaveAnimation(path, view, ImageResolution=resolution, FrameWindow=window, SuffixFormat="_%06d")


def make_orbit(path: str, frames: str) -> None:
    """Save the state of a cone with the camera on an orbit around it."""
    view = simple.CreateView("RenderView")
    simple.AssignViewToLayout(view=view, layout=simple.CreateLayout("Main"))
    view.ViewSize = [400, 400]
    simple.Show(simple.Cone(Resolution=24), view)
    first, last = simple.CameraKeyFrame(KeyTime=0.0), simple.CameraKeyFrame(KeyTime=1.0)
    first.PositionPathPoints = [5, 0, 1, 0, 5, 1, -5, 0, 1, 0, -5, 1]
    first.FocalPathPoints = [0, 0, 0]
    first.ClosedPositionPath = 1
    for name, key in (("first", first), ("last", last)):
        # A state holds only keyframes that are registered.
        servermanager.ProxyManager().RegisterProxy("animation", name, key.SMProxy)
    track = simple.GetCameraTrack(view=view)
    track.Mode = "Path-based"
    track.KeyFrames = [first, last]
    scene = simple.GetAnimationScene()
    scene.PlayMode = "Sequence"
    scene.NumberOfFrames = int(frames)
    simple.SaveState(path)


def shown_view() -> Any:  # noqa: ANN401 - ParaView's proxies have no types
    """Return the view that the state shows first."""
    return (simple.GetRenderViews() or simple.GetViews())[0]


def time_of(scene: Any, frame: int) -> float:  # noqa: ANN401
    """Return the scene time of a frame."""
    if str(scene.PlayMode).strip("'") == "Snap To TimeSteps":
        return float(scene.TimeKeeper.TimestepValues[frame])
    span = scene.EndTime - scene.StartTime
    return float(scene.StartTime + frame * span / max(scene.NumberOfFrames - 1, 1))


def named(sizes: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    """Read sizes written as ``NAME=WxH``."""
    pairs = [size.rsplit("=", 1) for size in sizes]
    return [(name, [int(side) for side in resolution.split("x")]) for name, resolution in pairs]


ACTIONS: dict[str, Callable[..., None]] = {
    "window-class": window_class,
    "one-frame": one_frame,
    "save-animation": save_animation,
    "make-orbit": make_orbit,
}

if __name__ == "__main__":
    ACTIONS[sys.argv[1]](*sys.argv[2:])
