"""``--color-range``: how the ranges of colour maps are found, of all arrays or by the name of an array.

``global`` is the range over all rendered frames, ``data`` that of the first of them; both are found before anything is
rendered and stay. ``MIN,MAX`` is given. With ``clamp`` every frame has a range of its own, which is what ParaView calls
"Clamp and update every timestep".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mpirender.engines.paraview.state_xml import State
from mpirender.job.options import COLOR_RANGE
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean

Range = tuple[float, float]
CLAMP, DATA, GLOBAL = "clamp", "data", "global"


def wishes(texts: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """Return how the ranges of all arrays are found, None for as in the scene, and those of single arrays."""
    of_all, of_arrays = None, {}
    for text in texts:
        match = COLOR_RANGE.fullmatch(text)
        assert match is not None, text
        if match["array"] is None:
            of_all = match["how"]
        else:
            of_arrays[match["array"]] = match["how"]
    return of_all, of_arrays


def how(texts: Sequence[str], array: str) -> str | None:
    """Return how the range of an array is found, None for as in the scene."""
    of_all, of_arrays = wishes(texts)
    return of_arrays.get(array, of_all)


def fixed(text: str) -> Range | None:
    """Return the range that is given, None where it is to be found."""
    least, comma, most = text.partition(",")
    return (float(least), float(most)) if comma else None


def arrays(state: State) -> list[str]:
    """Return the arrays by which visible objects are coloured."""
    shown = [item for item in state.registered("representations") if item.number("Visibility", 1)]
    named = [values[-1] for item in shown if len(values := item.values("ColorArrayName")) > 1]
    return list(dict.fromkeys(name for name in named if name))


def mistakes(state: State, job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the names of the arrays."""
    there = arrays(state)
    if job.color_range and not there:
        yield "--color-range: nothing in the scene is coloured by an array"
        return
    for array in wishes(job.color_range)[1]:
        if array not in there:
            yield (
                f"--color-range {array}=…: nothing is coloured by {array!r}{did_you_mean(array, there)}; "
                f"coloured by: {', '.join(there)}"
            )
