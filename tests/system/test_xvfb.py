"""Connect to the private X server as an X client; in test_assembly.py ranks share one."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from mpirender.launcher.environment import environment_of
from mpirender.launcher.placement import Placement
from mpirender.system import xvfb
from processes import marked, need, x_servers
from repository import SUPPORT

NAME = b"MIT-MAGIC-COOKIE-1"
ACCEPTED, REFUSED = 1, 0


def answer(number: str, cookie: bytes) -> int:
    """Request a connection (X Window System Protocol, chapter 8); return the first byte of the server's reply."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(f"/tmp/.X11-unix/X{number}")
        name = NAME if cookie else b""
        padded = name + b"\0" * (-len(name) % 4) + cookie
        client.sendall(struct.pack("<cxHHHHxx", b"l", 11, 0, len(name), len(cookie)) + padded)
        return client.recv(1)[0]


@pytest.fixture(autouse=True)
def need_xvfb() -> None:
    need("Xvfb")


def test_only_who_has_the_cookie_gets_in() -> None:
    with xvfb.server() as environment:
        number, kept = environment["DISPLAY"][1:], Path(environment["XAUTHORITY"])
        cookie = kept.read_bytes()[-xvfb.COOKIE_BYTES :]
        assert answer(number, cookie) == ACCEPTED
        assert answer(number, b"") == REFUSED
        assert answer(number, cookie[::-1]) == REFUSED
        assert kept.stat().st_nlink == 0, "the file is already unlinked, so a killed process leaves none"
    assert not Path(f"/tmp/.X11-unix/X{number}").exists()


def test_two_servers_have_numbers_and_cookies_of_their_own() -> None:
    with xvfb.server() as one, xvfb.server() as other:
        assert one["DISPLAY"] != other["DISPLAY"]
        assert Path(one["XAUTHORITY"]).read_bytes() != Path(other["XAUTHORITY"]).read_bytes()


def test_a_server_that_is_killed_while_it_starts_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "Xvfb"
    program.write_text(
        f'#!/bin/sh\n[ -e "{tmp_path}/second" ] && exec {need("Xvfb")} "$@"\n'
        f'[ -e "{tmp_path}/first" ] && touch "{tmp_path}/second"\ntouch "{tmp_path}/first"\nkill -9 $$\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with xvfb.server() as environment:
        assert environment["DISPLAY"]


RUNS, RANKS = 40, 4


def four_ranks(mark: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start ranks that share an X server, as in a run."""
    words = [need("mpiexec"), "-n", str(RANKS), need("pvbatch"), "--no-mpi", str(SUPPORT / "on_display.py"), *arguments]
    environment = {**marked(mark), **environment_of(Placement(RANKS, 1))}
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


@pytest.mark.slow
def test_of_many_short_runs_none_loses_its_x_server_and_none_leaves_it(tmp_path: Path) -> None:
    for run in range(RUNS):
        with four_ranks(tmp_path) as ranks:
            said, _ = ranks.communicate(timeout=120)
        assert ranks.returncode == 0, f"run {run}: {said}"
    assert x_servers(tmp_path) == []


@pytest.mark.slow
def test_when_the_ranks_are_killed_their_x_server_ends(tmp_path: Path) -> None:
    with four_ranks(tmp_path, str(tmp_path / "go on")) as ranks:
        deadline = time.monotonic() + 60
        while not (mine := x_servers(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert mine
        subprocess.run(["pkill", "-KILL", "-f", "on_display.py"], check=True)
        ranks.communicate(timeout=60)
        assert ranks.returncode != 0
        while x_servers(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert x_servers(tmp_path) == []
