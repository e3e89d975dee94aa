"""Odd command lines: words that a hurried, mistaken or mischievous user types."""

from __future__ import annotations

import random
from pathlib import Path

from command_runs import mpirender

COMMANDS = ("render", "inspect", "status", "encode", "submit")
OPTIONS = (
    "--size", "--ranks", "--frames", "--fps", "--frame-rate", "--camera", "--vary", "--set", "--output", "--codec",
    "--movie", "--backend", "--schedule", "--frame-timeout", "--grace-period", "--compression-level", "--resolution",
)  # fmt: skip
VALUES = (
    "", "0", "-1", "1e9", "nan", "١٢", "1x1", "160x90", "99999999x1", "0-3", "10-0", "0-9999999", "orbit:3",
    "orbit:1e9", "A=1", "=", ",", ";", "%", "*", "~", "/", "/dev/null", "none", "\x1b[31m", "\udcff", "a" * 300,
    "--", "-",
)  # fmt: skip


def trial(chance: random.Random, folder: Path) -> str:
    """Type one: a command, the scene or something else, and up to four options with values of any kind."""
    (folder / "bars.pattern").write_text('{"frames": 3}')
    words: list[object] = [chance.choice(COMMANDS), chance.choice(("bars.pattern", "missing.pvsm", ".", ""))]
    for _ in range(chance.randrange(5)):
        words += [chance.choice(OPTIONS), chance.choice(VALUES)]
    chance.shuffle(words)
    done = mpirender(words, folder)
    if done.returncode == 2:
        assert done.stderr.strip(), f"no line says why: {words}"
    return f"exit code {done.returncode}"
