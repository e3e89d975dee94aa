"""Properties of an open scene set to other values, or refused with what they take; see :mod:`overrides`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from mpirender.engines.paraview.orbit_camera import OF_CAMERA
from mpirender.engines.paraview.overrides import GROUPS, Refused, split, value_of
from mpirender.errors import UsageError, one_line
from mpirender.job.render_job import RenderJob
from mpirender.system.text import MOST_LISTED, did_you_mean, listed

# Domains that say what a property can take; ranges that depend on the data are mere suggestions.
RANGES = ("vtkSMIntRangeDomain", "vtkSMDoubleRangeDomain")
LISTS = ("vtkSMStringListDomain", "vtkSMRepresentationTypeDomain")
CAMERA = ("CameraPosition", "CameraFocalPoint", "CameraViewUp", "CameraViewAngle", "CameraParallelScale")
FIXED = ("vtkSMEnumerationDomain", "vtkSMBooleanDomain")


def apply(job: RenderJob) -> None:
    """Set the properties in the scene that ParaView has loaded; try those that are to take several values.

    Raises:
        UsageError: with each that is not there, and each value that a property does not take.
    """
    found, wrong = _objects(), []
    animated = _animated(found)
    for option, text in _asked(job):
        try:
            _set(text, found, animated)
        except Refused as refused:
            wrong.append(f"--{option} {text}: {refused}")
    if wrong:
        raise UsageError(wrong)
    assign(job.variants[0].overrides)


def check_arrays(job: RenderJob) -> None:
    """Make sure that arrays which were set are in the data; to be called when these have been computed.

    Raises:
        UsageError: with each that is not.
    """
    found, wrong = _objects(), []
    for option, text in _asked(job):
        name, path = split(text, found)
        domain = _find(found[name], path)[1].SMProperty.FindDomain("vtkSMArrayListDomain")
        arrays = [domain.GetString(number) for number in range(domain.GetNumberOfStrings())] if domain else []
        value = value_of(text.partition("=")[2])
        array = value[-1] if isinstance(value, (list, tuple)) and value else value
        if arrays and array not in (*arrays, "", "None", None):
            has = f"{did_you_mean(str(array), arrays)}; it has: {listed(arrays)}"
            wrong.append(f"--{option} {text}: there is no array {array!r}{has}")
    if wrong:
        raise UsageError(wrong)


def _asked(job: RenderJob) -> list[tuple[str, str]]:
    """Return the properties to set, each value once, with the option that asks for it."""
    of_variants = dict.fromkeys(text for variant in job.variants for text in variant.overrides)
    return [*(("set", text) for text in job.overrides), *(("vary", text) for text in of_variants)]


def assign(overrides: Sequence[str]) -> None:
    """Set properties that have been tried before."""
    found = _objects()
    for text in overrides:
        _set(text, found, set())


def _objects() -> dict[str, Any]:
    """Return the objects of the scene by name."""
    from paraview import servermanager

    manager = servermanager.ProxyManager()
    found: dict[str, Any] = {}
    for group in GROUPS:
        for (name, _), proxy in manager.GetProxiesInGroup(group).items():
            found.setdefault(name, proxy)
    return found


def _animated(found: dict[str, Any]) -> set[tuple[str, str]]:
    """Return what tracks of the animation change: the id of each object, and the property."""
    changed: set[tuple[str, str]] = set()
    for cue in (cue for scene in found.values() for cue in getattr(scene, "Cues", None) or ()):
        animated = getattr(cue, "AnimatedProxy", None)
        if cue.Enabled and animated is not None:
            names = CAMERA if cue.SMProxy.GetXMLName() == OF_CAMERA else (getattr(cue, "AnimatedPropertyName", ""),)
            changed.update((animated.SMProxy.GetGlobalIDAsString(), name) for name in names)
    return changed


def _set(text: str, found: dict[str, Any], animated: set[tuple[str, str]]) -> None:
    """Set one property.

    Raises:
        Refused: it is not there, does not take the value, or is animated.
    """
    name, path = split(text, found)
    owner, prop = _find(found[name], path)
    if (owner.SMProxy.GetGlobalIDAsString(), prop.SMProperty.GetXMLName()) in animated:
        raise Refused("a track of the animation changes it at every frame; delete that, or change its key frames")
    told = text.partition("=")[2]
    value, before = value_of(told), _told(prop)
    try:
        if isinstance(value, str) and value in found and prop.SMProperty.IsA("vtkSMProxyProperty"):
            value = found[value]
        prop.SetData(value)
    except (AttributeError, OverflowError, RuntimeError, TypeError, ValueError):
        raise Refused(f"it does not take {told!r}; {_takes(prop)}in the state it is {before}") from None
    if not _fits(prop):
        raise Refused(f"it does not take {told!r}; {_takes(prop)}in the state it is {before}")


def _find(proxy: Any, path: str) -> tuple[Any, Any]:  # noqa: ANN401 - ParaView's proxies have no types
    """Return a property and the object that it is of, which may be an inner one (``SliceType.Origin``).

    Raises:
        Refused: there is no such property.
    """
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


def _no_property(proxy: Any, name: str) -> str:  # noqa: ANN401
    """Say that there is no such property, and which there are."""
    has = proxy.ListProperties()
    like = difflib.get_close_matches(name, has, MOST_LISTED, 0.4) if len(has) > MOST_LISTED else has
    what = f"those of {proxy.SMProxy.GetXMLLabel()} that look like it: " if len(has) > MOST_LISTED else "it has: "
    return f"there is no property {name!r}{did_you_mean(name, has)}; {what}{listed(like)}"


def _fits(prop: Any) -> bool:  # noqa: ANN401
    """Say whether the value that a property has is one that it can have whatever the data are."""
    limits = _domain(prop, RANGES)
    if limits is not None:
        return all(_within(limits, place, prop[place]) for place in range(len(prop)))
    if _domain(prop, LISTS) is not None:
        return not prop.Available or all(prop[place] in prop.Available for place in range(len(prop)))
    domain = _domain(prop, FIXED)
    return domain is None or bool(domain.IsInDomain(prop.SMProperty))


def _within(limits: Any, place: int, number: float) -> bool:  # noqa: ANN401
    """Say whether a number is in a range; those that IsInDomain looks at are not always those that were set."""
    least = limits.GetMinimum(place) if limits.GetMinimumExists(place) else number
    most = limits.GetMaximum(place) if limits.GetMaximumExists(place) else number
    return bool(least <= number <= most)


def _domain(prop: Any, kinds: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the domain of one of these kinds, None if there is none; not of a kind that derives from them."""
    found = (prop.SMProperty.FindDomain(kind) for kind in kinds)
    return next((domain for domain in found if domain is not None and domain.GetClassName() in kinds), None)


