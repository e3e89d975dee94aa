"""Hostile names of scenes, folders and outputs."""

from __future__ import annotations

import os
import random
from pathlib import Path

from command_runs import mpirender

NAMES = (
    "a\nb", "a\rb", "a\tb", "it's", 'a"b', "a`id`b", "$HOME", "a;b", "a&b|c", "a\\b", "-rf", "--frames", "--", "a%db",
    "%03d", "%s%s%n", " a", "a ", "a.", "a...", ".a", "a b  c", "n" * 240, "ü" * 100, "é", "e\u0301", "漢字",
    "\u202eabc",
    "a\x1b[31mb", "a\x7fb", "a=b", "a,b", "a:b", "a@b", "a#b", "a*b", "a?b[c]", "{a}", "~", "a\udcffb",
)  # fmt: skip


def trial(chance: random.Random, folder: Path) -> str:
    """Render, resume, show and encode a scene with such a name, in such a folder, into such an output folder."""
    here, scene, output = (chance.choice(NAMES) for _ in range(3))
    inside = folder / here
    inside.mkdir()
    given = f"{scene}.pattern"
    (inside / given).write_text('{"frames": 2}')
    path = f"./{given}" if given.startswith("-") else given
    into = ["--output", f"./{output}"] if chance.random() < 0.7 else []
    command = ["render", path, "--size", "16x10", "--ranks", "2", *into]
    os.utime(inside / given)
    done = mpirender(command, inside)
    if done.returncode:
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1, f"not one line: {done.stderr!r}"
        return "refused"
    place = f"./{output}" if into else f"./{scene}_renders"
    made = [path for path in (inside / place).iterdir() if path.suffix == ".mp4"]
    assert len(made) == 1, f"no movie at {place!r}: {done.stdout!r}"
    again = mpirender(command, inside)
    assert "0 rendered, 2 kept from before" in again.stdout, again.stdout + again.stderr
    for words in (["status", place], ["encode", place], ["inspect", path], ["submit", path, "--print", *into]):
        shown = mpirender(words, inside)
        assert shown.returncode in (0, 2), (words, shown.stderr)
        assert "\x1b" not in shown.stdout or words[0] == "submit", "it prints what controls a terminal"
    return "rendered"
