"""A session for a ParaView that has started this command through ssh: a port of this machine leads to the server.

The window knows port and connection id before the job has a node, so the tunnel of ssh ends at a port of the login
node. Connections there wait until the server is ready; then everything is passed on to it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator

from mpirender.errors import LaunchFailed, UsageError
from mpirender.sessions.texts import short

ADDRESS = "127.0.0.1"
CHUNK = 1 << 20
WAIT_SECONDS = 1.0


class Relay:
    """A port of this machine; connections wait until :meth:`lead_to` has said where it leads."""

    def __init__(self, port: int) -> None:
        """Listen.

        :raises LaunchFailed: another process has the port.
        """
        self._target: tuple[str, int] = ("", 0)
        self._ready, self._closed = threading.Event(), threading.Event()
        try:
            self._listening = socket.create_server((ADDRESS, port))
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise LaunchFailed(f"port {port} of {socket.gethostname()}: {why}; connect again") from None

    def lead_to(self, host: str, port: int) -> None:
        """Pass connections on to a server from now on."""
        self._target = host, port
        self._ready.set()

    def close(self) -> None:
        """End all connections, and listen no more."""
        self._closed.set()
        self._ready.set()

    def serve(self) -> None:
        """Accept connections until the relay is closed."""
        with self._listening:
            while not self._closed.is_set():
                if select.select([self._listening], [], [], WAIT_SECONDS)[0]:
                    client, _ = self._listening.accept()
                    threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            self._ready.wait()
            if self._closed.is_set():
                return
            with socket.create_connection(self._target) as server:
                back = threading.Thread(target=copy, args=(server, client), daemon=True)
                back.start()
                copy(client, server)
                back.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what one side sends until it ends; then tell the other side."""
    with contextlib.suppress(OSError):
        while received := source.recv(CHUNK):
            target.sendall(received)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def relaying(port: int) -> Iterator[Relay]:
    """Relay connections during the block.

    :raises LaunchFailed: another process has the port.
    """
    relay = Relay(port)
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(2 * WAIT_SECONDS)


def when_input_ends(act: Callable[[], object]) -> None:
    """Call a function when the standard input ends: then the ssh connection of this command is gone."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), CHUNK):
            pass
        act()

    threading.Thread(target=wait, daemon=True).start()


def check_version(client: str, server: str) -> None:
    """Raise UsageError if a ParaView cannot use a server of this version; an unknown version is not checked."""
    if client and server and short(client) != short(server):
        fix = f"install ParaView {short(server)} on your computer"
        raise UsageError(f"your ParaView is {client}, and the cluster has {server}: {fix}")
