"""How a rank and the server of its pool prove to each other that they know the key, before they read messages.

The server sends random bytes; the rank answers with random bytes of its own and a proof, and gets a proof back. So the
server reads a fixed number of bytes of a stranger, and unpickles nothing that a stranger sent.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from multiprocessing import AuthenticationError

CHALLENGE_BYTES = PROOF_BYTES = 32
ANSWER_BYTES = CHALLENGE_BYTES + PROOF_BYTES


def challenge() -> bytes:
    """Return random bytes."""
    return secrets.token_bytes(CHALLENGE_BYTES)


def prove(stream: socket.socket, key: bytes) -> None:
    """Do the part of the rank.

    :raises AuthenticationError: the server does not know the key, or says that this rank does not.
    :raises EOFError: the server has closed the connection.
    :raises OSError: it was lost, or the time limit of the stream is over.
    """
    theirs, mine = receive(stream, CHALLENGE_BYTES), challenge()
    stream.sendall(mine + _proof(key, b"rank", theirs, mine))
    if not hmac.compare_digest(receive(stream, PROOF_BYTES), _proof(key, b"server", theirs, mine)):
        raise AuthenticationError("the keys differ")


def checked(answer: bytes, key: bytes, mine: bytes) -> tuple[bool, bytes]:
    """Return whether the answer of a rank to a challenge proves the key, and what to send to it."""
    theirs, proof = answer[:CHALLENGE_BYTES], answer[CHALLENGE_BYTES:]
    if not hmac.compare_digest(proof, _proof(key, b"rank", mine, theirs)):
        return False, bytes(PROOF_BYTES)
    return True, _proof(key, b"server", mine, theirs)


def receive(stream: socket.socket, count: int) -> bytes:
    """Return exactly so many bytes.

    :raises EOFError: the other side has closed the connection.
    """
    content = b""
    while len(content) < count:
        part = stream.recv(count - len(content))
        if not part:
            raise EOFError("closed by the server")
        content += part
    return content


def _proof(key: bytes, who: bytes, server: bytes, rank: bytes) -> bytes:
    return hmac.digest(key, who + server + rank, "sha256")
