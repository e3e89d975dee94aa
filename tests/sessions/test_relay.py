"""The port of a login node through which the tunnel of ParaView reaches the server."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from mpirender.errors import LaunchFailed, UsageError
from mpirender.sessions import relay
from processes import Run


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_connection_waits_until_the_server_is_ready_and_then_is_passed_on_both_ways() -> None:
    port, sent = free_port(), b"x" * 5_000_000
    received: list[bytes] = []

    def server(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        with peer:
            while part := peer.recv(1 << 16):
                received.append(part)
            peer.sendall(sent)

    with relay.relaying(port) as opened, socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server, args=(listening,))
        thread.start()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"early")
            opened.lead_to(*listening.getsockname())
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            back = b"".join(iter(lambda: client.recv(1 << 16), b""))
        thread.join(20)
    assert b"".join(received) == b"early" + sent
    assert back == sent


def test_a_client_that_still_waits_at_the_end_is_disconnected() -> None:
    port = free_port()
    with relay.relaying(port):
        client = socket.create_connection(("127.0.0.1", port), timeout=20)
    with client:
        assert client.recv(1) == b""


def test_a_taken_port_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(LaunchFailed, match=rf"port {port} of .*: Address already in use; connect again"),
            relay.relaying(port),
        ):
            pass


def test_two_versions_that_do_not_fit_are_both_named() -> None:
    with pytest.raises(
        UsageError, match=r"your ParaView is 6\.1\.0, and the cluster has 5\.11\.0: install ParaView 5\.11"
    ):
        relay.check_version("6.1.0", "5.11.0")
    relay.check_version("5.11.2", "5.11.0")
    relay.check_version("6.1.0", "")


def test_without_a_connection_id_nothing_is_submitted(run: Run, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = run("serve", "--relay", free_port(), env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("mpirender: error: MPIRENDER_CONNECT_ID is not set")
