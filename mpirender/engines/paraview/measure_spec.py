"""Measurements for every image: ``--measure SOURCE.ARRAY`` and ``--measure "integral(SOURCE).ARRAY"``.

The state file shows which sources and filters exist; only ParaView knows the arrays of their data (:mod:`measure`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from mpirender.engines.paraview.overrides import Refused, split, unknown, wrong_names
from mpirender.engines.paraview.state_xml import State
from mpirender.job.options import MEASURE
from mpirender.job.render_job import RenderJob

GROUP = "sources"  # registration group of sources, readers and filters


class Measure(NamedTuple):
    """A requested measurement."""

    text: str  # value of --measure, which names the result
    source: str  # source or filter whose data are measured
    array: str
    integral: bool  # whether to use the result of IntegrateVariables instead of the array's range


def parse(text: str, names: Collection[str]) -> Measure:
    """Parse a value of ``--measure``, with the names of the sources, which may contain dots.

    Raises:
        Refused: there is no source of that name.
    """
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
