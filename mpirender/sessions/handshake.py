"""The first messages between a ParaView client and its server, to see that a server is ready without using it up.

A pvserver serves one client and ends with it. A client whose connection id is wrong is refused after the whole
handshake, and the server waits for the next, so that such a client shows that the server works.

Messages are those of vtkSocketCommunicator: a tag and the number of bytes, 32 bits each, and the bytes. Both sides send
the byte order, the version of the protocol and a hash of the version of ParaView, which must be the same. Then the
client sends a text with version and connection id, and the server returns a code, 0 to let the client in
(vtkTCPNetworkAccessManager::ParaViewHandshake).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

HEAD = "<ii"
ENDIAN, VERSION, HASH, RESULT = (int.from_bytes(character * 4, "little") for character in (b"<", b">", b"?", b"="))
TEXT_TAG = 99991
LITTLE, PROTOCOL = b"\0", struct.pack("<i", 100)
LETS_IN = 0
WRONG_HASH = b"0" * 32 + b"\0"
SECONDS = 20.0  # a busy node; rank 0 of the server may still load libraries


class Refused(Exception):
    """The other side does not respond as a ParaView server does; the message says how."""


def problem_of(host: str, port: int, version: str) -> str:
    """Return why a server is not ready, empty if it has refused a client with a wrong connection id, as it must.

    The server prints two errors: one about another version, since its hash is not known before it has sent it, and one
    about the connection id.

    :param version: of ParaView, such as 5.11.
    """
    try:
        with connection(host, port) as peer:
            own = peer.greet(WRONG_HASH)
        with connection(host, port) as peer:
            if peer.greet(own) != own:
                raise Refused("sends another version each time")
            code = peer.introduce(f"paraview-{version}.connect_id.0.renderingbackend.opengl2")
    except (OSError, Refused) as error:
        return str(error)
    return "a client with a wrong connection id is let in" if code == LETS_IN else ""


@contextlib.contextmanager
def connection(host: str, port: int) -> Iterator[Peer]:
    """Connect to a server during the block."""
    with socket.create_connection((host, port), timeout=SECONDS) as opened:
        yield Peer(opened)


class Peer:
    """A server, as a client sees it."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def greet(self, own_hash: bytes) -> bytes:
        """Exchange byte order, protocol and hash; return the hash of the server."""
        for tag, content in ((ENDIAN, LITTLE), (VERSION, PROTOCOL)):
            self._send(tag, content)
            self._receive(tag)
        self._send(HASH, own_hash)
        return self._receive(HASH)

    def introduce(self, text: str) -> int:
        """Exchange the result of the greeting, send the text with version and connection id, and return the code."""
        self._send(RESULT, struct.pack("<i", 1))
        self._receive(RESULT)
        content = text.encode() + b"\0"
        self._send(TEXT_TAG, struct.pack("<i", len(content)))
        self._send(TEXT_TAG, content)
        return int(struct.unpack("<i", self._receive()[:4])[0])

    def _send(self, tag: int, content: bytes) -> None:
        self._socket.sendall(struct.pack(HEAD, tag, len(content)) + content)

    def _receive(self, tag: int | None = None) -> bytes:
        found, count = struct.unpack(HEAD, self._bytes(8))
        if tag not in (None, found) or not 0 <= count <= 4096:
            raise Refused("does not speak ParaView's protocol")
        return self._bytes(count)

    def _bytes(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            part = self._socket.recv(count - len(received))
            if not part:
                raise Refused("ends the connection")
            received += part
        return received
