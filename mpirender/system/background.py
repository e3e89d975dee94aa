"""Work that a thread does beside the work of its process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def working(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run ``work`` in a thread during the block; it ends soon after the event that it is given is set."""
    ended = threading.Event()
    thread = threading.Thread(target=work, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
