"""The server that the ranks of a pool connect to: their messages become one queue of events.

The connections are those of :mod:`multiprocessing`. Each side proves that it has the key, which the ranks get through
their environment; the messages are not encrypted.
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
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge

from mpirender.pool import pickling
from mpirender.pool.messages import FromRank, Gone, Hello
from mpirender.system.site import POOL

KEY_BYTES = 32
BACKLOG = 4096  # ranks that may connect at the same time
LOOPBACK = "127.0.0.1"
ANY_PORT = 9  # nothing is sent there
ASK_SECONDS = 20  # without a message, until the kernel asks the other machine whether it is there, and asks again
UNANSWERED = 6  # such questions, after which the connection ends


class Peer:
    """The connection to a rank."""

    def __init__(self, connection: Connection, hello: Hello) -> None:
        self.hello = hello
        self._connection = connection

    def send(self, message: object) -> None:
        """Send a message; ignore a rank that is gone, since that is an event of its own."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(pickling.dumps(message))


class Server:
    """The server of a pool, for the ranks on these nodes, or on this machine alone; a context manager."""

    def __init__(self, nodes: Sequence[str] = ()) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)
        self._events: queue.SimpleQueue[tuple[Peer, FromRank]] = queue.SimpleQueue()
        self._socket = socket.create_server(("" if nodes else LOOPBACK, 0), backlog=BACKLOG)
        port = self._socket.getsockname()[1]
        self._addresses = [(host, port) for host in (addresses(nodes) if nodes else [LOOPBACK])]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for connections
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which ranks find this server."""
        return {POOL: json.dumps({"key": self._key.hex(), "addresses": self._addresses})}

    def receive(self, seconds: float) -> tuple[Peer, FromRank] | None:
        """Return the next message of a rank, None if none arrives in time."""
        with contextlib.suppress(queue.Empty):
            return self._events.get(timeout=seconds)
        return None

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._socket.accept()
            except OSError:  # closed
                return
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keep_alive(stream)
            connection = Connection(stream.detach())
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        """Queue the messages of one connection, to its end; refuse a connection without the key."""
        try:
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            peer = Peer(connection, pickle.loads(connection.recv_bytes()))
        except (OSError, EOFError, AuthenticationError):
            connection.close()
            return
        self._events.put((peer, peer.hello))
        with contextlib.suppress(OSError, EOFError):
            while True:
                self._events.put((peer, pickle.loads(connection.recv_bytes())))
        self._events.put((peer, Gone()))


def keep_alive(stream: socket.socket) -> None:
    """Let a connection end when the other machine no longer responds: a node that is lost does not close it."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ASK_SECONDS)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_SECONDS)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, UNANSWERED)


def addresses(nodes: Sequence[str]) -> list[str]:
    """Return the addresses at which other machines may reach this one: those on the routes to them, and its name."""
    found = {}
    for node in (nodes[0], nodes[-1]):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((node, ANY_PORT))  # sends nothing, but chooses the route
            found[probe.getsockname()[0]] = True
    return [*found, socket.gethostname()]
