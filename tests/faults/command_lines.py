"""Odd command lines: words that a hurried, mistaken or mischievous user types."""

from __future__ import annotations

import random
from pathlib import Path

import click
from command_runs import mpirender

from mpirender.cli.commands import cli
from mpirender.job.render_job import OPTIONS

COMMANDS = ("render", "render", "render", "study", "inspect", "status", "encode", "submit")
OTHERS = ("--fps", "--codec", "--resolution", "--nodes", "-x", "--", "--help", "-n")
VALUES = (
    "", "0", "-1", "1e9", "nan", "inf", "١٢", "²", "1.5", "1x1", "160x90", "99999999x1", "0-3", "10-0", "0-9999999",
    "1-2.5", "orbit:3", "orbit:1e9", "orbit:999999999", "A=1", "A.B=1", "A.B=1:1e308:1e-300", "C.R=0:9999", "=", ",",
    ";", "%", "*", "~", "/", "/dev/null", "/dev/full", "/proc/self/mem", "none", "all", "~no/x", "\x1b[31m", "\udcff",
    "a" * 300, "--", "-", "\n", "\\", "'", '"', "9" * 5000, "-9" * 50, "1/0", "1/3", "0,0,0", "clamp", "1,0", "[",
    "(", "integral(",
)  # fmt: skip
# Values of these would wait for minutes, or start programs of the test machine.
LEFT_OUT = ("frame_timeout", "grace_period")


def trial(chance: random.Random, folder: Path) -> str:
    """Type one: a command, the scene or something else, and up to five options with values of any kind."""
    (folder / "bars.pattern").write_text('{"frames": 3}')
    command = chance.choice(COMMANDS)
    words: list[object] = [chance.choice(("bars.pattern", "bars.pattern", "missing.pvsm", ".", "", "bars.pattern/x"))]
    for _ in range(chance.randrange(6)):
        words += chance.choice((one_option, one_option, one_of_job))(command, chance)
    if chance.random() < 0.2:
        chance.shuffle(words)
    words = [command, *words] if chance.random() < 0.95 else words
    done = mpirender([str(word) for word in words], folder)
    if done.returncode == 2:
        assert "mpirender: error: " in done.stderr or "no command" in done.stderr or not words, f"no line: {words}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert all(line.startswith("mpirender: ") for line in lines), done.stderr
    return f"exit code {done.returncode}"


def one_option(command: str, chance: random.Random) -> list[str]:
    """Return an option of the command as click knows it, with a value that fits or not."""
    group = cli.commands[command]
    options = [param for param in group.params if isinstance(param, click.Option) and param.name not in LEFT_OUT]
    option = chance.choice(options)
    name = chance.choice([*option.opts, *option.opts, chance.choice(OTHERS)])
    return [name] if option.is_flag else [name, value(chance)]


def one_of_job(command: str, chance: random.Random) -> list[str]:
    """Return an option of a job with one of its own choices, so that combinations are tried as well."""
    one = chance.choice([one for field, one in OPTIONS.items() if one.group and field not in LEFT_OUT])
    if one.kind is bool:
        return [one.flag]
    if one.choices:
        return [one.flag, chance.choice(list(one.choices))]
    return [one.flag, str(one.default) if one.default not in (None, ()) else value(chance)]


def value(chance: random.Random) -> str:
    """Return a value; a NUL cannot be typed."""
    return chance.choice(VALUES)
