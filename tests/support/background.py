"""Build what takes minutes in the background, at low priority, while other tests run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest

HERE = Path(__file__).parent
LEAST = 19  # lowest priority (nice)

# Keyed by the fixture that waits for the command.
COMMANDS: Mapping[str, list[str]] = {
    "second_root": [sys.executable, str(HERE / "second_root.py")],
    "container_image": ["bash", str(HERE / "container.sh")],
}


class Making:
    """A command that is running or has finished."""

    def __init__(self, command: list[str]) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - wait() reads it later
        self._process = subprocess.Popen(
            ["nice", "-n", str(LEAST), *command], stdin=subprocess.DEVNULL, stdout=self._said,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def wait(self) -> str:
        """Wait for the command and return its output; fail the test if the command failed."""
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        if code:
            pytest.fail(f"{' '.join(map(str, self._process.args))} failed:\n{said}", pytrace=False)
        return said

    def end(self) -> None:
        """Stop the command and its child processes."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()


class Background:
    """All background builds."""

    def __init__(self) -> None:
        self._makings: dict[str, Making] = {}

    def start(self, name: str) -> None:
        """Start a build unless it was started before; does nothing without root."""
        if name not in self._makings and os.geteuid() == 0:
            self._makings[name] = Making(COMMANDS[name])

    def need(self, name: str) -> str:
        """Wait until a build is complete; return its output."""
        if os.geteuid() != 0:
            pytest.skip("a second Debian and a base for a container are made by root alone")
        self.start(name)
        return self._makings[name].wait()

    def end(self) -> None:
        """Stop all unfinished builds."""
        for making in self._makings.values():
            making.end()
