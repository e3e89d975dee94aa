"""Messages between a process and its child, over a pair of sockets, in a way that a child that stops cannot block."""

from __future__ import annotations

import pickle
import select
import socket
import struct
from typing import Any

LENGTH = struct.Struct("!Q")  # before each message
CHUNK = 1 << 20


class Channel:
    """One end of a pair. Messages are Python objects and arrive in order.

    All methods raise EOFError if the other process has ended, or has closed its end.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._out, self._in = bytearray(), bytearray()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def post(self, message: object) -> None:
        """Send a message, as far as the other process takes it now; :meth:`poll` sends the rest."""
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._out += LENGTH.pack(len(content)) + content
        self._flush()

    def send(self, message: object) -> None:
        """Send a message, and wait until the other process has taken it."""
        self.post(message)
        while self._out:
            self._wait(select.POLLOUT, None)
            self._flush()

    def poll(self, seconds: float | None) -> bool:
        """Wait for a message at most so many seconds, None for ever; return whether there is one."""
        if not self._complete():
            self._wait(select.POLLIN | (select.POLLOUT if self._out else 0), seconds)
            self._flush()
            self._fill()
        return self._complete()

    def receive(self) -> Any:  # noqa: ANN401 - a message is any object
        """Wait for a message and return it."""
        while not self.poll(None):
            pass
        end = LENGTH.size + self._length()
        content = bytes(self._in[LENGTH.size : end])
        del self._in[:end]
        return pickle.loads(content)

    def _length(self) -> int:
        return int(LENGTH.unpack_from(self._in)[0])

    def _complete(self) -> bool:
        return len(self._in) >= LENGTH.size and len(self._in) >= LENGTH.size + self._length()

    def _wait(self, event: int, seconds: float | None) -> None:
        waiting = select.poll()  # select() takes no descriptor above 1023
        waiting.register(self._socket, event)
        waiting.poll(None if seconds is None else 1000 * seconds)

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError:
            raise EOFError from None

    def _fill(self) -> None:
        """Take what has arrived; what arrived before the other process ended is kept."""
        try:
            while not self._complete():
                part = self._socket.recv(CHUNK)
                if not part:
                    raise EOFError
                self._in += part
        except BlockingIOError:
            pass
        except OSError:
            raise EOFError from None
