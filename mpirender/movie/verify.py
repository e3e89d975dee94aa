"""Decode a movie or an image and compare it with the request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mpirender.errors import EncodeFailed
from mpirender.job.options import CODECS, FULL_COLOR, USUAL_FORMAT
from mpirender.movie.ffmpeg import run
from mpirender.movie.ffmpeg_args import TICKS, expected_sides, expected_stream, read_command

# At the beginning of a line: a title could hold the same words.
STREAM = re.compile(r"^(?:\[info\] )? *Stream #\S+: Video: (\w+).*?, (\w+)(?:\(.*?\))?, (\d+)x(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class MovieInfo:
    """A decoded movie: number of decoded frames, size in pixels, frames per second, codec and pixel format."""

    path: Path
    frames: int
    width: int
    height: int
    frame_rate: float
    codec: str
    pixel_format: str
    bytes: int


def decode(program: str, movie: Path, name: str, threads: int, codec: str = "", *, frames: int = 0) -> MovieInfo:
    """Decode a movie, or its first ``frames``, and return its properties; raise EncodeFailed if that is impossible."""
    return described(run(read_command(program, movie, codec=codec, threads=threads, frames=frames), name), movie, name)


def described(log: str, path: Path, name: str) -> MovieInfo:
    """Return the properties of a movie or of images from ffmpeg's log of decoding them."""
    stream = STREAM.search(log)
    clock = re.search(r"config in time_base: (\d+)/(\d+), frame_rate: (\d+)/(\d+)", log)
    stamps = [int(stamp) for stamp in re.findall(r"n: *\d+ pts: *(-?\d+)", log)]
    if not (stream and clock and stamps):
        raise EncodeFailed(f"{name}: ffmpeg found no frames in it")
    tick, stated, tick_of, stated_of = (int(number) for number in (clock[1], clock[3], clock[2], clock[4]))
    seconds = (max(stamps) - min(stamps)) * tick / tick_of
    rate = stated / max(stated_of, 1)
    # Time stamps are right within their resolution: Matroska's milliseconds cannot disprove 30000/1001.
    if seconds and (not rate or stream[1] == "gif" or abs((len(stamps) - 1) / rate - seconds) > tick / tick_of):
        rate = (len(stamps) - 1) / seconds
    width, height = int(stream[3]), int(stream[4])
    return MovieInfo(path, len(stamps), width, height, rate, stream[1], stream[2], path.stat().st_size)


def differences(
    info: MovieInfo, image: MovieInfo, *, frames: int, rate: Fraction, codec: str = "", transparent: bool = False,
    pixel_format: str = USUAL_FORMAT,
) -> list[str]:  # fmt: skip
    """Return how a movie differs from the request, given one of its images; empty if it does not."""
    kind = info.path.suffix.lower()
    codec = codec or CODECS[kind[1:]][0]
    stream = expected_stream(codec, image.path.suffix.lower())
    width, height = expected_sides(codec, image.width, image.height)
    # Both ends of the movie are rounded to the container's clock; a single frame has no rate.
    seconds_off = info.frames * abs(1 / (info.frame_rate or 1e-9) - 1 / float(rate)) if info.frames > 1 else 0
    full_color = pixel_format == FULL_COLOR and kind in (".mp4", ".webm")
    checks = {
        f"{info.frames} frames instead of {frames}": info.frames == frames,
        f"{info.width}x{info.height} instead of {width}x{height}": (info.width, info.height) == (width, height),
        f"{info.frame_rate:g} frames per second instead of {float(rate):g}": seconds_off <= 2 * TICKS[kind],
        f"{info.codec} instead of {stream}": info.codec == stream,
        f"{info.pixel_format} instead of {pixel_format}": not full_color or info.pixel_format == pixel_format,
        "no transparency": not (transparent and kind == ".webm") or info.pixel_format.startswith("yuva"),
    }
    return [wrong for wrong, passed in checks.items() if not passed]
