"""Check JSON values against the types of a class: the fields of a record, or of a tuple in it."""

from __future__ import annotations

import functools
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


@functools.cache
def reader(kind: Any) -> Reader:  # noqa: ANN401 - any type hint
    """Return the function that checks a JSON value and returns it in this type.

    Known are str, int, float, bool, Any, Optional, tuple, dict with text as keys, named tuples, and ``Annotated`` with
    tests that the value must pass. Whole numbers are not negative unless they stand for a float.
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return functools.partial(_tested, reader(args[0]), args[1:])
    if origin is Union:
        return functools.partial(_optional, reader(args[0]))
    if origin is dict:
        return functools.partial(_dict, reader(args[0]), reader(args[1]))
    if origin is tuple:
        endless = args[-1] is Ellipsis
        return functools.partial(_list, reader(args[0])) if endless else _tuple_reader(lambda *values: values, args)
    if hasattr(kind, "_fields"):
        return _tuple_reader(kind, [get_type_hints(kind, include_extras=True)[name] for name in kind._fields])
    return SIMPLE[kind]


def _tuple_reader(make: Callable[..., Any], kinds: Iterable[Any]) -> Reader:
    return functools.partial(_tuple, make, tuple(map(reader, kinds)))


def _str(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise Unsound
    return value if value.isascii() else value.encode(errors="replace").decode()  # half a surrogate cannot be printed


def _int(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise Unsound
    return value


def _float(value: Any) -> float:  # noqa: ANN401
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:  # neither is NaN
        raise Unsound
    return float(value)


def _bool(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, bool):
        raise Unsound
    return value


def _tested(read: Reader, tests: tuple[Callable[[Any], bool], ...], value: Any) -> Any:  # noqa: ANN401
    result = read(value)
    if not all(test(result) for test in tests):
        raise Unsound
    return result


def _optional(read: Reader, value: Any) -> Any:  # noqa: ANN401
    return None if value is None else read(value)


def _dict(read_key: Reader, read: Reader, value: Any) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise Unsound
    return {read_key(key): read(item) for key, item in value.items()}


def _list(read: Reader, value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    if not isinstance(value, (list, tuple)):
        raise Unsound
    return tuple(map(read, value))


def _tuple(make: Callable[..., Any], readers: tuple[Reader, ...], value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, (list, tuple)) or len(value) != len(readers):
        raise Unsound
    return make(*(read(item) for read, item in zip(readers, value)))


SIMPLE: dict[Any, Reader] = {str: _str, int: _int, float: _float, bool: _bool, Any: lambda value: value}
