"""Read the screen of a terminal."""

from __future__ import annotations

import re
import subprocess
import time

import pytest


def wait_for_screen(tmux: list[str], wanted: str, seconds: float = 60) -> str:
    """Wait until the screen matches a pattern; return the screen."""
    end = time.monotonic() + seconds
    screen = ""
    while time.monotonic() < end:
        screen = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout
        if re.search(wanted, screen):
            return screen
        time.sleep(0.1)
    pytest.fail(f"the terminal never showed {wanted!r}; it shows:\n{screen}")
