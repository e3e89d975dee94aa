"""Warnings about a scene that are known only after ParaView has opened it: ray tracing, cameras inside the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mpirender.engines.paraview.proxies import PVObject

MARGIN = 0.01  # part of the data's extent by which a camera must be inside
POSITIONS = {0: "Position", 1: "PositionPathPoints"}  # property of key frames, by vtkPVCameraCueManipulator's mode
PATH = 1  # a mode
Bounds = Sequence[float]


def warnings(views: Sequence[PVObject], animation: PVObject) -> Iterator[str]:
    """Yield all warnings about the views to be rendered, one line each."""
    from paraview import servermanager

    for view in views:
        name = servermanager.ProxyManager().GetProxyName("views", view.SMProxy)
        yield from _ray_tracing(view, str(name))
        yield from _inside(view, str(name), animation)


def _ray_tracing(view: PVObject, name: str) -> Iterator[str]:
    made = view.SMProxy.GetClientSideObject()
    if getattr(view, "EnableRayTracing", 0) and hasattr(made, "GetEnableOSPRay") and not made.GetEnableOSPRay():
        yield (
            f"view {name!r} asks for ray tracing, which this ParaView does not have, so OpenGL renders it; use a "
            "ParaView built with OSPRay or OptiX (--pvbatch PATH), or turn ray tracing off"
        )


def _inside(view: PVObject, name: str, animation: PVObject) -> Iterator[str]:
    """Warn if the camera is inside the data, where the clipping range may cut off what is near."""
    position = getattr(view, "CameraPosition", None)
    if position is None or getattr(view, "CameraParallelProjection", False):
        return
    bounds = list(_bounds(view))
    positions = list(_positions(view, animation)) or [tuple(position)]
    inside = [place for place in positions if any(_contains(one, place) for one in bounds)]
    if inside:
        where = ", ".join(f"{side:g}" for side in inside[0])
        yield (
            f"the camera of view {name!r} is inside the data at ({where}): ParaView may cut off what is very near to "
            "it; look at the frames"
        )


def _positions(view: PVObject, animation: PVObject) -> Iterator[tuple[float, ...]]:
    """Yield the positions of the camera in the key frames of its tracks."""
    for cue in animation.Cues:
        if cue.Enabled and cue.SMProxy.GetXMLName() == "CameraAnimationCue" and cue.AnimatedProxy == view:
            mode = int(cue.GetProperty("Mode").SMProperty.GetElement(0))
            keys = list(cue.KeyFrames or ()) if mode in POSITIONS else []
            for key in (
                keys[:1] if mode == PATH else keys
            ):  # the path is that of the first; others hold ParaView's default
                path = list(getattr(key, POSITIONS[mode]))
                yield from zip(path[::3], path[1::3], path[2::3])


def _bounds(view: PVObject) -> Iterator[Bounds]:
    """Yield the bounds of the visible data that has a volume."""
    for item in getattr(view, "Representations", ()):
        if getattr(item, "Visibility", 0) and hasattr(item.SMProxy, "GetRepresentedDataInformation"):
            data = item.SMProxy.GetRepresentedDataInformation()
            bounds = list(data.GetBounds()) if data is not None else []
            if bounds and all(map(math.isfinite, bounds)) and all(low < high for low, high in _pairs(bounds)):
                yield bounds


def _pairs(bounds: Bounds) -> Iterator[tuple[float, float]]:
    return zip(bounds[::2], bounds[1::2])


def _contains(bounds: Bounds, place: Sequence[float]) -> bool:
    sides = zip(_pairs(bounds), place)
    return all(low + MARGIN * (high - low) < side < high - MARGIN * (high - low) for (low, high), side in sides)
