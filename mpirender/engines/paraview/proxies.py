"""ParaView's proxies: their type, and those of the open scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PVObject = Any  # a proxy of ParaView or an object of VTK: their classes are made at run time and have no annotations

CAMERA_TRACK = "CameraAnimationCue"
# Properties of a view that a camera track changes.
CAMERA = ("CameraPosition", "CameraFocalPoint", "CameraViewUp", "CameraViewAngle", "CameraParallelScale")


def import_simple() -> PVObject:
    """Import paraview.simple faster: without the documentation of the functions that it defines, one for each proxy.

    It searches the list of all proxies for every text, which takes over half of the time of the import.

    :raises ImportError: there is no paraview.simple.
    """
    from paraview import servermanager

    namespace: PVObject = getattr(servermanager, "ProxyNamespace", None)
    look_up = getattr(namespace, "getDocumentation", None)
    if look_up is not None:
        namespace.getDocumentation = lambda self, name: ""
    try:
        from paraview import simple
    finally:
        if look_up is not None:
            namespace.getDocumentation = look_up
    return simple


def registered(group: str) -> list[tuple[str, PVObject]]:
    """Return the names and proxies of a registration group of the open scene (``sources``, ``views``)."""
    from paraview import servermanager

    return [(name, proxy) for (name, _), proxy in servermanager.ProxyManager().GetProxiesInGroup(group).items()]


def unwrapped(group: str) -> list[tuple[str, PVObject]]:
    """Return the names of the objects of a registration group, and the server manager's proxies of them.

    Use these unless an object is to be changed. A Python proxy around one sends ParaView all properties that a state
    has set and that ParaView has not applied itself, such as the Source of a Glyph: the picture would be another than
    that of SaveAnimation.
    """
    from paraview import servermanager

    found: dict[int, tuple[str, PVObject]] = {}
    each = servermanager.vtkSMProxyIterator()
    each.SetSessionProxyManager(servermanager.ProxyManager().SMProxyManager)
    each.SetModeToOneGroup()
    each.Begin(group)
    while not each.IsAtEnd():
        found.setdefault(each.GetProxy().GetGlobalID(), (str(each.GetKey()), each.GetProxy()))
        each.Next()
    return list(found.values())


def sources() -> list[tuple[str, PVObject]]:
    """Return the names of the sources and filters of the open scene, and the server manager's proxies of them."""
    return unwrapped("sources")


class ByName(Mapping[str, PVObject]):
    """The objects of registration groups by name; of several with the same name, the first.

    Only an object that is looked up gets a Python proxy; see :func:`unwrapped`.
    """

    def __init__(self, *groups: str) -> None:
        self._proxies: dict[str, PVObject] = {}
        for name, proxy in (item for group in groups for item in unwrapped(group)):
            self._proxies.setdefault(name, proxy)

    def __getitem__(self, name: str) -> PVObject:
        from paraview import servermanager

        return servermanager._getPyProxy(self._proxies[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._proxies)

    def __len__(self) -> int:
        return len(self._proxies)


def animated(animation: PVObject) -> Iterator[tuple[PVObject, str]]:
    """Yield the properties that tracks change, those of cameras included: server manager's proxy and name."""
    for cue in animation.Cues:
        target = cue.SMProxy.GetProperty("AnimatedProxy")
        proxy = target.GetProxy(0) if target is not None and target.GetNumberOfProxies() else None
        if not cue.Enabled or proxy is None or cue.SMProxy.GetXMLName() == "TimeAnimationCue":
            continue
        names = CAMERA if cue.SMProxy.GetXMLName() == CAMERA_TRACK else (str(getattr(cue, "AnimatedPropertyName", "")),)
        yield from ((proxy, name) for name in names if proxy.GetProperty(name) is not None)


def windows_of(view: PVObject) -> list[PVObject]:
    """Return the OpenGL windows of a view: none of a spreadsheet, several of a comparative view."""
    if view.SMProxy.IsA("vtkSMComparativeViewProxy"):
        from vtkmodules.vtkCommonCore import vtkCollection

        inner = vtkCollection()
        view.SMProxy.GetViews(inner)
        windows = [one.GetRenderWindow() for one in inner if hasattr(one, "GetRenderWindow")]
    else:
        windows = [view.GetRenderWindow() if hasattr(view, "GetRenderWindow") else None]
    return [window for window in windows if window is not None]
