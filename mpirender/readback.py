"""Run ffmpeg, and read back what is in a movie or an image."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

from mpirender.errors import EncodeFailed, ToolMissing
from mpirender.ffmpeg import PIP_LINE, TICKS, expected_sides, expected_stream, read_command
from mpirender.job.options import CODECS
from mpirender.system.child_process import end_with_parent

# A jpg without its last bytes is worth a mere warning to ffmpeg, and it invents the lower edge. That line is looked for
# anywhere: a message that comes while another thread is in the middle of a line has no prefix.
ERROR = re.compile(r"^(?:\[[^]]* @ [^]]*\] )*\[(?:error|fatal|panic)\] .+|EOI missing", re.MULTILINE)
STREAM = re.compile(r"Video: (\w+).*?, (\w+)(?:\(.*?\))?, (\d+)x(\d+)")
FULL = {errno.ENOSPC: "no space left on device", errno.EDQUOT: "quota exceeded"}  # in ffmpeg's words


@dataclass(frozen=True)
class MovieInfo:
    """A movie as it was read back; the frames are those that could be decoded, the rate is in frames a second."""

    path: Path
    frames: int
    width: int
    height: int
    frame_rate: float
    codec: str
    pixel_format: str
    bytes: int


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
    asked = subprocess.run(
        [program, "-hide_banner", "-encoders"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return frozenset(re.findall(r"^ V\S{5} (\S+)", asked.stdout.decode(errors="replace"), re.MULTILINE))


def decode(program: str, movie: Path, name: str, threads: int, codec: str = "", *, frames: int = 0) -> MovieInfo:
    """Decode a movie, or so many of its first frames, and return what is in it.

    Raises:
        EncodeFailed: it cannot be decoded.
    """
    log = run(read_command(program, movie, codec=codec, threads=threads, frames=frames), name)
    stream = STREAM.search(log)
    clock = re.search(r"config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)", log)
    stamps = [int(stamp) for stamp in re.findall(r"n: *\d+ pts: *(-?\d+)", log)]
    if not (stream and clock and stamps):
        raise EncodeFailed(f"{name}: ffmpeg found no picture in it")
    tick, told, tick_of, told_of = (int(number) for number in (clock[1], clock[3], clock[2], clock[4]))
    seconds = (max(stamps) - min(stamps)) * tick / tick_of
    rate = told / max(told_of, 1)
    # Time stamps tell the truth as far as they are fine enough: Matroska's milliseconds cannot deny 30000/1001.
    if seconds and (not rate or stream[1] == "gif" or abs((len(stamps) - 1) / rate - seconds) > tick / tick_of):
        rate = (len(stamps) - 1) / seconds
    width, height = int(stream[3]), int(stream[4])
    return MovieInfo(movie, len(stamps), width, height, rate, stream[1], stream[2], movie.stat().st_size)


def differences(
    info: MovieInfo, image: MovieInfo, *, frames: int, rate: Fraction, codec: str = "", transparent: bool = False
) -> list[str]:
    """Say in what a movie is not the one asked for, given one of its images; an empty list if it is."""
    kind = info.path.suffix.lower()
    codec = codec or CODECS[kind[1:]][0]
    stream = expected_stream(codec, image.path.suffix)
    width, height = expected_sides(codec, image.width, image.height)
    # Both ends of the movie are rounded to the container's clock; a single frame has no rate to speak of.
    seconds_off = info.frames * abs(1 / (info.frame_rate or 1e-9) - 1 / float(rate)) if info.frames > 1 else 0
    checks = {
        f"{info.frames} frames instead of {frames}": info.frames == frames,
        f"{info.width}x{info.height} instead of {width}x{height}": (info.width, info.height) == (width, height),
        f"{info.frame_rate:g} frames a second instead of {float(rate):g}": seconds_off <= 2 * TICKS[kind],
        f"{info.codec} instead of {stream}": info.codec == stream,
        "no transparency": not (transparent and kind == ".webm") or info.pixel_format.startswith("yuva"),
    }
    return [wrong for wrong, passed in checks.items() if not passed]


def run(command: list[str], name: str, folder: Path = Path()) -> str:
    """Run ffmpeg and return its log; an error that it logs is one, whatever its exit code.

    Raises:
        EncodeFailed: in ffmpeg's own words, after the name of the movie.
        OSError: the disk or the quota is full.
    """
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "AV_LOG_FORCE_NOCOLOR": "1"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
        preexec_fn=partial(end_with_parent, signal.SIGKILL),
    )  # fmt: skip
    log = done.stderr.decode(errors="replace")
    for number, words in FULL.items():
        if words in log.lower():
            raise OSError(number, os.strerror(number), str(folder / command[-1].removeprefix("file:")))
    # The first error is the cause; the lines after it are ffmpeg winding down.
    if found := ERROR.search(log):
        raise EncodeFailed(f"{name}: ffmpeg failed: {found[0].split('] ')[-1].strip()}")
    if done.returncode:
        said = [line for line in log.splitlines() if line.strip() and "[info]" not in line]
        raise EncodeFailed(f"{name}: ffmpeg ended with code {done.returncode}. {said[-1] if said else ''}".rstrip())
    if log.count("config in time_base") > 1:
        raise EncodeFailed(f"{name}: the size or the pixel format changes midway")
    return log
