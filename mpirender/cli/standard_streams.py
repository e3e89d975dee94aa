"""Standard output and error: a closed pipe, a full disk behind them or none at all ends nothing but the printing."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys

OUTPUT, ERRORS = 1, 2
UNENCODABLE = "mpirender.unencodable"  # name of the handler below


class Surviving(io.RawIOBase):
    """A file descriptor to write to. When it can no longer be written, it leads to nowhere from then on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.lost: OSError | None = None  # why it could no longer be written

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: object) -> int:
        """Write all data, or note why that is impossible."""
        left = memoryview(data)  # type: ignore[arg-type]
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # whoever reads it has set it so
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.lost = error
                _lead_to_nowhere(self._descriptor)
        return len(memoryview(data))  # type: ignore[arg-type]


class Output(io.TextIOWrapper):
    """Standard output or error as text."""

    def __init__(self, descriptor: int, encoding: str | None) -> None:
        self.target = Surviving(descriptor)
        by_line = descriptor == ERRORS or os.isatty(descriptor)
        super().__init__(io.BufferedWriter(self.target), encoding, UNENCODABLE, line_buffering=by_line)

    @property
    def closed_by_reader(self) -> bool:
        """Whether the program that reads it has read enough."""
        return self.target.lost is not None and self.target.lost.errno == errno.EPIPE

    @property
    def problem(self) -> str:
        """Why it could not be written, except because its reader has closed it; empty if it could."""
        lost = self.target.lost
        return "" if lost is None or self.closed_by_reader else lost.strerror or str(lost)


def install() -> Output:
    """Make sys.stdout and sys.stderr streams that survive, and return the first."""
    open_missing()
    codecs.register_error(UNENCODABLE, _encoded)
    output = Output(OUTPUT, getattr(sys.stdout, "encoding", None))
    sys.stdout, sys.stderr = output, Output(ERRORS, getattr(sys.stderr, "encoding", None))
    return output


def unread() -> bool:
    """Say whether whoever reads standard output has stopped doing so."""
    return isinstance(sys.stdout, Output) and sys.stdout.target.lost is not None


def open_missing() -> None:
    """Open the standard streams that are closed: otherwise the next file to be opened would take their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= ERRORS:
        pass
    os.close(descriptor)


def _encoded(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write the bytes of a file name that is no text as they are, and characters that the encoding lacks by number."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _lead_to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
