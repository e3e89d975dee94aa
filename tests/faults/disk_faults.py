"""Let calls that read and write files fail, or let the disk be full, and give the same command again without faults."""

from __future__ import annotations

import atexit
import contextlib
import errno
import random
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from command_runs import mpirender
from process_faults import check

from disks import disk
from processes import need
from records import done_frames
from renderer_faults import Subject, pattern_subject

CALLS = ("write", "short", "read", "fsync", "rename", "open", "unlink", "mkdir")
PATHS = (
    "/out/", "/.mpirender/", "rank-0001", "run.jsonl", ".jsonl", ".log", "frame_", ".part-", "job.json", "lock", ".mp4",
    "manifest", "contact_sheet",
)  # fmt: skip
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ESTALE, errno.EMFILE, errno.ENOENT)
SHARES = (0.02, 0.2, 1.0)  # of the calls that fail


@cache
def fast_pattern() -> Subject:
    """Return a test pattern that was rendered without faults."""
    folder = Path(tempfile.mkdtemp(prefix="mpirender-pattern-"))
    atexit.register(shutil.rmtree, folder)
    return pattern_subject(folder, seconds=0.005)


@cache
def library() -> Path:
    """Return the library that lets calls fail."""
    place = Path(tempfile.mkdtemp(prefix="mpirender-faults-")) / "failing_calls.so"
    atexit.register(shutil.rmtree, place.parent)
    source = Path(__file__).with_name("failing_calls.c")
    subprocess.run([need("gcc"), "-shared", "-fPIC", "-O1", "-o", str(place), str(source), "-ldl"], check=True)
    return place


def failing_calls(chance: random.Random, folder: Path) -> str:
    """Let one kind of call fail now and then, or always, in all processes of a run."""
    faults = {
        "LD_PRELOAD": str(library()), "FAULT_CALL": chance.choice(CALLS), "FAULT_PATH": chance.choice(PATHS),
        "FAULT_SHARE": str(chance.choice(SHARES)), "FAULT_ERRNO": str(chance.choice(ERRORS)),
        "FAULT_FOLDER": str(folder),
    }  # fmt: skip
    first = render(folder / "out", faults)
    return finished(first, folder / "out", " ".join(list(faults.values())[1:]))


def full_disks(chance: random.Random, folder: Path) -> str:
    """Let the disk be full at some moment of a run: while it starts, renders, encodes or ends, or afterwards."""
    with disk(folder / "small", "size=24m") as small:
        when, left = chance.uniform(0.3, 6), chance.randrange(200_000)
        filling = threading.Timer(when, fill, [small / "filler", left])
        filling.start()
        try:
            first = render(small / "out", {})
        finally:
            filling.cancel()
            filling.join()
        (small / "filler").unlink(missing_ok=True)
        return finished(first, small / "out", f"{left} bytes left after {when:.1f} s")


def fill(place: Path, left: int) -> None:
    """Write a file until so many bytes are left on the disk."""
    with place.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while (free := shutil.disk_usage(place).free) > left:
            file.write(bytes(min(free - left, 1 << 20)))


def render(output: Path, faults: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command, with these environment variables."""
    words = ["render", fast_pattern().scene, "--size", fast_pattern().size, "--ranks", 2, "--output", output, "--quiet"]
    return mpirender([*words, "--max-restarts", 1], output.parent, environment=faults)


def finished(first: subprocess.CompletedProcess[str], output: Path, fault: str) -> str:
    """Check how the command ended with a fault; run it again, and check the result. Return both ends."""
    try:
        if first.returncode == 0:
            assert set(done_frames(output)) == set(fast_pattern().frames), "frames are missing"
        else:
            assert first.stderr.strip(), "no line says why"
        again = render(output, {})
        assert again.returncode == 0, f"then exit code {again.returncode}: {again.stderr}"
        check(fast_pattern(), output, repeated=True)
    except AssertionError as error:
        raise AssertionError(f"{fault}: exit code {first.returncode}: {first.stderr}\n{error}") from None
    return f"exit code {first.returncode}, then complete"
