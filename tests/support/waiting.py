"""Wait until a condition becomes true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(condition: Callable[[], Found], seconds: float = 60, explain: Callable[[], str] = str) -> Found:
    """Wait until a condition is true; return its value.

    :param explain: returns the message if the condition does not become true in time.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, explain() or f"not true within {seconds} s"
        time.sleep(0.02)
    return found
