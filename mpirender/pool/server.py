"""Where the ranks of a pool connect to: what they say becomes a queue of events, whoever says it and whenever.

The connections are those of :mod:`multiprocessing`. Each side proves that it has the key, which the ranks get through
their environment; what is sent is not encrypted.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import queue
import secrets
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Union

from mpirender.pool import pickling
from mpirender.pool.worker import Answer, Hello, Ready
from mpirender.system.site import POOL

KEY_BYTES = 32
WAITING = 4096  # ranks that may connect at once
LOOPBACK = "127.0.0.1"
ANY_PORT = 9  # nothing is sent there


@dataclass(frozen=True)
class Gone:
    """The connection of a rank has ended."""


Said = Union[Hello, Ready, Answer, Gone]


class Peer:
    """The connection to a rank."""

    def __init__(self, line: Connection, hello: Hello) -> None:
        self.hello = hello
        self._line = line

    def tell(self, message: object) -> None:
        """Send something; to a rank that is gone nothing is sent, and that it is gone is an event of its own."""
        with contextlib.suppress(OSError):
            self._line.send_bytes(pickling.dumps(message))


class Exchange:
    """A place to connect to; a context manager.

    Args:
        nodes: machines from which ranks connect; none for this one alone, and then no other machine can connect.
    """

    def __init__(self, nodes: Sequence[str] = ()) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)
        self._events: queue.SimpleQueue[tuple[Peer, Said]] = queue.SimpleQueue()
        self._server = socket.create_server(("" if nodes else LOOPBACK, 0), backlog=WAITING)
        port = self._server.getsockname()[1]
        self._at = [(host, port) for host in (addresses(nodes) if nodes else [LOOPBACK])]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # else the thread that waits there would not hear of it
        self._server.close()

    @property
    def settings(self) -> dict[str, str]:
        """The environment by which ranks find this place."""
        return {POOL: json.dumps({"key": self._key.hex(), "at": self._at})}

    def hear(self, seconds: float) -> tuple[Peer, Said] | None:
        """Return what a rank has said, None if that takes longer."""
        with contextlib.suppress(queue.Empty):
            return self._events.get(timeout=seconds)
        return None

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._server.accept()
            except OSError:  # closed
                return
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Connection(stream.detach())
            threading.Thread(target=self._listen, args=(line,), daemon=True).start()

    def _listen(self, line: Connection) -> None:
        """Hear one who has connected, to the end; who does not have the key is not heard."""
        try:
            deliver_challenge(line, self._key)
            answer_challenge(line, self._key)
            peer = Peer(line, pickle.loads(line.recv_bytes()))
        except (OSError, EOFError, AuthenticationError):
            line.close()
            return
        self._events.put((peer, peer.hello))
        with contextlib.suppress(OSError, EOFError):
            while True:
                self._events.put((peer, pickle.loads(line.recv_bytes())))
        self._events.put((peer, Gone()))


def addresses(nodes: Sequence[str]) -> list[str]:
    """Return what other machines may call this one: by the address it has towards them, and its name."""
    found = {}
    for node in (nodes[0], nodes[-1]):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect((node, ANY_PORT))  # sends nothing, but chooses the way
            found[way.getsockname()[0]] = True
    return [*found, socket.gethostname()]
