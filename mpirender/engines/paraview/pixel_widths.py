"""Widths of lines and sizes of points and text, which ParaView gives in pixels, for images of a multiple size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mpirender.engines.paraview.proxies import PVObject
from mpirender.errors import UsageError

RENDER_VIEW = "vtkSMRenderViewProxy"
CULLING = ("GetFrontfaceCulling", "GetBackfaceCulling")  # VTK draws wide lines as polygons


class PixelWidths:
    """Multiplies what views draw in pixels by a factor."""

    def __init__(self, views: Sequence[PVObject], factor: int) -> None:
        """Multiply the sizes of text, by the resolution of the views.

        :raises UsageError: a view is none of 3D objects: the widths in charts are not known here.
        """
        for view in views if factor > 1 else ():
            if not view.SMProxy.IsA(RENDER_VIEW):
                kind = view.SMProxy.GetXMLName()
                raise UsageError(
                    f"--supersample works for render views, not for {kind}; leave it out, or name a --view"
                )
            view.PPI = view.PPI * factor
        self._factor = factor
        self._written: dict[tuple[PVObject, str], float] = {}

    def enlarge(self, views: Sequence[PVObject]) -> None:
        """Multiply the widths of lines and points that are new, or were changed since the last call."""
        if self._factor == 1:
            return
        for properties in map(_properties, views):
            for one in properties:
                for name in ("LineWidth", "PointSize"):
                    width = getattr(one, f"Get{name}")()
                    if width != self._written.get((one, name)):
                        getattr(one, f"Set{name}")(width * self._factor)
                        self._written[one, name] = getattr(one, f"Get{name}")()


def _properties(view: PVObject) -> Iterator[PVObject]:
    """Yield the properties of all actors of a view, also of those in assemblies."""
    renderers = view.GetClientSideObject().GetRenderWindow().GetRenderers()
    for number in range(renderers.GetNumberOfItems()):
        yield from _of_props(renderers.GetItemAsObject(number).GetViewProps())


def _of_props(props: PVObject) -> Iterator[PVObject]:
    for number in range(props.GetNumberOfItems()):
        prop = props.GetItemAsObject(number)
        if hasattr(prop, "GetParts"):
            yield from _of_props(prop.GetParts())
        properties = prop.GetProperty() if hasattr(prop, "GetProperty") else None
        if properties is not None and hasattr(properties, "SetLineWidth") and not _culls(properties):
            yield properties


def _culls(properties: PVObject) -> bool:
    """Return whether VTK would not draw wide lines with these properties, as those of the axes grid."""
    return any(hasattr(properties, name) and getattr(properties, name)() for name in CULLING)
