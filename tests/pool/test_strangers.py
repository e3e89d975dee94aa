"""Other users of the machine can connect to the port of a pool: none gets in, and none keeps the ranks out."""

from __future__ import annotations

import json
import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import time
from functools import partial

import pytest

from mpirender.errors import LaunchFailed
from mpirender.pool import handshake, worker
from mpirender.pool.messages import Hello
from mpirender.pool.pickling import dumps
from mpirender.pool.server import Server
from mpirender.system.site import POOL
from processes import ports
from waiting import wait_for

HELLO = Hello("tag", 3, "n1", 42)
# Connections that say nothing, or something wrong, as many as this process can hold.
FLOOD = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))
end, held = time.monotonic() + 60, []
print("flooding", flush=True)
while time.monotonic() < end:
    try:
        stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
        if len(held) % 2:
            stream.send(b"x" * 64)
        held.append(stream)
    except ConnectionRefusedError:
        break
    except OSError:
        del held[:500]
"""
POOL_OF_TEN = """
import time
from mpirender import pool

def half(job):
    time.sleep(0.2)
    return job / 2

if __name__ == "__main__":
    outcomes = pool.run(half, range(10), engine="pattern", ranks=2, launcher="none", quiet=True)
    assert [outcome.get() for outcome in outcomes] == [job / 2 for job in range(10)]
"""


def address(server: Server) -> tuple[str, int]:
    (host, port), *_ = json.loads(server.environment[POOL])["addresses"]
    return host, port


def connect(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(POOL, server.environment[POOL])
    return worker.connect()


def test_a_connection_without_the_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as server:
        with socket.create_connection(address(server)) as stream:
            stream.sendall(b"guessed " * 8)
            assert handshake.receive(stream, handshake.CHALLENGE_BYTES)
            assert stream.recv(100) == bytes(handshake.PROOF_BYTES)
            assert stream.recv(100) == b""
        assert server.receive(0.2) is None
        line = connect(server, monkeypatch)
        line.send_bytes(dumps(HELLO))
        peer, said = server.receive(5)
        assert said == peer.hello == HELLO
        monkeypatch.setenv(POOL, json.dumps({**json.loads(server.environment[POOL]), "key": "00"}))
        line.close()
        with pytest.raises(LaunchFailed, match=r"cannot reach the program .*\(127\.0\.0\.1:\d+: the keys differ"):
            worker.connect()


def test_a_rank_does_not_give_its_messages_to_whoever_has_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as server, socket.create_server(("127.0.0.1", 0)) as other:
        wrong = {**json.loads(server.environment[POOL]), "addresses": [other.getsockname()]}
        monkeypatch.setenv(POOL, json.dumps(wrong))
        other.settimeout(5)
        client = subprocess.Popen(
            [sys.executable, "-c", "from mpirender.pool import worker; worker.connect()"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        other.accept()[0].close()  # it tries again
        with other.accept()[0] as stream:
            stream.sendall(bytes(handshake.CHALLENGE_BYTES))
            assert len(handshake.receive(stream, handshake.ANSWER_BYTES)) == handshake.ANSWER_BYTES
            stream.sendall(bytes(handshake.PROOF_BYTES))
        assert "the keys differ" in client.communicate(timeout=30)[1]


def test_a_rank_that_takes_no_messages_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as server:
        lines = [connect(server, monkeypatch) for _ in range(2)]
        for rank, line in enumerate(lines):
            line.send_bytes(dumps(HELLO._replace(rank=rank)))
        peers = sorted((server.receive(5)[0] for _ in lines), key=lambda peer: peer.hello.rank)
        started = time.monotonic()
        peers[0].send(bytes(1 << 26))  # more than the buffers of the connection hold
        peers[1].send("next")
        assert lines[1].recv() == "next"
        assert time.monotonic() - started < 20
        for line in lines:
            line.close()


@pytest.mark.slow
def test_a_flood_by_another_user_does_not_stop_a_pool(tmp_path) -> None:
    if os.geteuid() != 0:
        pytest.skip("acting as another user needs root")
    (tmp_path / "ten.py").write_text(POOL_OF_TEN)
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (200, 200))
    with subprocess.Popen(
        [sys.executable, "ten.py"],
        cwd=tmp_path,
        preexec_fn=few,  # noqa: PLW1509
        stderr=subprocess.PIPE,
        text=True,
    ) as pool:
        ((host, port),) = wait_for(lambda: ports(pool.pid))
        assert host == "127.0.0.1"
        words = [getattr(sys, "_base_executable", sys.executable), "-c", FLOOD, port]
        with subprocess.Popen(words, user=pwd.getpwnam("nobody").pw_uid, stdout=subprocess.PIPE, cwd="/") as flood:
            assert flood.stdout.readline() == b"flooding\n"
            try:
                errors = pool.communicate(timeout=100)[1]
            finally:
                pool.kill()
                flood.send_signal(signal.SIGKILL)
    assert pool.returncode == 0, errors
