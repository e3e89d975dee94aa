"""``--color-range``: how the ranges of color maps are chosen, for all arrays or for one array by name.

``global`` is the range over all rendered frames, ``data`` the range in the first of them; both are found before
rendering and then kept. ``MIN,MAX`` is a fixed range. ``clamp`` rescales for every frame, which ParaView calls "Clamp
and update every timestep".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mpirender.engines.paraview.state_xml import State
from mpirender.job.options import COLOR_RANGE
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean

Range = tuple[float, float]
CLAMP, DATA, GLOBAL = "clamp", "data", "global"


def requested(texts: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """Return how to choose the ranges of all arrays (None: as in the scene), and those of single arrays."""
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
    """Return how to choose the range of an array; None for the range of the scene."""
    of_all, of_arrays = requested(texts)
    return of_arrays.get(array, of_all)


def fixed(text: str) -> Range | None:
    """Return the range if it is given as numbers; None if it has to be found."""
    least, comma, most = text.partition(",")
    return (float(least), float(most)) if comma else None


def arrays(state: State) -> list[str]:
    """Return the arrays by which visible objects are colored."""
    shown = [item for item in state.registered("representations") if item.number("Visibility", 1)]
    named = [values[-1] for item in shown if len(values := item.values("ColorArrayName")) > 1]
    return list(dict.fromkeys(name for name in named if name))


def mistakes(state: State, job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the names of the arrays."""
    existing = arrays(state)
    if job.color_range and not existing:
        yield "--color-range: nothing in the scene is colored by an array"
        return
    for array in requested(job.color_range)[1]:
        if array not in existing:
            yield (
                f"--color-range {array}=…: nothing is colored by {array!r}{did_you_mean(array, existing)}; "
                f"arrays used for coloring: {', '.join(existing)}"
            )