def _takes(prop: Any) -> str:  # noqa: ANN401
    """Say what a property takes, with a semicolon behind it; nothing where it does not tell."""
    choices: Sequence[str] = getattr(prop, "Available", None) or ()
    if choices:
        return f"it takes {listed(choices)}; "
    count = 1 if prop.SMProperty.GetRepeatable() else len(prop)
    if count > 1:
        return f"it takes {count} values, [A, B, …]; "
    if _domain(prop, ("vtkSMBooleanDomain",)) is not None:
        return "it takes 0 or 1; "
    limits = _domain(prop, RANGES)
    return "" if limits is None else _between(limits)


def _between(domain: Any) -> str:  # noqa: ANN401
    """Say from where to where a number may be."""
    kind = "whole numbers" if domain.IsA("vtkSMIntRangeDomain") else "numbers"
    least = f" from {domain.GetMinimum(0):g}" if domain.GetMinimumExists(0) else ""
    most = f" to {domain.GetMaximum(0):g}" if domain.GetMaximumExists(0) else ""
    return f"it takes {kind}{least}{most}; "


def _told(prop: Any) -> str:  # noqa: ANN401
    """Return the value of a property as text; of an object its kind."""
    value = prop.GetData() if prop.SMProperty.IsA("vtkSMProxyProperty") else None
    return one_line(str(value.SMProxy.GetXMLLabel() if value is not None and hasattr(value, "SMProxy") else prop))
