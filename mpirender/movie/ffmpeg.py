"""Find ffmpeg and run it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from functools import cache
from pathlib import Path

from mpirender.errors import EncodeFailed, ToolMissing
from mpirender.movie.ffmpeg_args import PIP_LINE
from mpirender.system import child_process

# A jpg without its last bytes is worth a mere warning to ffmpeg, and it invents the lower edge. That line is looked for
# anywhere: a message that comes while another thread is in the middle of a line has no prefix.
ERROR = re.compile(r"^(?:\[[^]]* @ [^]]*\] )*\[(?:error|fatal|panic)\] .+|EOI missing", re.MULTILINE)
FULL = {errno.ENOSPC: "no space left on device", errno.EDQUOT: "quota exceeded"}  # in ffmpeg's words


def ffmpeg() -> str:
    """Return the ffmpeg program: ``IMAGEIO_FFMPEG_EXE``, that of imageio-ffmpeg, or the one on PATH.

    Raises:
        ToolMissing: there is none.
    """
    named = os.environ.get("IMAGEIO_FFMPEG_EXE")
    if named:
        if found := shutil.which(named):
            return str(Path(found).absolute())  # it runs in another folder
        raise ToolMissing(f"IMAGEIO_FFMPEG_EXE names {named}, which is no program; correct it, or: {PIP_LINE}")
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        found = shutil.which("ffmpeg")
    if not found:
        raise ToolMissing(f"there is no ffmpeg to encode the movie with; install it: {PIP_LINE}")
    return found


@cache
def encoders(program: str) -> frozenset[str]:
    """Return the names of the video encoders that an ffmpeg has, none if it does not say."""
    output = child_process.run([program, "-hide_banner", "-encoders"]).output
    return frozenset(re.findall(r"^ V\S{5} (\S+)", output, re.MULTILINE))


def run(command: list[str], name: str, folder: Path = Path()) -> str:
    """Run ffmpeg and return its log; an error that it logs is one, whatever its exit code.

    Raises:
        EncodeFailed: in ffmpeg's own words, after the name of the movie.
        OSError: the disk or the quota is full.
    """
    done = child_process.run(command, folder=folder, environment={**os.environ, "AV_LOG_FORCE_NOCOLOR": "1"})
    log = done.errors
    for number, words in FULL.items():
        if words in log.lower():
            raise OSError(number, os.strerror(number), str(folder / command[-1].removeprefix("file:")))
    # The first error is the cause; the lines after it are ffmpeg winding down.
    if found := ERROR.search(log):
        raise EncodeFailed(f"{name}: ffmpeg failed: {found[0].split('] ')[-1].strip()}")
    if done.code:
        said = [line for line in log.splitlines() if line.strip() and "[info]" not in line]
        raise EncodeFailed(f"{name}: ffmpeg ended with code {done.code}. {said[-1] if said else ''}".rstrip())
    if log.count("config in time_base") > 1:
        raise EncodeFailed(f"{name}: the size or the pixel format changes midway")
    return log
