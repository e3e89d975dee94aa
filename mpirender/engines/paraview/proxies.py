"""ParaView's proxies: their type, and those of the open scene."""

from __future__ import annotations

from typing import Any

PVObject = Any  # a proxy of ParaView or an object of VTK: their classes are made at run time and have no annotations

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


def sources() -> list[tuple[str, PVObject]]:
    """Return the names of the sources and filters of the open scene, and the server manager's proxies of them.

    Use these until the scene is to be changed. A Python proxy around one sends ParaView the properties that a state has
    set and that ParaView has not applied itself, such as the Source of a Glyph: its picture would be another than that
    of SaveAnimation.
    """
    from paraview import servermanager

    found: dict[int, tuple[str, PVObject]] = {}
    each = servermanager.vtkSMProxyIterator()
    each.SetSessionProxyManager(servermanager.ProxyManager().SMProxyManager)
    each.SetModeToOneGroup()
    each.Begin("sources")
    while not each.IsAtEnd():
        found.setdefault(each.GetProxy().GetGlobalID(), (str(each.GetKey()), each.GetProxy()))
        each.Next()
    return list(found.values())


def by_name(*groups: str) -> dict[str, PVObject]:
    """Return the proxies of registration groups by name; of several with the same name, the first."""
    found: dict[str, PVObject] = {}
    for name, proxy in (item for group in groups for item in registered(group)):
        found.setdefault(name, proxy)
    return found


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
