"""``--set NAME.PROPERTY=VALUE``: properties of a scene set to other values, written as in ParaView's Python.

Names are those of the Pipeline Browser. The state file shows which objects exist; only ParaView knows their properties
and the valid values (:mod:`set_properties`).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

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
    names = [proxy.name for group in GROUPS for proxy in state.registered(group)]
    for option, texts in (("--set", job.overrides), ("--vary", job.vary)):
        yield from wrong_names(option, texts, names, kind="object", name_of=lambda text: split(text, names)[0])


def wrong_names(
    option: str, texts: Iterable[str], names: Iterable[str], *, kind: str, name_of: Callable[[str], str]
) -> Iterator[str]:
    """Yield which values of an option name no object of the scene, or several."""
    several = {name for name, count in Counter(names).items() if count > 1}
    for text in texts:
        try:
            name = name_of(text)
        except Refused as refused:
            yield f"{option} {text}: {refused}"
            continue
        if name in several:
            yield f"{option} {text}: the scene has several {kind}s named {name!r}; rename them in ParaView"


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
