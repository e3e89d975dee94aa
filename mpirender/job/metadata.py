"""How a field of RenderJob is declared, once: its option, its checks and its documentation come from that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")
KINDS: dict[str, type] = {"int": int, "float": float, "bool": bool}  # other values are text on the command line
METAVARS: dict[type, str] = {int: "N", float: "SECONDS"}


@dataclass(frozen=True)
class Option:
    """The declaration of a field.

    Args:
        help: what it is, for ``--help`` and the reference page; choices, default and repetition are added to it.
        pixels: whether images are rendered again if it changes: it changes pixels, or what an image must come with.
        group: the heading of ``--help`` that lists it; empty for the scene, which is no option.
        name: of the option without ``--``, if it is not that of the field.
        short: the option of one letter.
        choices: the values that it can have, with a description each where the name alone is not clear.
        least, most, above: the range of a number; ``above`` does not belong to it.
        engines: the names of the engines that take it; empty for all.
        several: whether it can be given several times, and is a tuple.
        last_wins: whether values of the same name may follow one another, the last of which counts.
        without: what happens without it, if its default does not show that.
        read: returns a value, or one of several, as the job keeps it. Raises ValueError if it is wrong.
        field, default, kind: of the field, taken from the class.
    """

    help: str
    pixels: bool | None
    group: str = ""
    metavar: str = ""
    name: str = ""
    short: str = ""
    choices: Mapping[str, str] = dataclasses.field(default_factory=dict)
    least: float | None = None
    most: float | None = None
    above: float | None = None
    engines: tuple[str, ...] = ()
    several: bool = False
    last_wins: bool = False
    without: str = ""
    read: Callable[[Any], Any] = lambda value: value
    field: str = ""
    default: Any = None
    kind: type = str

    @property
    def flag(self) -> str:
        """The option as it is written on the command line."""
        return "--" + (self.name or self.field).replace("_", "-")

    @property
    def text(self) -> str:
        """The help with the choices, the range, and what happens without it."""
        choices = ", ".join(f"{one} ({what})" if what else one for one, what in self.choices.items())
        first, dot, rest = self.help.partition(".")
        text = f"{first}: {choices}{dot}{rest}" if choices else self.help
        text += " Can be repeated." if self.several else ""
        return text + (f" [default: {self.without}]" if self.without else "")

    def applies_to(self, engine: str) -> bool:
        """Say whether an engine takes it."""
        return not self.engines or engine in self.engines

    def check(self, given: Any) -> tuple[Any, list[str]]:  # noqa: ANN401
        """Return a value as the job keeps it, and what is wrong with it, in a line each."""
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
        bound = ""
        if self.least is not None and not given >= self.least:  # NaN is neither more nor less
            bound = f"at least {self.least}"
        elif self.most is not None and not given <= self.most:
            bound = f"at most {self.most}"
        elif self.above is not None and not given > self.above:
            bound = f"more than {self.above}"
        if bound:
            return given, [f"{self.flag} {given:.12g} must be {bound}"]
        try:
            return self.read(given), []
        except ValueError as error:
            return given, [f"{self.flag} {error}"]


def option(
    default: Value,
    help: str,
    *,
    pixels: bool | None = None,
    choices: Iterable[str] = (),
    **declared: Any,  # noqa: ANN401
) -> Value:
    """Declare a field with a default; see :class:`Option` for the arguments."""
    described = choices if isinstance(choices, Mapping) else dict.fromkeys(choices, "")
    declaration = Option(help, pixels, choices=described, **declared)
    field: Any = dataclasses.field(default=default, metadata={"option": declaration})
    return field  # type: ignore[no-any-return]


def declarations(job: type) -> dict[str, Option]:
    """Return the declarations of a class, by field.

    Raises:
        TypeError: a field does not say whether it changes pixels.
    """
    found: dict[str, Option] = {}
    group = ""
    for field in dataclasses.fields(job):
        declared = field.metadata.get("option")
        if declared is None or declared.pixels is None:
            raise TypeError(
                f"{job.__name__}.{field.name} does not say whether it changes pixels: declare it with "
                "option(…, pixels=True) or option(…, pixels=False)"
            )
        kind = KINDS.get(str(field.type).partition(" ")[0], str)
        group, metavar = declared.group or group, declared.metavar or METAVARS.get(kind, "NAME")
        found[field.name] = dataclasses.replace(
            declared, field=field.name, default=field.default, kind=kind, group=group, metavar=metavar
        )
    return found
