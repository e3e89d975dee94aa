"""Measurements for every image: ``--measure SOURCE.ARRAY`` and ``--measure "integral(SOURCE).ARRAY"``.

The state file shows which sources and filters exist; only ParaView knows the arrays of their data: their ranges and the
results of IntegrateVariables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import NamedTuple

from mpirender.engines.base import Numbers
from mpirender.engines.paraview.overrides import Refused, split, unknown, wrong_names
from mpirender.engines.paraview.proxies import ByName, PVObject
from mpirender.engines.paraview.state_xml import State
from mpirender.errors import UsageError
from mpirender.job.options import MEASURE
from mpirender.job.render_job import RenderJob
from mpirender.system.comm import Comm
from mpirender.system.text import did_you_mean, listed

GROUP = "sources"  # registration group of sources, readers and filters
# Associations of vtkDataObject, in the order in which an array is searched: points, cells, rows of a table, fields.
ASSOCIATIONS = (0, 1, 6, 2)
ELEMENTS = ASSOCIATIONS[:3]
GHOSTS = "vtkGhostType"  # added where ranks share the data
CELLS = 1
EXTENTS = ("Length", "Area", "Volume")  # results of IntegrateVariables for cells of one, two and three dimensions

Limits = tuple[float, float]


class Measure(NamedTuple):
    """A requested measurement."""

    text: str  # value of --measure, which names the result
    source: str  # source or filter whose data are measured
    array: str
    integral: bool  # whether to use the result of IntegrateVariables instead of the array's range


def parse(text: str, names: Collection[str]) -> Measure:
    """Parse a value of ``--measure``; source names may contain dots. Raise Refused if there is no such source."""
    match = MEASURE.fullmatch(text)
    assert match is not None, text
    source, array, integral = match["integrated"] or match["source"], match["array"], match["source"] is None
    if not integral and any(text.startswith(f"{name}.") for name in names):
        source, array = split(text, names)
    if source not in names:
        raise Refused(unknown("source", source, names))
    return Measure(text, source, array, integral)


def mistakes(state: State, job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the names of the sources."""
    names = [proxy.name for proxy in state.registered(GROUP)]
    return wrong_names("--measure", job.measure, names, kind="source", name_of=lambda text: parse(text, names).source)


class Content(NamedTuple):
    """The output of a source or filter, with the ranges of its numeric arrays, by association and name.

    Arrays of several components have the range of the magnitude, then those of the components.
    """

    size: int  # number of points, cells and rows
    arrays: dict[tuple[int, str], list[Limits]]  # empty lists if the ranges are not needed


class Meter:
    """Measures the data at the current scene time, without registering or showing anything."""

    def __init__(self, texts: Sequence[str], group: Comm | None = None) -> None:
        """Find the sources of ``--measure``, and connect an IntegrateVariables to each source that is integrated."""
        from paraview import servermanager, simple

        found = ByName(GROUP)
        self._group = group
        self._last: tuple[Hashable, Numbers] = None, {}
        self._keeper = simple.GetAnimationScene().TimeKeeper
        self._wanted = [parse(text, found) for text in texts]
        self._sources = {one.source: found[one.source] for one in self._wanted}
        integrated = dict.fromkeys(one.source for one in self._wanted if one.integral)
        self._integrals = {name: servermanager.filters.IntegrateVariables(Input=found[name]) for name in integrated}

    def check(self) -> None:
        """Raise UsageError with each array that is not in the current data; an empty source cannot be checked."""
        missing = []
        sources, integrals = self._compute()
        for one in self._wanted:
            content = (integrals if one.integral else sources)[one.source]
            names = list(dict.fromkeys(name for _, name in content.arrays))
            if sources[one.source].size and one.array not in names:
                whose = f"the integral of {one.source}" if one.integral else one.source
                has = f"it has: {listed(names)}" if names else "it has no numeric arrays"
                meant = did_you_mean(one.array, names)
                missing.append(f"--measure {one.text}: {whose} has no array {one.array!r}{meant}; {has}")
        if missing:
            raise UsageError(missing)

    def read(self, key: Hashable) -> Numbers:
        """Return the measurements in the order of the options, computed once for all images with the same key."""
        if self._last[0] != key:
            numbers: Numbers = {}
            sources, integrals = self._compute()
            for one in self._wanted:
                if one.integral:
                    numbers.update(_of_integral(one, integrals[one.source], empty=not sources[one.source].size))
                else:
                    numbers.update(_of_range(one, sources[one.source]))
            self._last = key, numbers
        return self._last[1]

    def update(self) -> None:
        """Compute the data at the current scene time."""
        for proxy in self._sources.values():
            proxy.SMProxy.UpdatePipeline(self._keeper.Time)

    def restart(self) -> None:
        """Integrate anew with the next measurement; called after the sources were recreated."""
        self._last = None, {}
        for proxy in self._integrals.values():
            proxy.SMProxy.RecreateVTKObjects()

    def _compute(self) -> tuple[dict[str, Content], dict[str, Content]]:
        """Return the current output of the sources and of their integrals, by the name of the source."""
        self.update()
        for proxy in self._integrals.values():
            if self._group is not None:
                _integrate_locally(proxy)
            proxy.SMProxy.UpdatePipeline(self._keeper.Time)
        wanted = {one.array for one in self._wanted}
        sources = {name: _content(proxy, wanted) for name, proxy in self._sources.items()}
        integrals = {name: _content(proxy, wanted) for name, proxy in self._integrals.items()}
        if self._group is None:
            return sources, integrals
        parts = self._group.allgather((sources, integrals))
        return (
            {name: _together([part[0][name] for part in parts]) for name in sources},
            {name: _sum([part[1][name] for part in parts]) for name in integrals},
        )


