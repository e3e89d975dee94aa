"""The server that the ranks of a pool connect to: their messages become one queue of events.

Each side proves that it has the key (:mod:`mpirender.pool.handshake`), which the ranks get through their environment;
the messages are not encrypted. Other users of the machine can connect, too: until a connection has proved the key, it
costs a file descriptor for a while and no thread, and there are only so many.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import queue
import resource
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

from mpirender.pool import handshake, pickling
from mpirender.pool.messages import FromRank, Gone, Hello
from mpirender.system.site import POOL

KEY_BYTES = 32
BACKLOG = 4096  # ranks that may connect at the same time
LOOPBACK = "127.0.0.1"
ANY_PORT = 9  # nothing is sent there
ASK_SECONDS = 20  # without a message, until the kernel asks the other machine whether it is there, and asks again
UNANSWERED = 6  # such questions, after which the connection ends
STRANGER_SECONDS = 20.0  # in which a connection must prove the key
MOST_STRANGERS = 256  # at a time, and at most a quarter of the files that this process may open
AT_ONCE = 32  # connections to accept before others are heard
POLL_SECONDS = 0.2


class Peer:
    """The connection to a rank."""

    def __init__(self, connection: Connection, hello: Hello) -> None:
        self.hello = hello
        self._connection = connection
        self._waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._sender: threading.Thread | None = None

    def send(self, message: object) -> None:
        """Send a message, from a thread: a rank that is stopped takes none, and the other ranks must not wait for it.

        A rank that is gone is ignored, since that is an event of its own.
        """
        self._waiting.put(pickling.dumps(message))
        if self._sender is None:
            self._sender = threading.Thread(target=self._send, daemon=True)
            self._sender.start()

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connection.send_bytes(self._waiting.get())


class Stranger:
    """A connection that has not proved yet that it is a rank."""

    def __init__(self, stream: socket.socket) -> None:
        """Send the challenge.

        :raises OSError: the connection is gone.
        """
        self.stream, self.since = stream, time.monotonic()
        self._challenge, self._answer = handshake.challenge(), b""
        stream.setblocking(False)
        stream.send(self._challenge)

    def hear(self, key: bytes) -> bool:
        """Read what has come; return whether the key is proved.

        :raises OSError: the connection is gone, or the answer is wrong.
        """
        try:
            part = self.stream.recv(handshake.ANSWER_BYTES - len(self._answer))
        except BlockingIOError:
            return False
        if not part:
            raise ConnectionResetError
        self._answer += part
        if len(self._answer) < handshake.ANSWER_BYTES:
            return False
        right, reply = handshake.checked(self._answer, key, self._challenge)
        self.stream.send(reply)
        if not right:
            raise ConnectionRefusedError
        return True


class Server:
    """The server of a pool, for the ranks on these nodes, or on this machine alone; a context manager."""

    def __init__(self, nodes: Sequence[str] = ()) -> None:
        self._key = secrets.token_bytes(KEY_BYTES)
        self._events: queue.SimpleQueue[tuple[Peer, FromRank]] = queue.SimpleQueue()
        self._socket = socket.create_server(("" if nodes else LOOPBACK, 0), backlog=BACKLOG)
        self._socket.setblocking(False)
        port = self._socket.getsockname()[1]
        self._addresses = [(host, port) for host in (addresses(nodes) if nodes else [LOOPBACK])]
        self._strangers: dict[int, Stranger] = {}  # by file descriptor, the oldest first
        self._most = min(MOST_STRANGERS, max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4, 1))
        self._closed = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._admit, daemon=True)
        self._thread.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._thread.join()
        self._selector.close()
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

    def _admit(self) -> None:
        """Accept connections, and let those read messages that prove the key in time, until the server is closed."""
        while not self._closed.is_set():
            for ready, _ in self._selector.select(POLL_SECONDS):
                if ready.fileobj is self._socket:
                    self._accept()
                elif ready.fd in self._strangers:
                    self._hear(self._strangers[ready.fd])
            late = time.monotonic() - STRANGER_SECONDS
            for stranger in [one for one in self._strangers.values() if one.since < late]:
                self._forget(stranger).close()
        for stranger in list(self._strangers.values()):
            self._forget(stranger).close()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                stream, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError:  # the other side is gone, or no file can be opened: then that of a stranger is closed
                self._make_room(0)
                self._closed.wait(POLL_SECONDS)
                return
            self._make_room(self._most - 1)
            try:
                stranger = Stranger(stream)
            except OSError:
                stream.close()
                continue
            self._strangers[stream.fileno()] = stranger
            self._selector.register(stream, selectors.EVENT_READ)

    def _make_room(self, most: int) -> None:
        """Close the oldest strangers, so that at most so many stay."""
        for stranger in list(self._strangers.values())[: max(len(self._strangers) - most, 0)]:
            self._forget(stranger).close()

    def _forget(self, stranger: Stranger) -> socket.socket:
        del self._strangers[stranger.stream.fileno()]
        self._selector.unregister(stranger.stream)
        return stranger.stream

    def _hear(self, stranger: Stranger) -> None:
        """Read what a stranger sends; once it has proved the key, a thread reads its messages."""
        try:
            if not stranger.hear(self._key):
                return
        except OSError:
            self._forget(stranger).close()
            return
        stream = self._forget(stranger)
        stream.setblocking(True)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(stream)
        threading.Thread(target=self._serve, args=(Connection(stream.detach()),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        """Queue the messages of a rank, to the end of its connection."""
        try:
            peer = Peer(connection, pickle.loads(connection.recv_bytes()))
        except (OSError, EOFError):
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
