"""A ParaView state opened in one rank: its frames, rendered as SaveAnimation would render them, in any order."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines import png, statefile
from mpirender.job import RenderJob, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ParaViewScene:
    """A state opened in one rank."""

    def __init__(self, simple: Any, target: Any, job: RenderJob, errors: ErrorLog) -> None:  # noqa: ANN401
        self._errors = errors
        self._views = _views_of(simple, target)
        # Not simple.Render: the first call of that resets the camera, and the one saved in the state would be lost.
        self._render_views()
        self.complaints = errors.take()
        animation = simple.GetAnimationScene()
        self._lags = _changes(animation) and any(map(_draws_bounds, self._views))
        self._shown: int | None = None
        self._first_corners = self._get_corners()
        self._corners: dict[Size, list[tuple[float, ...]]] = {}
        self.times = frame_times(animation)  # after the first render: readers know their timesteps by then
        self.frames = len(self.times)
        self._animation = animation.GetClientSideObject()
        # Setting the time renders every view; WriteImage renders what it writes. Once is enough.
        self._animation.SetOverrideStillRender(True)
        self._options = _screenshot_options(target, job)
        self._compression_level = job.compression_level
        self.version = simple.servermanager.vtkSMProxyManager.GetParaViewSourceVersion().split()[-1]
        window = next((view.GetRenderWindow() for view in self._views if hasattr(view, "GetRenderWindow")), None)
        self.description = f"ParaView {self.version}, {_renderer(window)}"

    def render(self, frame: int, size: Size, path: Path) -> list[str]:
        """Write the image of a frame to path as SaveAnimation would; return the errors ParaView printed meanwhile."""
        if self._lags:
            self._show(max(frame - 1, 0))
        self._animation.SetSceneTime(self.times[frame])
        self._options.ImageResolution = [size.width, size.height]
        self._set_corners(self._corners.get(size, self._first_corners))
        self._write(path)
        self._corners[size] = self._get_corners()
        self._shown = frame
        return self._errors.take()

    def _write(self, path: Path) -> None:
        """Capture the picture as ParaView's SaveScreenshot does, and write it."""
        if path.suffix != ".png":
            self._options.WriteImage(str(path))
            return
        image = self._options.SMProxy.CaptureImage()
        if image is not None:  # else ParaView has reported why
            png.write(path, _pixels(image), self._compression_level)

    def _render_views(self) -> None:
        for view in self._views:
            view.SMProxy.StillRender()

    def _show(self, frame: int) -> None:
        """Make sure that the last frame rendered is this one, the one that comes before in the animation.

        ParaView draws an axes grid around what the render before it showed. In SaveAnimation that is the frame before
        (the first frame itself at the start), so a rank that jumps must render that one first to get the same picture.
        """
        if self._shown != frame:
            self._animation.SetSceneTime(self.times[frame])
            self._render_views()
            self._errors.take()  # what is wrong with that frame is reported where it is rendered for itself

    def _get_corners(self) -> list[tuple[float, ...]]:
        """Return the viewport of every renderer, 0 to 1; that of the orientation axes is a corner of the view.

        ParaView makes that corner square in whole pixels, starting from what the render before left
        (vtkPVAxesWidget::SquareRenderer). With several sizes in turn it would drift, so each size keeps its own.
        """
        return [tuple(renderer.GetViewport()) for renderer in self._renderers()]

    def _set_corners(self, corners: Sequence[tuple[float, ...]]) -> None:
        for renderer, corner in zip(self._renderers(), corners):
            renderer.SetViewport(*corner)

    def _renderers(self) -> list[Any]:
        windows = [view.GetRenderWindow() for view in self._views if hasattr(view, "GetRenderWindow")]
        return [renderer for window in windows for renderer in window.GetRenderers()]


def _views_of(simple: Any, target: Any) -> list[Any]:  # noqa: ANN401
    """Return the views that are in the picture."""
    return list(simple.GetViewsInLayout(target)) if target.IsA("vtkSMViewLayoutProxy") else [target]


def _changes(animation: Any) -> bool:  # noqa: ANN401
    """Say whether anything but the camera can change with time."""
    harmless = ("CameraAnimationCue", "TimeAnimationCue")
    moving = any(cue.Enabled and cue.SMProxy.GetXMLName() not in harmless for cue in animation.Cues)
    return moving or bool(animation.TimeKeeper.TimestepValues)