def _integrate_locally(integral: PVObject) -> None:
    """Integrate the piece of this rank alone.

    If all ranks integrate together and the first of them has no cells, ParaView (seen with 5.11) leaves out Length,
    Area and Volume of the others.
    """
    import vtkmodules.vtkFiltersParallel  # noqa: F401 - provides the methods of the object's class

    integral.SMProxy.GetClientSideObject().SetController(None)


def _content(proxy: PVObject, wanted: Collection[str]) -> Content:
    """Return the output of an object in this rank.

    Ranges of the wanted arrays are computed from the values. ParaView's data information caches ranges with the arrays:
    some filters (particle tracers) pass these on with other values, and new cache entries could change what ParaView
    renders.
    """
    return _together([_of_leaf(leaf, wanted) for leaf in _leaves(proxy.SMProxy.GetClientSideObject())])


def _leaves(algorithm: PVObject) -> Iterator[PVObject]:
    """Yield the first output and its blocks, if it has blocks."""
    data = algorithm.GetOutputDataObject(0)
    if data is not None:
        yield data
    if data is not None and data.IsA("vtkCompositeDataSet"):
        blocks = data.NewIterator()
        while not blocks.IsDoneWithTraversal():
            yield blocks.GetCurrentDataObject()
            blocks.GoToNextItem()


def _of_leaf(data: PVObject, wanted: Collection[str]) -> Content:
    """Return the content of a data object without its blocks."""
    arrays = {}
    for association in ASSOCIATIONS:
        fields = data.GetAttributesAsFieldData(association)
        for place in range(fields.GetNumberOfArrays() if fields is not None else 0):
            array = fields.GetArray(place)  # None if it is not numeric
            if array is not None and array.GetName() and array.GetName() != GHOSTS:
                arrays[association, array.GetName()] = _limits(array) if array.GetName() in wanted else []
    return Content(sum(data.GetNumberOfElements(association) for association in ELEMENTS), arrays)


def _limits(array: PVObject) -> list[Limits]:
    """Return the ranges of the finite values of an array; (inf, -inf) if there are none."""
    import numpy as np
    from vtkmodules.util.numpy_support import vtk_to_numpy

    values = vtk_to_numpy(array).reshape(-1, array.GetNumberOfComponents())
    columns = list(values.T)
    if len(columns) > 1:
        columns.insert(0, np.sqrt(np.einsum("ij,ij->i", values, values, dtype=float, casting="unsafe")))
    finite = (column[np.isfinite(column)] for column in columns)
    return [(float(one.min()), float(one.max())) if one.size else (math.inf, -math.inf) for one in finite]


def _together(parts: Sequence[Content]) -> Content:
    """Return the content of several pieces together."""
    return _combined(parts, lambda one, two: (min(one[0], two[0]), max(one[1], two[1])))


def _sum(parts: Sequence[Content]) -> Content:
    """Return the integral over all pieces: as within a piece, over the cells of the highest dimension only."""
    most = max(map(_dimensions, parts))
    return _combined([part for part in parts if _dimensions(part) == most], lambda one, two: (one[0] + two[0],) * 2)


def _combined(parts: Sequence[Content], combine: Callable[[Limits, Limits], Limits]) -> Content:
    """Return the content of several pieces, whose ranges are combined pair by pair."""
    arrays: dict[tuple[int, str], list[Limits]] = {}
    for part in parts:
        for key, ranges in part.arrays.items():
            arrays[key] = list(map(combine, arrays[key], ranges)) if key in arrays else ranges
    return Content(sum(part.size for part in parts), arrays)


def _dimensions(integral: Content) -> int:
    """Return the dimension of the cells that were integrated over."""
    return max(number for number, name in enumerate(("", *EXTENTS)) if not name or (CELLS, name) in integral.arrays)


def _find(content: Content, array: str) -> list[Limits]:
    """Return the ranges of an array; empty if there is no such array."""
    keys = ((association, array) for association in ASSOCIATIONS)
    return next((content.arrays[key] for key in keys if key in content.arrays), [])


def _of_range(one: Measure, content: Content) -> Iterator[tuple[str, float | None]]:
    """Yield the minimum and the maximum of an array."""
    limits = next(iter(_find(content, one.array)), (math.inf, -math.inf))
    for name, limit in zip(("min", "max"), limits):
        yield f"{one.text} {name}", limit if math.isfinite(limit) else None


def _of_integral(one: Measure, content: Content, *, empty: bool) -> Iterator[tuple[str, float | None]]:
    """Yield the results of IntegrateVariables, component by component."""
    ranges = [] if empty else _find(content, one.array)  # if empty, ParaView returns 0 for arrays that existed before
    parts = ranges[1:] or ranges or [(math.inf, -math.inf)]
    for place, (value, _) in enumerate(parts):
        yield f"{one.text} {place}" if len(parts) > 1 else one.text, value if math.isfinite(value) else None
