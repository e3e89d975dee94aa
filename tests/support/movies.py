"""Create small images for movies, and decode movies."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from mpirender.job.options import CODECS
from mpirender.movie import ffmpeg
from mpirender.movie.ffmpeg_args import QUIET
from mpirender.movie.verify import STREAM, MovieInfo, decode

KINDS = ("mp4", "webm", "gif", "mkv")
SRGB = ("tv", "bt709", "bt709", "iec61966-2-1")  # range, matrix, primaries and transfer function
SRGB_ATOM = (1, 13, 1, 0)  # primaries, transfer function, matrix (ITU-T H.273), and not the full range
OTHERS = [(kind, codec) for kind, codecs in CODECS.items() for codec in codecs[1:]]  # all codecs except the defaults
EVEN, ODD = (64, 48), (63, 47)
COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "grey": (90, 90, 90),
}


GREYS = [10, 200, 60, 120, 240, 30, 170, 90]


def picture(size=EVEN, grey=0, channels=3):
    width, height = size
    pixels = np.full((height, width, channels), grey, np.uint8)
    for column, colour in enumerate(COLOURS.values()):
        pixels[: height // 2, column * 12 : column * 12 + 12, :3] = colour
    if channels == 4:
        pixels[..., 3] = 255
    return pixels


def write(folder, pictures, suffix="png", step=1):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame_{number * step:06d}.{suffix}" for number in range(len(pictures))]
    for path, pixels in zip(paths, pictures):
        iio.imwrite(path, pixels, plugin="pillow", **({"quality": 95, "subsampling": 0} if suffix == "jpg" else {}))
    return paths


def read_back(movie: Path, *, threads: int = 0) -> MovieInfo:
    """Decode a whole movie and return its properties, independently of the run that made it."""
    program, path = ffmpeg.ffmpeg(), movie.absolute()
    copy = ["-map", "0:v:0", "-c", "copy", "-frames:v", "1", "-f", "null", "-"]
    streams = ffmpeg.run([program, *QUIET, "-i", f"file:{path}", *copy], movie.name)
    found = STREAM.search(streams) if path.suffix.lower() == ".webm" else None
    return decode(program, path, movie.name, threads, found[1] if found else "")


def decoded(path, pixel_format="rgb24", *options):
    """Return all frames as an array, decoded independently of the code under test."""
    info = read_back(path)
    channels = {"rgb24": 3, "rgba": 4}[pixel_format]
    raw = subprocess.run(
        [ffmpeg.ffmpeg(), "-v", "error", *options, "-i", path, "-f", "rawvideo", "-pix_fmt", pixel_format, "-"],
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, info.height, info.width, channels).astype(int)


def yuv_planes(path, width, height):
    """Return the Y, U and V planes of the first frame as stored."""
    raw = subprocess.run(
        [ffmpeg.ffmpeg(), "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-"],
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    ).stdout  # fmt: skip
    data = np.frombuffer(raw, np.uint8).astype(float)
    luma, chroma = width * height, ((width + 1) // 2) * ((height + 1) // 2)
    assert len(data) == luma + 2 * chroma
    half = ((height + 1) // 2, -1)
    return data[:luma].reshape(height, -1), data[luma:-chroma].reshape(half), data[-chroma:].reshape(half)


def color_tags(path):
    """Return range, matrix, primaries and transfer function of a movie as its decoder reports them."""
    told = subprocess.run(
        [ffmpeg.ffmpeg(), "-i", path], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    ).stderr  # fmt: skip
    found = re.search(r"Video: .*? \w+\((\w+), ([\w/-]+?)(?:, progressive)?\)", told)
    assert found, told
    names = found[2].split("/")
    return (found[1], *(names * 3 if len(names) == 1 else names))


def color_atom(path):
    """Return primaries, transfer function, matrix and full range as an mp4 file states them (ISO 14496-12, 12.1.5)."""
    content = path.read_bytes()
    at = content.index(b"colrnclx")
    return struct.unpack(">HHHB", content[at + 8 : at + 15])


def assert_colours(frame, tolerance):
    for column, (name, colour) in enumerate(COLOURS.items()):
        inside = frame[6:18, column * 12 + 4 : column * 12 + 8].reshape(-1, 3)
        assert np.abs(inside - colour).max() <= tolerance, name


def exchanging_ffmpeg(folder: Path, source: Path, target: Path) -> Path:
    """Return an ffmpeg that replaces a file by another one, once, when it is to read the first image."""
    program = folder / "exchanging-ffmpeg"
    exchange = (
        f"""case "$*" in *pipe:0*) [ -e {folder}/once ] || {{ touch {folder}/once; cp {source} {target}; }};; esac"""
    )
    program.write_text(f'#!/bin/sh\n{exchange}\nexec {ffmpeg.ffmpeg()} "$@"\n')
    program.chmod(0o755)
    return program


def gif_palettes(data):
    """Return the global color table of a GIF file, and each image's own color table or an empty one.

    The format is in the GIF89a specification, appendix A.
    """
    assert data[:6] == b"GIF89a"

    def table(flags, start):
        return data[start : start + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)]

    shared, images = table(data[10], 13), []
    at = 13 + len(shared)
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            images.append(table(data[at + 9], at + 10))
            at += 11 + len(images[-1])
        else:
            at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return shared, images
