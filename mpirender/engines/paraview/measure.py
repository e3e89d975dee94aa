"""Numbers about the data of an open scene: ranges of arrays, and what IntegrateVariables finds; see :mod:`measures`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from mpirender.engines.base import Numbers
from mpirender.engines.paraview.measure_spec import GROUP, Measure, parse
from mpirender.errors import UsageError
from mpirender.system.comm import Comm
from mpirender.system.text import did_you_mean, listed

# Associations of vtkDataObject in which an array is looked for, in this order: points, cells, rows of a table, fields.
ASSOCIATIONS = (0, 1, 6, 2)
ELEMENTS = ASSOCIATIONS[:3]
OF_RANKS = "vtkGhostType"  # what ranks that share the data tell each other with them
CELLS = 1
EXTENTS = ("Length", "Area", "Volume")  # what IntegrateVariables calls those of cells of one, two and three dimensions

Limits = tuple[float, float]


class Content(NamedTuple):
    """What an object has computed.

    Args:
        size: its points, cells and rows.
        arrays: by association and name of each array of numbers the ranges of its values: one where it has one
            component, else that of the magnitude before those of the components; none where they were not wanted.
    """

    size: int
    arrays: dict[tuple[int, str], list[Limits]]


class Meter:
    """Measures the data at the time that the scene is at; nothing of it is registered or shown."""

    def __init__(self, texts: Sequence[str], group: Comm | None = None) -> None:
        """Find the sources, and put an IntegrateVariables of our own behind those that are integrated.

        Args:
            texts: what is asked for, as on the command line, of sources that are there.
            group: mpi4py communicator of the ranks that have the data together, None for a rank alone.
        """
        from paraview import servermanager, simple

        found: dict[str, Any] = {}
        for (name, _), proxy in servermanager.ProxyManager().GetProxiesInGroup(GROUP).items():
            found.setdefault(name, proxy)
        self._group = group
        self._keeper = simple.GetAnimationScene().TimeKeeper
        self._wanted = [parse(text, found) for text in texts]
        self._sources = {one.source: found[one.source] for one in self._wanted}
        self._integrals = {
            one.source: servermanager.filters.IntegrateVariables(Input=found[one.source])
            for one in {one.source: one for one in self._wanted if one.integral}.values()
        }

    def check(self) -> None:
        """Make sure that the arrays are in the data as they are now; of what is empty that cannot be known.

        Raises:
            UsageError: with each that is not.
        """
        wrong = []
        sources, integrals = self._look()
        for one in self._wanted:
            content = (integrals if one.integral else sources)[one.source]
            names = list(dict.fromkeys(name for _, name in content.arrays))
            if sources[one.source].size and one.array not in names:
                whose = f"the integral of {one.source}" if one.integral else one.source
                has = (
                    f"{did_you_mean(one.array, names)}; it has: {listed(names)}"
                    if names
                    else "; it has none of numbers"
                )
                wrong.append(f"--measure {one.text}: {whose} has no array {one.array!r}{has}")
        if wrong:
            raise UsageError(wrong)

    def read(self) -> Numbers:
        """Return the numbers, in the order in which they were asked for."""
        sources, integrals = self._look()
        numbers: Numbers = {}
        for one in self._wanted:
            if one.integral:
                numbers.update(_of_integral(one, integrals[one.source], empty=not sources[one.source].size))
            else:
                numbers.update(_of_range(one, sources[one.source]))
        return numbers

    def update(self) -> None:
        """Compute the data at the time that the scene is at."""
        for proxy in self._sources.values():
            proxy.SMProxy.UpdatePipeline(self._keeper.Time)

    def start_afresh(self) -> None:
        """Have everything integrated anew; to be called when the sources have been made anew."""
        for proxy in self._integrals.values():
            proxy.SMProxy.RecreateVTKObjects()

    def _look(self) -> tuple[dict[str, Content], dict[str, Content]]:
        """Return what the sources and their integrals are now, by the name of the source."""
        self.update()
        for proxy in self._integrals.values():
            if self._group is not None:
                _let_alone(proxy)
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


def _let_alone(integral: Any) -> None:  # noqa: ANN401
    """Have this rank's piece integrated by itself.

    Where all ranks do it together and the first of them has no cells, ParaView (seen with 5.11) leaves out Length, Area
    and Volume of the others.
    """
    import vtkmodules.vtkFiltersParallel  # noqa: F401 - lends the object the methods of its class

    integral.SMProxy.GetClientSideObject().SetController(None)


def _content(proxy: Any, wanted: Collection[str]) -> Content:  # noqa: ANN401
    """Return what an object has computed in this rank.

    The values themselves are looked at, not ParaView's data information: that keeps ranges with the arrays, and filters
    (particle tracers) hand them on with values that are others. It would leave ranges behind for ParaView to use, too.

    Args:
        wanted: names of the arrays whose ranges are needed; of the others there are none.
    """
    return _together([_of_leaf(leaf, wanted) for leaf in _leaves(proxy.SMProxy.GetClientSideObject())])


def _leaves(algorithm: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield what the first output consists of: itself, and its blocks if it has some."""
    data = algorithm.GetOutputDataObject(0)
    if data is not None:
        yield data
    if data is not None and data.IsA("vtkCompositeDataSet"):
        blocks = data.NewIterator()
        while not blocks.IsDoneWithTraversal():
            yield blocks.GetCurrentDataObject()
            blocks.GoToNextItem()


