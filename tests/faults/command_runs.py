"""Run mpirender as a user does, and check what every end of it must be, whatever was done to it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from mpirender.cli import commands

EXIT_CODES = {0, 2, 3, 4, 5, 6, 75, 130}
SECONDS = 120.0


def mpirender(
    words: list[object], folder: Path, seconds: float = SECONDS, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder: it ends in time, with a documented exit code, and prints no traceback."""
    command = [sys.executable, "-m", "mpirender", *map(str, words)]
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True,
            errors="replace", timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise AssertionError(f"no end after {seconds:g} s: {words}") from None
    told = f"{words}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode in EXIT_CODES, told
    assert "Traceback" not in done.stdout + done.stderr, told
    return done


def mpirender_here(
    words: list[object], folder: Path, *, cpu_seconds: float = SECONDS, memory: int = 0
) -> tuple[int, str]:
    """Run the command in this process, which saves its start; return its exit code and all that it printed.

    :param cpu_seconds: that it may take; how long that is depends on what else runs here.
    :param memory: bytes that it may take, 0 for any number.
    """
    texts, before = [str(word) for word in words], (Path.cwd(), sys.argv)
    printed = io.StringIO()

    def give_up(number: int, frame: object) -> None:
        raise TimeoutError

    was = signal.signal(signal.SIGPROF, give_up)
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        if memory:
            resource.setrlimit(resource.RLIMIT_DATA, (data_now() + memory, limits[1]))
        os.chdir(folder)
        sys.argv = ["mpirender", *texts]
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = commands.exit_code()
    except TimeoutError:
        raise AssertionError(f"no end after {cpu_seconds:g} s: {texts}") from None
    except Exception:
        raise AssertionError(f"{texts}: {traceback.format_exc()[-2000:]}") from None
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, was)
        os.chdir(before[0])
        sys.argv = before[1]
    assert code in EXIT_CODES, f"{texts}: exit code {code}\n{printed.getvalue()[-2000:]}"
    return code, printed.getvalue()


def data_now() -> int:
    """Return the bytes of this process that count for the limit of data (RLIMIT_DATA)."""
    found = re.search(r"VmData:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
