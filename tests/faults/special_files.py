"""Put a pipe, a link or a folder in the place of a file of a run: no command waits for it, follows it or loses it."""

from __future__ import annotations

import atexit
import functools
import os
import random
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from command_runs import mpirender

COMMANDS = ("render", "render --overwrite", "render --dry-run", "status", "encode")
MORE = (
    ".mpirender/lock", ".mpirender/rank-0001.jsonl", ".mpirender/.part-job.json", ".part-1-a_32x18.mp4",
    "32x18/frame_000004.png", "32x18", ".mpirender",
)  # fmt: skip
LINKS = ("gone", "/dev/zero", "/nowhere/gone", "")  # an empty one: to itself
SECONDS = 60.0


def trial(chance: random.Random, folder: Path) -> str:
    """Exchange one file of a finished run, and give a command; then remove it, and complete the run."""
    output, scene = folder / "out", folder / "a.pattern"
    shutil.copytree(finished_run(), folder, dirs_exist_ok=True)
    names = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
    place = output / chance.choice((*names, *MORE))
    if place.is_dir():
        place.rename(folder / "away")
    place.unlink(missing_ok=True)
    kind = chance.choice(sorted(KINDS))
    KINDS[kind](place, chance)
    render = ["render", scene, "--size", "32x18", "--ranks", 1, "--output", output, "--quiet", "--frames", "0-4"]
    words = chance.choice(COMMANDS).split()
    command = [*render, *words[1:]] if words[0] == "render" else [words[0], output]
    told = f"{kind} at {place.relative_to(output)}: {' '.join(words)}"
    done = mpirender(command, folder, SECONDS)
    assert done.returncode in (0, 2, 4), f"{told}: exit code {done.returncode}: {done.stderr}"
    assert done.returncode == 0 or done.stderr.strip(), f"{told}: no line says what is wrong"
    for precious in folder.rglob("precious"):
        assert precious.read_text() == "mine", f"{told}: written to"
    assert kind != "full folder" or place.parent.name == ".mpirender" or any(folder.rglob("precious")), f"{told}: lost"
    clear(place)
    again = mpirender([*render, "--overwrite"], folder, SECONDS)
    assert again.returncode == 0, f"{told}: then exit code {again.returncode}: {again.stderr}"
    return f"{words[0]} exit code {done.returncode}"


@functools.cache
def finished_run() -> Path:
    """Return a folder with a scene and its finished run."""
    folder = Path(tempfile.mkdtemp(prefix="mpirender-finished-"))
    atexit.register(shutil.rmtree, folder)
    (folder / "a.pattern").write_text('{"frames": 5}')
    words = ["render", "a.pattern", "--size", "32x18", "--ranks", 1, "--output", "out", "--frames", "0-3"]
    assert mpirender(words, folder).returncode == 0
    return folder


def clear(place: Path) -> None:
    """Remove what is at a place."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    elif os.path.lexists(place):
        place.unlink()


def _link(place: Path, chance: random.Random) -> None:
    place.symlink_to(chance.choice(LINKS) or place.name)


def _link_to_file(place: Path, chance: random.Random) -> None:
    precious = place.parent / "precious"
    precious.write_text("mine")
    place.symlink_to(precious)


def _full_folder(place: Path, chance: random.Random) -> None:
    place.mkdir()
    (place / "precious").write_text("mine")


KINDS: dict[str, Callable[[Path, random.Random], object]] = {
    "pipe": lambda place, chance: os.mkfifo(place), "folder": lambda place, chance: place.mkdir(),
    "full folder": _full_folder, "link": _link, "link to a file": _link_to_file,
    "socket": lambda place, chance: os.mknod(place, stat.S_IFSOCK | 0o666),
}  # fmt: skip
