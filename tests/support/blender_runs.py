"""Render Blender files and return the output of mpirender."""

from __future__ import annotations

import subprocess

from processes import Run


def say(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


def rendered(run: Run, *words: object, **options: object) -> str:
    done = run("render", *words, **options)
    assert done.returncode == 0, say(done)
    return done.stdout
