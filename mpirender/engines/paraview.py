"""The ParaView engine: states (.pvsm) rendered in pvbatch. The only module that imports paraview."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines import Check, Inspection, png, pvsm, statefile
from mpirender.errors import ToolMissing, UsageError
from mpirender.job import RenderJob, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CURE = (
    "load your site's ParaView module, install it (Debian, Ubuntu: apt-get install paraview python3-paraview), "
    "or name the program with --pvbatch PATH or MPIRENDER_PVBATCH"
)


def command(job: RenderJob) -> list[str]:
    """Return pvbatch, each rank a ParaView of its own (``--no-mpi``).

    Raises:
        ToolMissing: there is no such program.
    """
    asked = job.pvbatch or os.environ.get("MPIRENDER_PVBATCH") or "pvbatch"
    found = shutil.which(asked)
    if found is None:
        raise ToolMissing(
            f"{asked} is not found; {CURE}" if asked == "pvbatch" else f"{asked}: no such program; {CURE}"
        )
    return [found, "--no-mpi"]


def version(job: RenderJob) -> str:
    """Return what pvbatch says of itself (``5.11.0``), empty when it is not there or says nothing of the kind."""
    try:
        answer = subprocess.run([command(job)[0], "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (ToolMissing, OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"paraview version (\S+)", answer.stdout + answer.stderr)
    return match[1] if match else ""


def inspect(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Say what is in a state and what would go wrong, from its XML alone."""
    return pvsm.inspect(scene, job, read_by)


def prepare(scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
    """Return the state with its data files where they are now, and those files."""
    content, files, mistakes = pvsm.relocate(pvsm.State.parse(scene, job.scene.name), job)
    if mistakes:
        raise UsageError(mistakes)
    return content, [Path(file.path) for file in files]


def checks(job: RenderJob) -> Sequence[Check]:
    """Look for pvbatch, and for Xvfb, which ParaView before 6.0 may need."""
    found = version(job)
    try:
        program = command(job)[0]
    except ToolMissing:
        program = "not found"
    told = f"{program}, ParaView {found}" if found else f"{program} (does not say that it is ParaView)"
    xvfb = shutil.which("Xvfb")
    return (
        Check("pvbatch", bool(found), told if program != "not found" else program, CURE),
        Check(
            "Xvfb",
            xvfb is not None,
            xvfb or "not found; only a ParaView that renders through GLX needs it",
            "Debian, Ubuntu: apt-get install xvfb; Red Hat: dnf install xorg-x11-server-Xvfb",
            required=False,
        ),
    )


def needs_display() -> bool:
    """Say whether this ParaView opens windows through GLX, which aborts the process when there is no X server."""
    try:
        import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - loads the kind of window there is
        from vtkmodules.vtkRenderingCore import vtkRenderWindow
    except ImportError as error:
        raise ToolMissing(f"this pvbatch cannot render from Python ({error}); {CURE}") from None
    return bool(vtkRenderWindow().GetClassName() == "vtkXOpenGLRenderWindow")


def open_scene(scene: bytes, job: RenderJob) -> ParaViewScene:
    """Load a prepared state from memory and render it once.

    Without that first render the first frame of each process differs from ParaView's own: labels of axes settle in it.

    Raises:
        UsageError: the state does not load, or holds no such view, layout, or reachable size.
    """
    errors = ErrorLog()  # before ParaView loads anything: what it prints while loading counts too
    try:
        from paraview import simple
    except ImportError as error:
        raise ToolMissing(f"this pvbatch has no paraview.simple ({error}); {CURE}") from None
    _load(scene, job.scene.name)
    target = _target(simple, job)
    _check_sizes(target, job.sizes)
    return ParaViewScene(simple, target, job, errors)


def _load(scene: bytes, name: str) -> None:
    """Load a state from memory; LoadState would read it from disk in every rank."""
    from paraview import servermanager, simple

    try:
        from paraview.modules.vtkPVCommon import vtkPVXMLParser  # ParaView 6
    except ImportError:
        from paraview.modules.vtkPVVTKExtensionsCore import vtkPVXMLParser
    simple.RemoveViewsAndLayouts()
    parser = vtkPVXMLParser()
    if not parser.Parse(scene.decode()):
        raise UsageError(f"{name}: ParaView cannot read this state; save it again from ParaView")
    servermanager.ProxyManager().SMProxyManager.LoadXMLState(parser.GetRootElement())
    if not simple.GetViews():
        raise UsageError(f"{name}: the state holds no view, so there is nothing to see; save it with a view open")


def _target(simple: Any, job: RenderJob) -> Any:  # noqa: ANN401 - ParaView's proxies have no types
    """Return the view or layout to render: the one asked for, else the view that the state shows first."""
    views = {_name("views", view): view for view in simple.GetViews()}
    layouts = {_name("layouts", layout): layout for layout in simple.GetLayouts().values()}
    if job.layout is not None:
        by_number = dict(enumerate(layouts.values(), start=1))
        layout = layouts.get(job.layout) or by_number.get(int(job.layout) if job.layout.isdigit() else 0)
        if layout is None:
            raise UsageError(f"--layout {job.layout!r} is not in the state; it has: {', '.join(layouts)}")
        return layout
    if job.view is not None and job.view not in views:
        raise UsageError(f"--view {job.view!r} is not in the state; it has: {', '.join(views)}")
    if job.view is not None:
        return views[job.view]
    return (simple.GetRenderViews() or list(views.values()))[0]


def _name(group: str, proxy: Any) -> str:  # noqa: ANN401
    from paraview import servermanager

    return str(servermanager.ProxyManager().GetProxyName(group, proxy.SMProxy))


def _check_sizes(target: Any, sizes: Sequence[Size]) -> None:  # noqa: ANN401
    """Refuse a size that ParaView would silently change.

    An image larger than the view is rendered in tiles of whole pixels; a side without a fitting divisor (a prime, say)
    is shortened to the next that has one (vtkSMSaveScreenshotProxy::GetScaleFactorsAndSize).
    """
    from paraview.modules.vtkRemotingViews import vtkSMSaveScreenshotProxy
    from vtkmodules.vtkCommonDataModel import vtkVector2i

    shown = list(target.GetSize()) if target.IsA("vtkSMViewLayoutProxy") else list(target.ViewSize)
    mistakes = []
    for size in sizes:
        tile = vtkVector2i(*shown)
        times = vtkSMSaveScreenshotProxy.GetScaleFactorsAndSize(vtkVector2i(size.width, size.height), tile)
        reached = (tile[0] * times[0], tile[1] * times[1])
        if reached != (size.width, size.height):
            mistakes.append(
                f"--size {size}: ParaView cannot render this size from a view of {shown[0]}x{shown[1]} pixels; "
                f"take {reached[0]}x{reached[1]}, or save the state with a larger view"
            )
    if mistakes:
        raise UsageError(mistakes)


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
