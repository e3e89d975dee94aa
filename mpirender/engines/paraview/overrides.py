"""``--set NAME.PROPERTY=VALUE``: properties of a scene set to other values, written as in ParaView's Python.

Names are those of the Pipeline Browser. The state file shows which objects exist; only ParaView knows their properties
and the valid values (:mod:`set_properties`).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator

from mpirender.engines.paraview.state_xml import State
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean, listed

# Registration groups of the objects that users change. A name that occurs more than once is refused.
GROUPS = ("sources", "representations", "views", "lookup_tables", "piecewise_functions", "scalar_bars", "animation")
PARTS_OF_TRACKS = ("Cue", "KeyFrame")  # too many to list, with similar names


class Refused(Exception):
    """An override that the scene does not accept, with the reason."""


def objects(state: State) -> dict[str, str]:
    """Return the classes of the objects that can be changed, by name."""
    found: dict[str, str] = {}
    for group in GROUPS:
        for proxy in state.registered(group):
            if not proxy.type.endswith(PARTS_OF_TRACKS):
                found.setdefault(proxy.name, proxy.type)
    return found


def mistakes(state: State, job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the names of the objects; only ParaView knows their properties."""
    listed = [proxy.name for group in GROUPS for proxy in state.registered(group)]
    several = {name for name, count in Counter(listed).items() if count > 1}
    for option, text in (*(("set", text) for text in job.overrides), *(("vary", text) for text in job.vary)):
        try:
            name, _ = split(text, listed)
        except Refused as refused:
            yield f"--{option} {text}: {refused}"
            continue
        if name in several:
            yield f"--{option} {text}: the scene has several objects named {name!r}; rename them in ParaView"


def split(text: str, names: Collection[str]) -> tuple[str, str]:
    """Split ``NAME.PROPERTY=VALUE`` into the name and the property; both may contain dots.

    Raises:
        Refused: there is no object of that name.
    """
    target = text.partition("=")[0]
    known = [name for name in names if target.startswith(f"{name}.")]
    if not known:
        raise Refused(unknown("object", target.rpartition(".")[0], names))
    name = max(known, key=len)
    return name, target[len(name) + 1 :]


def unknown(kind: str, name: str, names: Collection[str]) -> str:
    """Return a message that no object of a kind has this name, with the existing names."""
    return f"the scene has no {kind} named {name!r}{did_you_mean(name, list(names))}; it has: {listed(names)}"


def value_of(text: str) -> object:
    """Read a value as Python does, ``[100, 130]`` or ``'Surface'``; any other text is returned unchanged."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
