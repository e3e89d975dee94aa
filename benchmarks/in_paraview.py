"""Actions of the comparison inside pvbatch: ``pvbatch --no-mpi -m benchmarks.in_paraview ACTION ARGUMENT…``.

``one-frame`` and ``save-animation`` follow the usual scripts for such renders. Sizes are given as ``NAME=WxH``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paraview import servermanager, simple

LEVEL = 1  # compression level, mpirender's default


def window_class() -> None:
    """Print the class of this ParaView's render window; needs no display."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - registers the class of the render window
    from vtkmodules.vtkRenderingCore import vtkRenderWindow

    print(f"window {vtkRenderWindow().GetClassName()}")


def one_frame(state: str, frame: str, folder: str, *sizes: str) -> None:
    """Render one frame at every size, like one task of a Slurm job array."""
    simple.LoadState(state)
    scene = simple.GetAnimationScene()
    view = shown_view()
    scene.AnimationTime = time_of(scene, int(frame))
    for name, resolution in named(sizes):
        path = Path(folder, name, f"frame_{int(frame):06d}.png")
        simple.SaveScreenshot(str(path), view, ImageResolution=resolution)


def save_animation(state: str, first: str, last: str, folder: str, *sizes: str) -> None:
    """Render a range of frames with ParaView's SaveAnimation, once per size."""
    simple.LoadState(state)
    scene = simple.GetAnimationScene()
    view = shown_view()
    window = [int(first), int(last)]
    # Axis labels reach their final layout one render late, so render the preceding frame first, as in the middle of
    # an animation. Do not call simple.Render: its first call resets the camera of the state.
    scene.AnimationTime = time_of(scene, max(window[0] - 1, 0))
    view.SMProxy.StillRender()
    for name, resolution in named(sizes):
        path = str(Path(folder, name, "frame.png"))
        simple.SaveAnimation(path, view, ImageResolution=resolution, FrameWindow=window, SuffixFormat="_%06d")


def bare(state: str, folder: str, orders: str, *sizes: str) -> None:
    """Render frames with only the indispensable calls, and record the CPU time of each image.

    :param orders: JSON with the ``frames``, the path of the ``report`` to write, the time this process was ``started``
        (seconds since the epoch), and whether to set the view to the size of the image (``one_pass``).
    """
    from mpirender.ranks import png

    told = json.loads(orders)
    simple.LoadState(state)
    scene, view = simple.GetAnimationScene(), shown_view()
    pairs = named(sizes)
    if told["one_pass"]:
        view.ViewSize = pairs[0][1]
    view.SMProxy.StillRender()
    options = screenshot_options(view)
    animation = scene.GetClientSideObject()
    animation.SetOverrideStillRender(True)  # otherwise setting the time also renders
    costs = []
    begun = time.time()
    for frame in told["frames"]:
        for name, resolution in pairs:
            before = time.process_time()
            if told["one_pass"]:
                view.ViewSize = resolution
            animation.SetSceneTime(time_of(scene, frame))
            options.ImageResolution = resolution
            image = options.SMProxy.CaptureImage()
            captured = time.process_time()
            png.write(Path(folder, name, f"frame_{frame:06d}.png"), pixels(image), LEVEL)
            costs.append((frame, name, captured - before, time.process_time() - captured))
    facts = {"startup": begun - told["started"], "rendering": time.time() - begun, "costs": costs}
    Path(told["report"]).write_text(json.dumps(facts))


def screenshot_options(view: Any) -> Any:  # noqa: ANN401 - ParaView's proxies have no types
    """Return the proxy with which ParaView's SaveScreenshot captures a view."""
    controller = servermanager.ParaViewPipelineController()
    options = servermanager.misc.SaveScreenshot()
    controller.PreInitializeProxy(options)
    options.SaveAllViews = 0
    options.View = view
    options.UpdateDefaultsAndVisibilities("frame.png")
    controller.PostInitializeProxy(options)
    return options


def pixels(image: Any) -> Any:  # noqa: ANN401
    """Return the pixels of a vtkImageData: rows from the top, shape (height, width, channels)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1]


def shown_view() -> Any:  # noqa: ANN401
    """Return the first view of the state."""
    return (simple.GetRenderViews() or simple.GetViews())[0]


def time_of(scene: Any, frame: int) -> float:  # noqa: ANN401
    """Return the scene time of a frame."""
    if str(scene.PlayMode).strip("'") == "Snap To TimeSteps":
        return float(scene.TimeKeeper.TimestepValues[frame])
    span = scene.EndTime - scene.StartTime
    return float(scene.StartTime + frame * span / max(scene.NumberOfFrames - 1, 1))


def named(sizes: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    """Parse sizes given as ``NAME=WxH``."""
    pairs = [size.rsplit("=", 1) for size in sizes]
    return [(name, [int(side) for side in resolution.split("x")]) for name, resolution in pairs]


ACTIONS: dict[str, Callable[..., None]] = {
    "window-class": window_class,
    "one-frame": one_frame,
    "save-animation": save_animation,
    "bare": bare,
}

if __name__ == "__main__":
    ACTIONS[sys.argv[1]](*sys.argv[2:])
