"""Start sessions as users do, and connect to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from processes import need
from repository import SUPPORT
from waiting import wait_for

CLIENT = SUPPORT / "session_client.py"
READY_SECONDS = 120


def whole_events(text: str) -> list[dict[str, Any]]:
    """Return the events of a text whose last line may still be in the middle of being written."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Serving:
    """A running ``mpirender serve --json``."""

    def __init__(self, command: Sequence[object], environment: Mapping[str, str], folder: Path) -> None:
        self._out, self._errors = folder / "events.jsonl", folder / "errors"
        with self._out.open("w") as out, self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                list(map(str, command)), env=environment, cwd=folder, stdout=out, stderr=errors,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        """Return the events printed so far."""
        return whole_events(self._out.read_text())

    def event(self, what: str, number: int = 1, seconds: float = READY_SECONDS) -> dict[str, Any]:
        """Wait for an event (the second one of its kind for number 2), and return it."""

        def found() -> dict[str, Any] | None:
            events = [event for event in self.events() if event["what"] == what]
            assert len(events) >= number or self.process.poll() is None, f"{self.events()}\n{self.errors}"
            return events[number - 1] if len(events) >= number else None

        return wait_for(found, seconds, lambda: f"no event {what}: {self.events()}\n{self.errors}")

    def facts(self, number: int = 1) -> dict[str, Any]:
        """Wait until the server is ready; return how to connect."""
        return self.event("ready", number)["facts"]

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end; return the exit code."""
        return self.process.wait(seconds)

    @property
    def errors(self) -> str:
        """What it has printed on standard error."""
        return self._errors.read_text()


@contextmanager
def serving(folder: Path, *options: object, environment: Mapping[str, str] | None = None) -> Iterator[Serving]:
    """Serve on this machine during the block; the files of the session are in FOLDER/home."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    variables = {**(environment or os.environ), "HOME": str(home)}
    command = [sys.executable, "-m", "mpirender", "serve", "--json", *options]
    session = Serving(command, variables, folder)
    try:
        yield session
    finally:
        if session.process.poll() is None:
            session.process.send_signal(signal.SIGTERM)
            session.wait()


def left_running(mark: Path) -> list[str]:
    """Return the command lines of all processes with this mark in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"MARK_OF_TEST={mark}\0".encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def client(
    facts: Mapping[str, Any], display: Mapping[str, str], folder: Path, *wait_for_file: object,
    connect_id: int | None = None, host: str = "localhost", port: int | None = None,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """Start a client that connects to a session; see session_client.py for what it writes into the folder."""
    folder.mkdir(exist_ok=True)
    number = facts["connect_id"] if connect_id is None else connect_id
    words = [need("pvpython"), f"--connect-id={number}", CLIENT, host, port or facts["port"], folder, *wait_for_file]
    return subprocess.Popen(
        list(map(str, words)), env={**os.environ, **display}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def seen(folder: Path, seconds: float = 90) -> dict[str, Any]:
    """Wait for what a client has seen; return it."""
    wait_for((folder / "client.json").exists, seconds)
    return json.loads((folder / "client.json").read_text())


def assert_the_pictures_are_the_same(folder: Path) -> None:
    """Compare what a server has rendered with what the client renders itself."""
    remote, local = (np.asarray(Image.open(folder / f"{name}.png").convert("RGB"), int) for name in ("remote", "local"))
    assert remote.shape == local.shape
    assert len(np.unique(local.reshape(-1, 3), axis=0)) > 20  # a shaded sphere
    assert np.abs(remote - local).mean() < 1
