"""``--set NAME.PROPERTY=VALUE``: properties of a scene set to other values, written as in ParaView's Python.

Names are those of the Pipeline Browser. The state file shows which objects exist; only ParaView knows their properties
and the valid values.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from mpirender.engines.paraview.proxies import ByName, PVObject, animated
from mpirender.engines.paraview.state_xml import State
from mpirender.errors import UsageError, one_line
from mpirender.job.render_job import RenderJob
from mpirender.system.text import MOST_LISTED, did_you_mean, listed

# Registration groups of the objects that users change. A name that occurs more than once is refused.
GROUPS = ("sources", "representations", "views", "lookup_tables", "piecewise_functions", "scalar_bars", "animation")
PARTS_OF_TRACKS = ("Cue", "KeyFrame")  # too many to list, with similar names
# Domains that restrict the values of a property; ranges that depend on the data are only suggestions.
RANGES = ("vtkSMIntRangeDomain", "vtkSMDoubleRangeDomain")
LISTS = ("vtkSMStringListDomain", "vtkSMRepresentationTypeDomain")
FIXED = ("vtkSMEnumerationDomain", "vtkSMBooleanDomain")


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
    """Split ``NAME.PROPERTY=VALUE`` into name and property, which may contain dots; raise Refused without an object."""
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


def apply(job: RenderJob) -> None:
    """Set the properties in the loaded scene, after trying every value of ``--set`` and ``--vary``.

    :raises UsageError: with each unknown property and each invalid value.
    """
    from paraview import simple

    found = ByName(*GROUPS)
    moving = {(proxy.GetGlobalIDAsString(), name) for proxy, name in animated(simple.GetAnimationScene())}
    _check(job, lambda text: _set(text, found, moving))
    assign(job.variants[0].overrides)


def check_arrays(job: RenderJob) -> None:
    """Check that arrays which were set are in the computed data; raise UsageError with each missing array."""
    found = ByName(*GROUPS)

    def check(text: str) -> None:
        name, path = split(text, found)
        domain = _find(found[name], path)[1].SMProperty.FindDomain("vtkSMArrayListDomain")
        arrays = [domain.GetString(number) for number in range(domain.GetNumberOfStrings())] if domain else []
        value = value_of(text.partition("=")[2])
        array = value[-1] if isinstance(value, (list, tuple)) and value else value
        if arrays and array not in (*arrays, "", "None", None):
            has = f"{did_you_mean(str(array), arrays)}; it has: {listed(arrays)}"
            raise Refused(f"there is no array {array!r}{has}")

    _check(job, check)


def _check(job: RenderJob, check: Callable[[str], None]) -> None:
    """Check each property to set, each value once; raise UsageError with all refusals."""
    of_variants = dict.fromkeys(text for variant in job.variants for text in variant.overrides)
    refusals = []
    for option, text in (*(("set", text) for text in job.overrides), *(("vary", text) for text in of_variants)):
        try:
            check(text)
        except Refused as refused:
            refusals.append(f"--{option} {text}: {refused}")
    if refusals:
        raise UsageError(refusals)


def assign(overrides: Sequence[str]) -> None:
    """Set properties that were checked before."""
    found = ByName(*GROUPS)
    for text in overrides:
        _set(text, found, set())


def _set(text: str, found: Mapping[str, PVObject], moving: Collection[tuple[str, str]]) -> None:
    """Set one property; raise Refused if it does not exist, is animated, or does not accept the value."""
    name, path = split(text, found)
    owner, prop = _find(found[name], path)
    if (owner.SMProxy.GetGlobalIDAsString(), prop.SMProperty.GetXMLName()) in moving:
        raise Refused("an animation track sets it at every frame; delete the track, or edit its key frames")
    given = text.partition("=")[2]
    value, before, valid = value_of(given), _text(prop), False
    with contextlib.suppress(AttributeError, OverflowError, RuntimeError, TypeError, ValueError):
        if isinstance(value, str) and value in found and prop.SMProperty.IsA("vtkSMProxyProperty"):
            value = found[value]
        prop.SetData(value)
        valid = _fits(prop)
    if not valid:
        raise Refused(f"{given!r} is not a valid value; {_valid_values(prop)}in the state it is {before}")


def _find(proxy: PVObject, path: str) -> tuple[PVObject, PVObject]:
    """Return a property and its owner, which may be an inner object (``SliceType.Origin``)."""
    *inner, last = path.split(".")
    for step in inner:
        prop = proxy.GetProperty(step)
        within = prop.GetData() if prop is not None and prop.SMProperty.IsA("vtkSMProxyProperty") else None
        if prop is None or not hasattr(within, "GetProperty"):
            raise Refused(_no_property(proxy, step))
        proxy = within
    prop = proxy.GetProperty(last)
    if prop is None or not hasattr(prop, "SetData"):
        raise Refused(_no_property(proxy, last))
    return proxy, prop


def _no_property(proxy: PVObject, name: str) -> str:
    """Return a message that there is no such property, with the existing properties."""
    has = proxy.ListProperties()
    like = difflib.get_close_matches(name, has, MOST_LISTED, 0.4) if len(has) > MOST_LISTED else has
    what = f"similar properties of {proxy.SMProxy.GetXMLLabel()}: " if len(has) > MOST_LISTED else "it has: "
    return f"there is no property {name!r}{did_you_mean(name, has)}; {what}{listed(like)}"


def _fits(prop: PVObject) -> bool:
    """Return whether the current value of a property is valid for any data."""
    limits = _domain(prop, RANGES)
    if limits is not None:
        return all(_within(limits, place, prop[place]) for place in range(len(prop)))
    if _domain(prop, LISTS) is not None:
        return not prop.Available or all(prop[place] in prop.Available for place in range(len(prop)))
    domain = _domain(prop, FIXED)
    return domain is None or bool(domain.IsInDomain(prop.SMProperty))


def _within(limits: PVObject, place: int, number: float) -> bool:
    """Return whether a number is in a range; IsInDomain does not always check the values that were set."""
    least = limits.GetMinimum(place) if limits.GetMinimumExists(place) else number
    most = limits.GetMaximum(place) if limits.GetMaximumExists(place) else number
    return bool(least <= number <= most)


def _domain(prop: PVObject, kinds: Sequence[str]) -> PVObject:
    """Return the domain of exactly one of these classes; None if there is none."""
    found = (prop.SMProperty.FindDomain(kind) for kind in kinds)
    return next((domain for domain in found if domain is not None and domain.GetClassName() in kinds), None)


def _valid_values(prop: PVObject) -> str:
    """Return the valid values of a property, followed by a semicolon; empty if they are not known."""
    if getattr(prop, "Available", None):
        return f"it accepts {listed(prop.Available)}; "
    count = 1 if prop.SMProperty.GetRepeatable() else len(prop)
    if count > 1:
        return f"it accepts {count} values, [A, B, …]; "
    if _domain(prop, ("vtkSMBooleanDomain",)) is not None:
        return "it accepts 0 or 1; "
    domain = _domain(prop, RANGES)
    if domain is None:
        return ""
    kind = "whole numbers" if domain.IsA("vtkSMIntRangeDomain") else "numbers"
    least = f" from {domain.GetMinimum(0):g}" if domain.GetMinimumExists(0) else ""
    most = f" to {domain.GetMaximum(0):g}" if domain.GetMaximumExists(0) else ""
    return f"it accepts {kind}{least}{most}; "


def _text(prop: PVObject) -> str:
    """Return the value of a property as text; for an object, its class."""
    value = prop.GetData() if prop.SMProperty.IsA("vtkSMProxyProperty") else None
    return one_line(str(value.SMProxy.GetXMLLabel() if value is not None and hasattr(value, "SMProxy") else prop))
