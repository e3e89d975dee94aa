"""Check JSON values against the types of a class: the fields of a record, or of a tuple in it."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

LARGEST = 10**18  # of any whole number; bytes of a disk stay below it

Reader = Callable[[Any], Any]  # returns the value in its type, or raises Unsound


class Unsound(ValueError):
    """A value has the wrong type, or is not reasonable."""


def between(least: float, most: float) -> Callable[[float], bool]:
    """Return a test for numbers, to be used in ``Annotated``."""
    return lambda number: least <= number <= most


def _checked(sound: Callable[[Any], bool], make: Reader) -> Reader:
    """Return a function that makes a value of one that passes the test, and refuses others."""

    def read(value: Any) -> Any:  # noqa: ANN401
        if not sound(value):
            raise Unsound
        return make(value)

    return read


def readable(text: str) -> str:
    """Return a text as records are read: half a surrogate, as in names that are not UTF-8, cannot be printed."""
    return text if text.isascii() else text.encode(errors="replace").decode()


@functools.cache
def reader(kind: Any) -> Reader:  # noqa: ANN401 - any type hint
    """Return the function that checks a JSON value and returns it in this type.

    Known are str, int, float, bool, Any, Optional, tuple, dict with text as keys, named tuples, and ``Annotated`` with
    tests that the value must pass. Whole numbers are not negative unless they stand for a float.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        read, tested = (
            reader(args[0]),
            _checked(lambda value: all(test(value) for test in args[1:]), lambda value: value),
        )
        return lambda value: tested(read(value))
    if origin is Union:
        read = reader(args[0])
        return lambda value: None if value is None else read(value)
    if origin is dict:
        key, read = map(reader, args)
        return _checked(_is(dict), lambda value: {key(name): read(item) for name, item in value.items()})
    if origin is tuple:
        read, endless = reader(args[0]), args[-1] is Ellipsis
        return _checked(_is(list, tuple), lambda value: tuple(map(read, value))) if endless else _tuple(None, args)
    if hasattr(kind, "_fields"):
        return _tuple(kind, get_type_hints(kind, include_extras=True).values())
    return SIMPLE[kind]


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _tuple(kind: Any, kinds: Iterable[Any]) -> Reader:  # noqa: ANN401 - a class of named tuples, None for plain ones
    readers = tuple(map(reader, kinds))
    made = kind._make if kind else tuple
    return _checked(
        lambda value: isinstance(value, (list, tuple)) and len(value) == len(readers),
        lambda value: made(read(item) for read, item in zip(readers, value)),
    )


SIMPLE: dict[Any, Reader] = {
    Any: lambda value: value,
    bool: _checked(_is(bool), bool),
    int: _checked(lambda value: type(value) is int and 0 <= value <= LARGEST, int),
    # NaN is not smaller than any number.
    float: _checked(lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max, float),
    str: _checked(_is(str), readable),
}

MOST_RANKS = 1_000_000
END_OF_TIME = 253_402_300_799  # the last second of the year 9999
FRAME_SET = re.compile(r"(?:\d{1,7}(?:-\d{1,7}(?:x[1-9]\d{0,6})?)?(?:,(?!$)|$))+")

NUMBERS = re.compile(r"\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*")

Time = Annotated[float, between(0, END_OF_TIME)]  # seconds since the epoch
Seconds = Annotated[float, between(-1, END_OF_TIME)]  # a clock may be set back a little
Rank = Annotated[int, between(0, MOST_RANKS)]
Ranks = Annotated[int, between(1, MOST_RANKS)]
FrameSet = Annotated[str, FRAME_SET.match]
Numbers = Annotated[str, NUMBERS.fullmatch]  # 0-4,7
PathBelow = Annotated[str, lambda path: ".." not in path.split("/") and not path.startswith("/")]  # some folder
