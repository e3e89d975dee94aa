"""A stream that never keeps its writer waiting: a stalled terminal (Ctrl-S) or pager must not stall a run."""

from __future__ import annotations

import io
import queue
import threading
from typing import TextIO

MOST = 10_000  # pieces of text that wait for the stream; more are left out
END_SECONDS = 1.0  # for the last pieces


class BackgroundStream(io.TextIOBase):
    """Writes to another stream from a thread; a context manager that waits a moment for the last pieces."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(MOST)
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Say whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the stream."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Take a text, to be written as soon as possible."""
        try:
            self._waiting.put_nowait(text)
        except queue.Full:
            return 0
        return len(text)

    def __exit__(self, *error: object) -> None:
        try:
            self._waiting.put(None, timeout=END_SECONDS)
        except queue.Full:
            return
        self._thread.join(END_SECONDS)

    def _write_all(self) -> None:
        while (text := self._waiting.get()) is not None:
            self._stream.write(text)
            if self._waiting.empty():
                self._stream.flush()
