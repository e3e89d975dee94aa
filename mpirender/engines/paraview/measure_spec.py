"""Numbers about the data of every image: ``--measure SOURCE.ARRAY`` and ``--measure "integral(SOURCE).ARRAY"``.

Sources and filters are named as they are registered; whether they are there is known from the state alone. Which arrays
their data have, only ParaView knows (:mod:`pvmeasure`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

from mpirender.engines.paraview.overrides import Refused, split, unknown
from mpirender.engines.paraview.state_xml import State
from mpirender.job.options import MEASURE
from mpirender.job.render_job import RenderJob

GROUP = "sources"  # where sources, readers and filters are registered


class Measure(NamedTuple):
    """What is to be measured.

    Args:
        text: as on the command line, the name of the number.
        source: whose data it is about.
        integral: whether it is a result of IntegrateVariables, not the range of an array.
    """

    text: str
    source: str
    array: str
    integral: bool


def parse(text: str, names: Collection[str]) -> Measure:
    """Read what is to be measured; names may hold dots.

    Args:
        names: of the sources.

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
    listed = [proxy.name for proxy in state.registered(GROUP)]
    several = {name for name, count in Counter(listed).items() if count > 1}
    for text in job.measure:
        try:
            source = parse(text, listed).source
        except Refused as refused:
            yield f"--measure {text}: {refused}"
            continue
        if source in several:
            yield f"--measure {text}: the scene has more than one source called {source!r}; rename them in ParaView"
