"""Turn the images of a run into a movie, and believe it only after reading it back."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from mpirender.errors import NO_SPACE, EncodeFailed, NoSpace, ToolMissing, out_of_space
from mpirender.ffmpeg import (
    MUXERS,
    PIP_LINE,
    TICKS,
    Encoding,
    encode_command,
    expected_sides,
    expected_stream,
    look_command,
    palette_command,
    read_command,
    with_encoder,
)
from mpirender.job import CODECS
from mpirender.processes import end_with_parent

FINEST = 100_000  # denominator of a frame rate; ffmpeg counts in 32 bits
GIF_FASTEST = 50  # frames a second; players slow down at delays below two hundredths of a second
BLOCK = 4096  # bytes; where fewer are free, nothing can be written
WITHOUT_TRANSPARENCY = "av1 holds no transparency, and a webm shows none without it; use vp9"

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


def encode(
    images: Sequence[Path],
    movie: Path,
    *,
    rate: Fraction,
    codec: str = "",
    threads: int = 0,
    transparent: bool = False,
) -> MovieInfo:
    """Encode the images, in this order, into a movie of the kind that its suffix names.

    The movie is written beside its place, decoded from end to end, compared with what was asked, and only then
    renamed: what stood there before stays until that moment. ffmpeg ends with the thread that calls this.

    Args:
        images: whole png, jpg or tiff files, all of one kind and size.
        movie: ``.mp4`` (odd sides grow by one pixel, which repeats the edge), ``.webm``, ``.gif`` (one palette) or
            ``.mkv`` (lossless).
        rate: frames a second; of a gif at most 50, and kept on average since its delays are hundredths of a second.
        codec: one of :data:`mpirender.job.CODECS` for this kind, by default the first. ``images`` in an mkv are the png
            or jpg files themselves, tiff as png.
        threads: of ffmpeg; 0 takes every core.
        transparent: keep the images' transparency; mp4 has none and lays them over black.

    Raises:
        EncodeFailed: an image is missing, cut short or unlike the first, ffmpeg failed, or the movie is not as asked.
        NoSpace: the disk or the quota is full.
        ToolMissing: there is no ffmpeg, or it lacks the encoder.
    """
    movie = movie.absolute()
    codec = codec or CODECS.get(movie.suffix.lower()[1:], ("",))[0]
    _check_request(images, movie, rate, codec, transparent)
    part = movie.with_name(f".part-{movie.name}")
    task = Encoding(ffmpeg(), "", part, (0, 0), rate.limit_denominator(FINEST), codec, "", threads, transparent)
    try:
        with TemporaryDirectory(prefix="mpirender-") as folder:
            info = replace(_write(task, images, movie.name, Path(folder)), path=movie)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(movie)
    except OSError as error:
        place = Path(error.filename2 or error.filename or movie)
        if out_of_space(error):
            full = f"{place.parent}: {NO_SPACE} on the disk, or in your quota"
            raise NoSpace(f"{full}; no frame is lost, make room and run the same command again") from error
        raise EncodeFailed(f"{movie.name} was not made: {error.strerror or error}: {place}") from error
    finally:
        if part.is_file():
            part.unlink()
    return info


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


def read_back(movie: Path, *, threads: int = 0) -> MovieInfo:
    """Decode a whole movie and return what is in it.

    Raises:
        EncodeFailed: it cannot be decoded from end to end, or its frames change size.
        ToolMissing: there is no ffmpeg.
    """
    program, path = ffmpeg(), movie.absolute()
    told = STREAM.search(_run(look_command(program, path), movie.name)) if path.suffix.lower() == ".webm" else None
    return _decode(program, path, movie.name, threads, told[1] if told else "")


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


def _check_request(images: Sequence[Path], movie: Path, rate: Fraction, codec: str, transparent: bool) -> None:
    """Refuse what cannot work before anything is started."""
    kind = movie.suffix.lower()
    codecs = CODECS.get(kind[1:], ())
    missing = [image.name for image in images if not image.is_file()]
    kinds = sorted({image.suffix.lower() for image in images})
    slower = f"gif players show at most {GIF_FASTEST} frames a second, not {float(rate):g}; ask for fewer, or for mp4"
    checks = {
        f"a movie's name must end in one of: {', '.join(MUXERS)}": kind in MUXERS,
        f"{codec!r} is no codec for it; choose {' or '.join(codecs)}": codec in codecs,
        WITHOUT_TRANSPARENCY: not (transparent and kind == ".webm" and codec != "vp9"),
        slower: kind != ".gif" or rate <= GIF_FASTEST,
        "there are no images to encode": len(images) > 0,
        f"the images are of several kinds, {', '.join(kinds)}; give one kind": len(kinds) <= 1,
        f"{len(missing)} of {len(images)} images are missing: {', '.join(missing[:5])}; render them": not missing,
    }
    for wrong, passed in checks.items():
        if not passed:
            raise EncodeFailed(f"{movie.name}: {wrong}")


def _write(task: Encoding, images: Sequence[Path], name: str, folder: Path) -> MovieInfo:
    """Write the part of a movie from images that are linked in a folder of their own, and check it."""
    links = _link(images, folder)
    first = _look(task.program, links[0], images[0].name)
    task = replace(task, pattern=f"%06d{links[0].suffix}", size=(first.width, first.height))
    task = with_encoder(task, encoders(task.program))
    try:
        for command in [palette_command(task)] * (task.codec == "gif") + [encode_command(task)]:
            _run(command, name, folder)
        info = _decode(task.program, task.part, name, task.threads, task.codec)
    except EncodeFailed:
        _blame(task.program, links, images, first)
        _check_space(folder, task.part.parent)  # ffmpeg 4 does not always say so
        raise
    wrong = differences(
        info, first, frames=len(images), rate=task.rate, codec=task.codec, transparent=task.transparent
    )  # fmt: skip
    if wrong:
        raise EncodeFailed(f"{name} was not kept, since it did not read back as asked: {'; '.join(wrong)}")
    return info


def _link(images: Sequence[Path], folder: Path) -> list[Path]:
    """Give the images plain names: frames have gaps, and ffmpeg reads a meaning into %, colons and leading dashes."""
    links = [folder / f"{number:06d}{image.suffix.lower()}" for number, image in enumerate(images)]
    for link, image in zip(links, images):
        link.symlink_to(image.absolute())
    return links


def _decode(program: str, movie: Path, name: str, threads: int, codec: str = "") -> MovieInfo:
    log = _run(read_command(program, movie, codec=codec, threads=threads), name)
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


def _look(program: str, link: Path, name: str) -> MovieInfo:
    """Decode one image."""
    try:
        return _decode(program, link, name, 1)
    except EncodeFailed as error:
        raise EncodeFailed(f"{name} is damaged ({str(error).split(': ')[-1]}); delete it and render it again") from None


def _blame(program: str, links: Sequence[Path], images: Sequence[Path], first: MovieInfo) -> None:
    """Raise EncodeFailed for the first image that is broken or unlike the first one, if any is."""
    for link, image in zip(links, images):
        info = _look(program, link, image.name)
        looks, expected = (f"{one.width}x{one.height} {one.pixel_format}" for one in (info, first))
        if looks != expected:
            raise EncodeFailed(f"{image.name} is {looks}, unlike {images[0].name}, {expected}; render it again")


def _check_space(*folders: Path) -> None:
    """Raise the error of a full disk if one of these folders is on one."""
    for folder in folders:
        if shutil.disk_usage(folder).free < BLOCK:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "part"))


def _run(command: list[str], name: str, folder: Path = Path()) -> str:
    """Run ffmpeg and return its log; an error that it logs is one, whatever its exit code."""
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
