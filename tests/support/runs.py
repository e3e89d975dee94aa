"""Start runs with the pattern engine, and read their records."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from records import done_frames, records
from waiting import wait_for

SMALL = ("--size", "160x90", "--ranks", 2)


def running(folder: Path) -> str:
    """Return the processes whose command line contains a folder."""
    return subprocess.run(["pgrep", "-fa", str(folder)], capture_output=True, text=True, check=False).stdout


def heed_ctrl_c() -> None:
    """Restore SIGINT, which shells disable for background commands, in case the tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(scene: Path, *options: object, frames: int = 3) -> Iterator[subprocess.Popen[str]]:
    """Start the command, wait until this many frames are done, and kill it after the block."""
    command = [sys.executable, "-m", "mpirender", "render", str(scene), *map(str, (*SMALL, *options))]
    output = scene.parent / f"{scene.stem}_renders"
    with subprocess.Popen(
        command, cwd=scene.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    ) as process:  # fmt: skip
        try:
            wait_for(lambda: len(done_frames(output)) >= frames or process.poll() is not None)
            yield process
        finally:
            process.kill()


def rank_pid(output: Path, rank: int) -> int:
    return int([record.pid for record in records(output, "start") if record.rank == rank][-1])
