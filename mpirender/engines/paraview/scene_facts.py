"""What there is to know of an open scene, its views and their window, from ParaView's proxies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mpirender.engines.paraview import state_warnings, state_xml
from mpirender.engines.paraview.backends import WINDOWS


def remembers() -> bool:
    """Say whether a filter of the scene carries something on from frame to frame."""
    from paraview import servermanager

    sources = servermanager.ProxyManager().GetProxiesInGroup("sources").values()
    return any(source.SMProxy.GetXMLName() in state_warnings.REMEMBER for source in sources)


def views_of(simple: Any, target: Any) -> list[Any]:  # noqa: ANN401
    """Return the views that are in the picture."""
    return list(simple.GetViewsInLayout(target)) if target.IsA("vtkSMViewLayoutProxy") else [target]


def changes(animation: Any) -> bool:  # noqa: ANN401
    """Say whether anything but the camera can change with time."""
    harmless = ("CameraAnimationCue", "TimeAnimationCue")
    moving = any(cue.Enabled and cue.SMProxy.GetXMLName() not in harmless for cue in animation.Cues)
    return moving or bool(animation.TimeKeeper.TimestepValues)


def draws_bounds(view: Any) -> bool:  # noqa: ANN401
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
        return state_xml.snapped_times(steps, int(getattr(animation, "FramesPerTimestep", 1) or 1), animation.EndTime)
    return state_xml.sequence_times(animation.StartTime, animation.EndTime, int(animation.NumberOfFrames))


def _backend(window: Any) -> str:  # noqa: ANN401
    """Say by which backend the window was opened, read back from what ParaView opened."""
    if window is not None and window.IsA("vtkOffscreenOpenGLRenderWindow"):  # ParaView 6: within another one
        from paraview.modules.vtkRemotingViews import vtkPVProcessWindow

        window = vtkPVProcessWindow.GetRenderWindow()
    opened = "" if window is None else window.GetClassName()
    return {name: backend for backend, name in WINDOWS.items()}.get(opened, opened or "no window")


def _renderer(window: Any) -> str:  # noqa: ANN401
    """Return what OpenGL calls its renderer, read back from the window."""
    match = re.search(r"OpenGL renderer string:\s*(.*)", "" if window is None else window.ReportCapabilities() or "")
    return match[1].strip() if match else "unknown renderer"


def window_of(views: Sequence[Any]) -> tuple[str, str]:
    """Return the backend by which the first window of the views was opened, and what OpenGL calls its renderer."""
    window = next((view.GetRenderWindow() for view in views if hasattr(view, "GetRenderWindow")), None)
    return _backend(window), _renderer(window)