def _of_leaf(data: Any, wanted: Collection[str]) -> Content:  # noqa: ANN401
    """Return what is in a data object without its blocks."""
    arrays = {}
    for association in ASSOCIATIONS:
        fields = data.GetAttributesAsFieldData(association)
        for place in range(fields.GetNumberOfArrays() if fields is not None else 0):
            array = fields.GetArray(place)  # None if it holds no numbers
            if array is not None and array.GetName() and array.GetName() != OF_RANKS:
                arrays[association, array.GetName()] = _limits(array) if array.GetName() in wanted else []
    return Content(sum(data.GetNumberOfElements(association) for association in ELEMENTS), arrays)


def _limits(array: Any) -> list[Limits]:  # noqa: ANN401
    """Return the ranges of the values of an array that are finite; from inf to -inf where there are none."""
    import numpy as np
    from vtkmodules.util.numpy_support import vtk_to_numpy

    values = vtk_to_numpy(array).reshape(-1, array.GetNumberOfComponents())
    columns = list(values.T)
    if len(columns) > 1:
        columns.insert(0, np.sqrt(np.einsum("ij,ij->i", values, values, dtype=float, casting="unsafe")))
    finite = (column[np.isfinite(column)] for column in columns)
    return [(float(one.min()), float(one.max())) if one.size else (math.inf, -math.inf) for one in finite]


def _together(parts: Sequence[Content]) -> Content:
    """Return what the pieces of all ranks make together."""
    arrays: dict[tuple[int, str], list[Limits]] = {}
    for part in parts:
        for key, ranges in part.arrays.items():
            before = arrays.get(key, ranges)
            arrays[key] = [(min(one[0], two[0]), max(one[1], two[1])) for one, two in zip(before, ranges)]
    return Content(sum(part.size for part in parts), arrays)


def _sum(parts: Sequence[Content]) -> Content:
    """Return what was integrated over all pieces: as within each, over the cells of the most dimensions alone."""
    most = max(map(_dimensions, parts))
    arrays: dict[tuple[int, str], list[Limits]] = {}
    for part in parts:
        for key, values in part.arrays.items() if _dimensions(part) == most else ():
            before = arrays.get(key, [(0.0, 0.0)] * len(values))
            arrays[key] = [(one[0] + two[0], one[1] + two[1]) for one, two in zip(before, values)]
    return Content(sum(part.size for part in parts), arrays)


def _dimensions(integral: Content) -> int:
    """Return how many dimensions the cells have that were integrated over."""
    return max(number for number, name in enumerate(("", *EXTENTS)) if not name or (CELLS, name) in integral.arrays)


def _find(content: Content, array: str) -> list[Limits]:
    """Return the ranges of an array; none if it is not there."""
    keys = ((association, array) for association in ASSOCIATIONS)
    return next((content.arrays[key] for key in keys if key in content.arrays), [])


def _of_range(one: Measure, content: Content) -> Iterator[tuple[str, float | None]]:
    """Yield the least and the greatest value of an array."""
    least, most = next(iter(_find(content, one.array)), (math.inf, -math.inf))
    sound = math.isfinite(least) and math.isfinite(most) and least <= most
    yield f"{one.text} min", least if sound else None
    yield f"{one.text} max", most if sound else None


def _of_integral(one: Measure, content: Content, *, empty: bool) -> Iterator[tuple[str, float | None]]:
    """Yield what IntegrateVariables has found, component by component; a range of one value each.

    Args:
        empty: whether there was nothing to integrate: then ParaView finds 0 for arrays that there were before.
    """
    ranges = [] if empty else _find(content, one.array)
    parts = ranges[1:] or ranges or [(math.inf, -math.inf)]
    for place, (least, most) in enumerate(parts):
        name = f"{one.text} {place}" if len(parts) > 1 else one.text
        yield name, least if math.isfinite(least) and least <= most else None
