"""Journals with records that are valid JSON but unsound, damaged lines, and other things in place of a journal."""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from command_runs import mpirender, mpirender_here

from mpirender.run_folder import journal

FRAMES = 4
RENDER = ("render", "test.pattern", "--size", "16x10", "--ranks", "2", "--schedule", "interleaved")
# One in so many trials makes the movie again, or renders again, which takes time.
ENCODES, RENDERS = 10, 40
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**18, 10**19, int("9" * 400), float("nan"), float("inf"), "", "x" * 100_000, "\x00",
    "\x1b[2J", "\ud800", "../../etc", "0-9999999", [], [[]], {}, {"": []}, [1, "HD"], [-1, "HD"], [10**9, "16x10"],
)  # fmt: skip


def trial(chance: random.Random, folder: Path) -> str:
    """Damage the journals of a finished run; ``status`` shows it, and the same command again completes it."""
    shutil.copytree(finished(), folder, dirs_exist_ok=True)
    output = folder / "test_renders"
    frames = {path.name: path.read_bytes() for path in (output / "16x10").glob("*.png")}
    path = chance.choice(sorted((output / ".mpirender").glob("*.jsonl")))
    how = exchange(path, chance) if chance.random() < 0.05 else change_records(path, chance)
    code, printed = mpirender_here(["status", "test_renders", *chance.choice(([], ["--json"]))], folder)
    assert code == 0, printed
    assert "\x1b" not in printed, f"it prints what controls a terminal: {printed!r}"
    if chance.randrange(ENCODES) == 0:
        code, printed = mpirender_here(["encode", "test_renders", "--name", "again"], folder)
        assert code in (0, 2, 4), printed
    if chance.randrange(RENDERS) == 0:
        done = mpirender([*RENDER], folder)
        assert done.returncode == 0 or how == "another thing", done.stderr
        after = {path.name: path.read_bytes() for path in (output / "16x10").glob("*.png")}
        assert after == frames, "the frames differ"
    return how


@functools.cache
def finished() -> Path:
    """Return a folder with a finished run."""
    folder = Path(tempfile.mkdtemp(prefix="mpirender-faults-"))
    (folder / "test.pattern").write_text(json.dumps({"frames": FRAMES}))
    assert mpirender([*RENDER], folder).returncode == 0
    return folder


def change_records(path: Path, chance: random.Random) -> str:
    """Change one to three records of a journal, with a checksum that agrees as if another program had written them."""
    lines = [line for line in path.read_bytes().splitlines() if line]
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(len(lines))
        try:
            record = json.loads(lines[number])
        except (ValueError, RecursionError):  # it has been changed before
            continue
        record.pop("check", None)
        lines[number] = with_check(changed(record, chance))
    path.write_bytes(b"".join(b"\n" + line + b"\n" for line in lines))
    return "unsound records"


def changed(record: dict[str, Any], chance: random.Random) -> bytes:
    """Return a record as JSON with a key that is missing, is new or has another value, or that is nested deeply."""
    key = chance.choice(sorted(record))
    how = chance.randrange(6)
    if how == 0:
        del record[key]
    elif how == 1:
        record[chance.choice(("__class__", "self", "", "rank", "time", "run"))] = chance.choice(VALUES)
    elif how == 2:
        return json.dumps(record).encode()[:-1] + b', "parts": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    elif how == 3 and isinstance(record[key], list) and record[key]:
        record[key][chance.randrange(len(record[key]))] = chance.choice(VALUES)
    else:
        record[key] = chance.choice(VALUES)
    return json.dumps(record).encode()


def with_check(record: bytes) -> bytes:
    return journal.with_check(record).strip()


def exchange(path: Path, chance: random.Random) -> str:
    """Put something else in the place of a journal, or beside it with such a name."""
    place = chance.choice((path, path.with_name("rank-0007.jsonl"), path.with_name("rank-x.jsonl")))
    if place.exists():
        place.unlink()
    how = chance.randrange(6)
    if how == 0:
        place.mkdir()
    elif how == 1:
        os.mkfifo(place)
    elif how == 2:
        place.symlink_to("/dev/zero")
    elif how == 3:
        place.symlink_to(place.name)
    elif how == 4:
        place.symlink_to("gone")
    else:
        place.write_bytes(bytes(200_000) + b"\n" + b"\xff" * 1000)
    return "another thing"
