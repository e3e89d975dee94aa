"""The declaration of a field of RenderJob. Its option, its checks and its documentation are derived from it."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")
KINDS: dict[str, type] = {"int": int, "float": float, "bool": bool}  # other values are text on the command line
METAVARS: dict[type, str] = {int: "N", float: "SECONDS"}


@dataclass(frozen=True)
class Option:
    """The declaration of a field."""

    help: str  # the help text; choices, repetition and default are added to it
    pixels: bool | None = None  # whether images are rendered again if the value changes (pixels, or data beside them)
    group: str = ""  # the heading of ``--help`` that lists it; by default, that of the field before it
    positional: bool = False  # whether it is an argument of the command, or set by mpirender alone: no group, no name
    metavar: str = ""
    name: str = ""  # name of the option without ``--``; by default, that of the field
    short: str = ""
    choices: Mapping[str, str] = dataclasses.field(default_factory=dict)  # values with descriptions, which may be empty
    least: float | None = None
    most: float | None = None
    above: float | None = None  # like least, but the limit itself is not allowed
    engines: tuple[str, ...] = ()  # the engines to which it applies; empty for all
    several: bool = False  # whether the option can be repeated
    last_wins: bool = False  # whether repeated values are kept, because the last one for a property counts
    without: str = ""  # a description of the default, if the default is None or empty
    read: Callable[[Any], Any] = lambda value: value  # checks and converts a value; raises ValueError with the reason
    field: str = ""  # its name, default and type: filled in from the class
    default: Any = None
    kind: type = str

    @property
    def flag(self) -> str:
        """The option on the command line, ``--samples``."""
        return "--" + (self.name or self.field).replace("_", "-")

    @property
    def text(self) -> str:
        """The help text with choices, repetition and the description of the default."""
        choices = ", ".join(f"{one} ({what})" if what else one for one, what in self.choices.items())
        first, dot, rest = self.help.partition(".")
        text = f"{first}: {choices}{dot}{rest}" if choices else self.help
        text += " Can be repeated." if self.several else ""
        return text + (f"  [default: {self.without}]" if self.without else "")

    def applies_to(self, engine: str) -> bool:
        """Return whether it applies to an engine."""
        return not self.engines or engine in self.engines

    def check(self, given: Any) -> tuple[Any, list[str]]:  # noqa: ANN401
        """Return the checked and converted value, and all mistakes in it."""
        if given is None and self.default is None:
            return None, []
        if not self.several:
            return self._check_one(given)
        items = given.items() if isinstance(given, Mapping) else given
        checked = [self._check_one(item) for item in ((items,) if isinstance(items, str) else items)]
        values = [value for value, wrong in checked if not wrong]
        mistakes = [mistake for _, wrong in checked for mistake in wrong]
        return tuple(values if self.last_wins else dict.fromkeys(values)), mistakes

    def _check_one(self, given: Any) -> tuple[Any, list[str]]:  # noqa: ANN401
        if self.choices and given not in self.choices:
            return given, [f"{self.flag} {given!r} must be one of: {', '.join(self.choices)}"]
        for limit, words, keeps in (
            (self.least, "at least", operator.ge), (self.most, "at most", operator.le),
            (self.above, "more than", operator.gt),
        ):  # fmt: skip
            if limit is not None and not keeps(given, limit):
                return given, [f"{self.flag} {given:.12g} must be {words} {limit}"]
        try:
            return self.read(given), []
        except ValueError as error:
            return given, [f"{self.flag} {error}" if self.group else str(error)]


def option(default: Value, help: str, *, choices: Iterable[str] = (), **declared: Any) -> Value:  # noqa: ANN401
    """Declare a field with a default; see :class:`Option` for the arguments."""
    described = choices if isinstance(choices, Mapping) else dict.fromkeys(choices, "")
    field: Any = dataclasses.field(default=default, metadata={"option": Option(help, choices=described, **declared)})
    return field  # type: ignore[no-any-return]


def declarations(job: type) -> dict[str, Option]:
    """Return the declarations of a class, by field.

    :raises TypeError: a field does not say whether it changes pixels.
    """
    found: dict[str, Option] = {}
    group = ""
    for field in dataclasses.fields(job):
        declared = field.metadata.get("option")
        if declared is None or declared.pixels is None:
            fix = "declare it with option(…, pixels=True) or option(…, pixels=False)"
            raise TypeError(f"{job.__name__}.{field.name} does not say whether it changes pixels: {fix}")
        kind = KINDS.get(str(field.type).partition(" ")[0], str)
        group, metavar = declared.group or group, declared.metavar or METAVARS.get(kind, "NAME")
        found[field.name] = dataclasses.replace(
            declared,
            field=field.name,
            default=field.default,
            kind=kind,
            metavar=metavar,
            group="" if declared.positional else group,
        )
    return found
