"""Read the file of a test pattern (see :mod:`mpirender.engines.pattern`), and say what is wrong with it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mpirender.errors import UsageError

if TYPE_CHECKING:
    from typing import TypeGuard  # of Python 3.10

FRAMES = 24  # unless the file says how many
LONGEST_SECONDS = 1e6  # of an image
MOST_MIB = 1 << 20  # that an image leaks
MEMORIES = ("order", "chance", "first")


def read(content: bytes, name: str) -> dict[str, Any]:
    """Return the settings of a pattern.

    :raises UsageError: it is none, or some settings are wrong; the error names all of them.
    """
    try:
        settings = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: not a test pattern: {error}") from None
    if not isinstance(settings, dict) or not is_number(settings.get("frames", FRAMES)):
        raise UsageError(f'{name}: not a test pattern; write {{"frames": {FRAMES}, "seconds": 0.1}}')
    wrong = [key for key, (fits, _) in SETTINGS.items() if key in settings and not fits(settings[key])]
    if wrong:
        raise UsageError([f"{name}: {key} is not {SETTINGS[key][1]}" for key in wrong])
    return settings


def is_number(value: object) -> TypeGuard[int]:
    """Say whether this is a whole number, and not true or false."""
    return isinstance(value, int) and not isinstance(value, bool)


def are_numbers(value: object) -> bool:
    """Say whether this is a list of whole numbers."""
    return isinstance(value, list) and all(map(is_number, value))


def is_time(value: object) -> bool:
    """Say whether a process can sleep for so many seconds."""
    return (is_number(value) or isinstance(value, float)) and 0 <= value <= LONGEST_SECONDS


def are_times(value: object) -> bool:
    """Say whether this is a time or a list of times."""
    return all(map(is_time, value)) if isinstance(value, list) else is_time(value)


def is_path(value: object) -> bool:
    """Say whether this can be the path of a file."""
    return is_text(value) and value != "" and "\0" not in str(value)


def is_text(value: object) -> bool:
    """Say whether this is a text that can be printed."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def are_paths(value: object) -> bool:
    """Say whether this is a list of paths."""
    return isinstance(value, list) and all(map(is_path, value))


def is_end(value: object) -> bool:
    """Say whether a process can end so: by a signal, or with an exit code."""
    text = str(value) if is_number(value) or isinstance(value, str) else ""
    return text in signal.Signals.__members__ or text in map(str, range(256))


def are_loads(value: object) -> bool:
    """Say whether this says for some ranks at which times that they open the scene they die."""
    return isinstance(value, dict) and all(map(are_numbers, value.values()))


_NUMBERS = (are_numbers, "a list of frames such as [2, 3]")
SETTINGS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "seconds": (are_times, f"a number of seconds from 0 to {LONGEST_SECONDS:g}, or a list of them"),
    "picture": (is_path, "the name of a file"),
    "fail": _NUMBERS, "flaky": _NUMBERS, "hang": _NUMBERS, "kill": _NUMBERS,
    "how": (is_end, "a signal such as SIGKILL, or an exit code from 0 to 255"),
    "kill_load": (are_loads, 'for each rank a list of numbers, such as {"1": [2]}'),
    "grow": (lambda value: is_number(value) and 0 <= value <= MOST_MIB, f"a number of MiB from 0 to {MOST_MIB}"),
    "say": (is_text, "a text"),
    "data": (are_paths, "a list of file names, one for each frame"),
    "remembers": (lambda value: value in MEMORIES, f"one of {', '.join(MEMORIES)}"),
}  # fmt: skip
