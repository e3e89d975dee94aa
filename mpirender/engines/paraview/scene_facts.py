"""Facts about an open scene, its views and their window, read from ParaView's proxies."""

from __future__ import annotations

from collections.abc import Sequence

from mpirender.engines.paraview import backends, state_warnings, state_xml
from mpirender.engines.paraview.proxies import PVObject, registered


def accumulates() -> bool:
    """Return whether the result of a filter depends on all earlier frames."""
    return any(source.SMProxy.GetXMLName() in state_warnings.ACCUMULATING for _, source in registered("sources"))


def changes(animation: PVObject) -> bool:
    """Return whether anything except the camera can change with time."""
    moving = any(cue.Enabled and cue.SMProxy.GetXMLName() not in state_warnings.STILL_DATA for cue in animation.Cues)
    return moving or bool(animation.TimeKeeper.TimestepValues)


def draws_bounds(view: PVObject) -> bool:
    """Return whether the view draws something that depends on the bounds of its data: axes grid, ambient occlusion."""
    grid = getattr(view, "AxesGrid", None)
    if getattr(grid, "Visibility", 0) or getattr(view, "UseAmbientOcclusion", 0) or getattr(view, "UseSSAO", 0):
        return True
    shown = [item for item in getattr(view, "Representations", ()) if getattr(item, "Visibility", 0)]
    return any(getattr(getattr(item, "DataAxesGrid", None), "GridAxesVisibility", 0) for item in shown)


def frame_times(animation: PVObject) -> tuple[float, ...]:
    """Return the scene time of every frame, as SaveAnimation plays them."""
    if str(animation.PlayMode).strip("'") == "Snap To TimeSteps":
        steps = animation.TimeKeeper.TimestepValues
        steps = [steps] if isinstance(steps, float) else list(steps)
        return state_xml.snapped_times(steps, int(getattr(animation, "FramesPerTimestep", 1) or 1), animation.EndTime)
    return state_xml.sequence_times(animation.StartTime, animation.EndTime, int(animation.NumberOfFrames))


def window_of(views: Sequence[PVObject]) -> tuple[str, str]:
    """Return the backend and the OpenGL renderer of the first window, read back from the window itself."""
    window = next((view.GetRenderWindow() for view in views if hasattr(view, "GetRenderWindow")), None)
    if window is None:
        return "no window", "unknown renderer"
    opened = window
    if window.IsA("vtkOffscreenOpenGLRenderWindow"):  # ParaView 6: inside another window
        from paraview.modules.vtkRemotingViews import vtkPVProcessWindow

        opened = vtkPVProcessWindow.GetRenderWindow()
    backend = backends.backend_of("" if opened is None else opened.GetClassName())
    return backend or "no window", backends.renderer_in(window.ReportCapabilities() or "") or "unknown renderer"
