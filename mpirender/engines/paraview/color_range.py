"""``--color-range``: how the ranges of color maps are chosen, for all arrays or for one array by name.

``global`` is the range over all rendered frames, ``data`` the range in the first of them; both are found before
rendering and then kept. ``MIN,MAX`` is a fixed range. ``clamp`` rescales for every frame, which ParaView calls "Clamp
and update every timestep".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from mpirender.engines.base import Ranges, merge_ranges
from mpirender.engines.paraview.proxies import PVObject, registered
from mpirender.engines.paraview.state_xml import State
from mpirender.job.options import COLOR_RANGE
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean

CLAMP, DATA, GLOBAL = "clamp", "data", "global"
GROW_EVERY_TIMESTEP = 1  # vtkSMTransferFunctionManager::GROW_ON_APPLY_AND_TIMESTEP
CLAMP_MODE = "Clamp and update every timestep"
NEVER_MODE = "Never"
Setting = tuple[PVObject, str, list[float]]  # a proxy, one of its properties, and the value


def requested(texts: Sequence[str]) -> dict[str | None, str]:
    """Return how to choose the range of each array by name, and that of all others (None)."""
    return {match["array"]: match["how"] for match in map(COLOR_RANGE.fullmatch, texts) if match}


def how(texts: Sequence[str], array: str) -> str | None:
    """Return how to choose the range of an array; None for the range of the scene."""
    chosen = requested(texts)
    return chosen.get(array, chosen.get(None))


def fixed(text: str) -> tuple[float, float] | None:
    """Return the range if it is given as numbers; None if it has to be found."""
    least, comma, most = text.partition(",")
    return (float(least), float(most)) if comma else None


def mistakes(state: State, job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the names of the arrays."""
    shown = [item for item in state.registered("representations") if item.number("Visibility", 1)]
    named = [values[-1] for item in shown if len(values := item.values("ColorArrayName")) > 1]
    existing = list(dict.fromkeys(filter(None, named)))
    if job.color_range and not existing:
        yield "--color-range: nothing in the scene is colored by an array"
        return
    for array in requested(job.color_range):
        if array is not None and array not in existing:
            yield (
                f"--color-range {array}=…: nothing is colored by {array!r}{did_you_mean(array, existing)}; "
                f"arrays used for coloring: {', '.join(existing)}"
            )


class Colored(NamedTuple):
    """A visible representation that is colored by an array."""

    representation: PVObject
    association: int
    array: str
    table: PVObject


def colored(views: Sequence[PVObject]) -> Iterator[Colored]:
    """Yield what is visible in the views and colored by an array."""
    from paraview import servermanager

    for view in views:
        for item in getattr(view, "Representations", ()):
            name = getattr(item, "ColorArrayName", None)
            table = getattr(item, "LookupTable", None)
            if getattr(item, "Visibility", 0) and name is not None and name[1] and table is not None:
                yield Colored(item, servermanager.GetAssociationFromString(name[0]), name[1], table)


def ranges_now(views: Sequence[PVObject], names: Collection[str]) -> Ranges:
    """Return the ranges of arrays in the visible data at the current time; arrays without values are left out."""
    for view in views:
        view.SMProxy.Update()
    return merge_ranges([found for item in colored(views) if item.array in names for found in _range_of(item)])


def _range_of(item: Colored) -> Iterator[Ranges]:
    """Yield the range to which ParaView would rescale for a representation, if it has data."""
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


def growing(views: Sequence[PVObject], texts: Sequence[str]) -> list[Setting]:
    """Return the current points of the color maps that grow with every timestep, unless ``--color-range`` sets them."""
    settings: list[Setting] = []
    for item in colored(views):
        if how(texts, item.array) is None and _mode(item.table) == GROW_EVERY_TIMESTEP:
            settings.append((item.table, "RGBPoints", list(item.table.RGBPoints)))
            opacity = getattr(item.representation, "ScalarOpacityFunction", None)
            if opacity is not None:
                settings.append((opacity, "Points", list(opacity.Points)))
    return settings


def _mode(table: PVObject) -> int:
    """Return the automatic rescaling mode of a color map, which may be that of the general settings."""
    mode = int(table.GetProperty("AutomaticRescaleRangeMode").SMProperty.GetElement(0))
    usual = (one.GetProperty("TransferFunctionResetMode") for _, one in registered("settings"))
    return mode if mode >= 0 else next((int(prop.SMProperty.GetElement(0)) for prop in usual if prop is not None), mode)


def restore(settings: Sequence[Setting]) -> None:
    """Set properties back to their earlier values."""
    for proxy, name, value in settings:
        setattr(proxy, name, value)


def set_ranges(views: Sequence[PVObject], texts: Sequence[str], found: Ranges) -> None:
    """Set each color map to the range of ``--color-range``, possibly one found over the frames, and keep it."""
    for item in colored(views):
        chosen = how(texts, item.array)
        if chosen is None:
            continue
        item.table.AutomaticRescaleRangeMode = CLAMP_MODE if chosen == CLAMP else NEVER_MODE
        limits = fixed(chosen) or found.get(item.array)
        if chosen != CLAMP and limits is not None:
            for function in filter(None, (item.table, getattr(item.representation, "ScalarOpacityFunction", None))):
                function.RescaleTransferFunction(*limits)
