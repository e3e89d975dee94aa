"""Ranges of the colour maps of an open scene: found over frames, frozen; see :mod:`colours`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from mpirender.engines.base import Ranges, merge_ranges
from mpirender.engines.paraview import color_range
from mpirender.engines.paraview.state_warnings import GROW_EVERY_TIMESTEP

CLAMP_MODE = "Clamp and update every timestep"
FROZEN_MODE = "Never"


class Coloured(NamedTuple):
    """Something visible that is coloured by an array."""

    representation: Any
    association: int
    array: str
    table: Any


def coloured(views: Sequence[Any]) -> Iterator[Coloured]:
    """Yield what is visible in the views and coloured by an array."""
    from paraview import servermanager

    for view in views:
        for item in getattr(view, "Representations", ()):
            name = getattr(item, "ColorArrayName", None)
            table = getattr(item, "LookupTable", None)
            if getattr(item, "Visibility", 0) and name is not None and name[1] and table is not None:
                yield Coloured(item, servermanager.GetAssociationFromString(name[0]), name[1], table)


def ranges_now(views: Sequence[Any], names: Collection[str]) -> Ranges:
    """Return the ranges of arrays in what is visible, at the time that is shown; nothing of arrays without values."""
    for view in views:
        view.SMProxy.Update()
    return merge_ranges([found for item in coloured(views) if item.array in names for found in _range_of(item)])


def _range_of(item: Coloured) -> Iterator[Ranges]:
    """Yield the range by which ParaView would rescale to the data of a representation, if it has any."""
    data = item.representation.SMProxy.GetRepresentedDataInformation()
    array = data.GetArrayInformation(item.array, item.association) if data is not None else None
    if array is None:
        return
    component = -1 if item.table.VectorMode == "Magnitude" else int(item.table.VectorComponent)
    if array.GetNumberOfComponents() == 1:
        component = 0
    least, most = array.GetComponentFiniteRange(component)
    if math.isfinite(least) and math.isfinite(most) and least <= most:
        yield {item.array: (least, most)}


def growing(views: Sequence[Any], texts: Sequence[str]) -> list[tuple[Any, str, list[float]]]:
    """Return what makes up the colour maps that grow with every timestep, to be put back: object, property, value.

    Args:
        texts: what is asked for, as on the command line; what has a range from there does not grow.
    """
    parts = []
    for item in coloured(views):
        if color_range.how(texts, item.array) is None and _mode(item.table) == GROW_EVERY_TIMESTEP:
            parts.append((item.table, "RGBPoints", list(item.table.RGBPoints)))
            opacity = getattr(item.representation, "ScalarOpacityFunction", None)
            if opacity is not None:
                parts.append((opacity, "Points", list(opacity.Points)))
    return parts


def _mode(table: Any) -> int:  # noqa: ANN401
    """Return when a colour map is rescaled by itself; where it leaves that open the general settings say it."""
    from paraview import servermanager

    mode = int(table.GetProperty("AutomaticRescaleRangeMode").SMProperty.GetElement(0))
    settings = servermanager.ProxyManager().GetProxiesInGroup("settings").values()
    usual = (one.GetProperty("TransferFunctionResetMode") for one in settings)
    return mode if mode >= 0 else next((int(prop.SMProperty.GetElement(0)) for prop in usual if prop is not None), mode)


def put_back(parts: Sequence[tuple[Any, str, list[float]]]) -> None:
    """Give colour maps the points that they had."""
    for proxy, name, value in parts:
        setattr(proxy, name, value)


def settle(views: Sequence[Any], texts: Sequence[str], found: Ranges) -> None:
    """Give each colour map the range that is asked for, and keep it there.

    Args:
        texts: what is asked for, as on the command line.
        found: by array, those that had to be found.
    """
    for item in coloured(views):
        how = color_range.how(texts, item.array)
        if how is None:
            continue
        if how == color_range.CLAMP:
            item.table.AutomaticRescaleRangeMode = CLAMP_MODE
            continue
        item.table.AutomaticRescaleRangeMode = FROZEN_MODE
        limits = color_range.fixed(how) or found.get(item.array)
        if limits is not None:
            for function in (item.table, getattr(item.representation, "ScalarOpacityFunction", None)):
                if function is not None:
                    function.RescaleTransferFunction(*limits)