def _draws_bounds(view: Any) -> bool:  # noqa: ANN401
    """Say whether the view draws something around the bounds of its data: an axes grid, or ambient occlusion."""
    grid = getattr(view, "AxesGrid", None)
    if getattr(grid, "Visibility", 0) or getattr(view, "UseAmbientOcclusion", 0) or getattr(view, "UseSSAO", 0):
        return True
    shown = [item for item in getattr(view, "Representations", ()) if getattr(item, "Visibility", 0)]
    return any(getattr(getattr(item, "DataAxesGrid", None), "GridAxesVisibility", 0) for item in shown)


def frame_times(animation: Any) -> tuple[float, ...]:  # noqa: ANN401
    """Return the scene time of every frame, as SaveAnimation plays them."""
    if str(animation.PlayMode).strip("'") == "Snap To TimeSteps":
        steps = animation.TimeKeeper.TimestepValues
        steps = [steps] if isinstance(steps, float) else list(steps)
        return statefile.snapped_times(steps, int(getattr(animation, "FramesPerTimestep", 1) or 1), animation.EndTime)
    return statefile.sequence_times(animation.StartTime, animation.EndTime, int(animation.NumberOfFrames))


def _screenshot_options(target: Any, job: RenderJob) -> Any:  # noqa: ANN401
    """Return ParaView's SaveScreenshot proxy set up once for all frames."""
    from paraview import servermanager

    controller = servermanager.ParaViewPipelineController()
    options = servermanager.misc.SaveScreenshot()
    controller.PreInitializeProxy(options)
    is_layout = target.IsA("vtkSMViewLayoutProxy")
    options.SaveAllViews = is_layout
    if is_layout:
        options.Layout = target
    else:
        options.View = target
    options.UpdateDefaultsAndVisibilities(f"frame.{job.image_format}")
    controller.PostInitializeProxy(options)
    options.FontScaling = job.font_scaling
    options.StereoMode = job.stereo_mode
    options.TransparentBackground = int(job.transparent_background)
    if job.override_color_palette:
        options.OverrideColorPalette = job.override_color_palette
    return options


def _pixels(image: Any) -> NDArray[np.uint8]:  # noqa: ANN401
    """Return the picture in a vtkImageData: rows from the top, shape (height, width, channels)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    width, height, _ = image.GetDimensions()
    rows = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    upright: NDArray[np.uint8] = rows[::-1]
    return upright


def _renderer(window: Any) -> str:  # noqa: ANN401
    """Say what draws: window class and OpenGL renderer, read back from the window."""
    if window is None:
        return "no render window"
    match = re.search(r"OpenGL renderer string:\s*(.*)", window.ReportCapabilities() or "")
    return f"{window.GetClassName()}, {match[1].strip() if match else 'unknown renderer'}"


class ErrorLog:
    """Collects what VTK and ParaView report as errors; they print them and go on, so nothing is raised."""

    def __init__(self) -> None:
        from vtkmodules.util.misc import calldata_type
        from vtkmodules.util.vtkConstants import VTK_STRING
        from vtkmodules.vtkCommonCore import vtkOutputWindow

        self._texts: list[str] = []

        @calldata_type(VTK_STRING)  # type: ignore[untyped-decorator]
        def remember(_window: object, _event: str, text: str) -> None:
            self._texts.append(_shorten(text))

        self._remember: Callable[[object, str, str], None] = remember
        vtkOutputWindow.GetInstance().AddObserver("ErrorEvent", remember)

    def take(self) -> list[str]:
        """Return the errors since the last call, each text once."""
        texts = list(dict.fromkeys(self._texts))
        self._texts.clear()
        return texts


def _shorten(text: str) -> str:
    """Turn VTK's report of an error into one line: class and message, without source line and address."""
    with contextlib.suppress(ValueError):
        if text.startswith("ERROR: In "):
            text = text[text.index("\n") + 1 :]
    line = next((line for line in text.splitlines() if line.strip()), "unknown error")
    return re.sub(r"\s*\(0x[0-9a-f]+\)", "", line).strip()
