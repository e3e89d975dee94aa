"""Find ffmpeg and run it; its log decides whether it succeeded."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mpirender.errors import EncodeFailed, ToolMissing
from mpirender.movie.ffmpeg_args import PIP_LINE
from mpirender.system import child_process

# For a truncated jpg ffmpeg only warns, and makes up the lower edge. The warning may have no prefix, if another thread
# is writing a line at the same time.
ERROR = re.compile(r"^(?:\[[^]]* @ [^]]*\] )*\[(?:error|fatal|panic)\] .+|EOI missing", re.MULTILINE)
FULL = {errno.ENOSPC: "no space left on device", errno.EDQUOT: "quota exceeded"}  # ffmpeg's messages


def ffmpeg() -> str:
    """Return the ffmpeg program: ``IMAGEIO_FFMPEG_EXE``, that of imageio-ffmpeg, or the one on PATH.

    :raises ToolMissing: ffmpeg is not found.
    """
    named = os.environ.get("IMAGEIO_FFMPEG_EXE")
    if named:
        if found := shutil.which(named):
            return str(Path(found).absolute())  # ffmpeg runs in another folder
        raise ToolMissing(f"IMAGEIO_FFMPEG_EXE names {named}, which is not a program; correct it, or: {PIP_LINE}")
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if not found:
        raise ToolMissing(f"ffmpeg is not found, so no movie can be made; install it: {PIP_LINE}")
    return found


@cache
def encoders(program: str) -> frozenset[str]:
    """Return the names of an ffmpeg's video encoders, empty if it does not list them."""
    output = child_process.run([program, "-hide_banner", "-encoders"]).output
    return frozenset(re.findall(r"^ V\S{5} (\S+)", output, re.MULTILINE))


def run(command: list[str], name: str, folder: Path = Path(), images: Iterable[bytes] = ()) -> str:
    """Run ffmpeg and return its log; an error in the log is a failure, whatever the exit code.

    :param images: the stream on its standard input.

    :raises EncodeFailed: ffmpeg failed, with its own message.
    :raises OSError: the disk or the quota is full.
    """
    variables = {**os.environ, "AV_LOG_FORCE_NOCOLOR": "1"}
    done = child_process.run_fed(command, images, folder=folder, environment=variables)
    log = done.errors
    for number, message in FULL.items():
        if message in log.lower():
            raise OSError(number, os.strerror(number), str(folder / command[-1].removeprefix("file:")))
    # The first error is the cause; the lines after it are consequences.
    if found := ERROR.search(log):
        raise EncodeFailed(f"{name}: ffmpeg failed: {found[0].split('] ')[-1].strip()}")
    if done.code:
        lines = [line for line in log.splitlines() if line.strip() and "[info]" not in line]
        raise EncodeFailed(f"{name}: ffmpeg ended with code {done.code}. {lines[-1] if lines else ''}".rstrip())
    if log.count("config in time_base") > 1:
        raise EncodeFailed(f"{name}: the size or the pixel format changes midway")
    return log
