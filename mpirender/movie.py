"""Turn the images of a run into a movie, and believe it only after reading it back."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from mpirender.errors import EncodeFailed, ToolMissing

PIP_LINE = "python -m pip install imageio-ffmpeg"
MUXERS = {".mp4": "mp4", ".webm": "webm", ".gif": "gif", ".mkv": "matroska"}
TICKS = {".mp4": 1e-4, ".webm": 1e-3, ".gif": 1e-2, ".mkv": 1e-3}  # seconds; what a time stamp is rounded to
COPIED = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}  # image files that are packets of a codec as they are
FINEST = 100_000  # denominator of a frame rate; ffmpeg counts in 32 bits
GIF_FASTEST = 50  # frames a second; players slow down at delays below two hundredths of a second

QUIET = ["-hide_banner", "-nostdin", "-nostats", "-xerror", "-loglevel", "level+info"]
BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
TO_BT709 = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
# A jpg without its last bytes is worth a mere warning to ffmpeg, and it invents the lower edge. That line is looked for
# anywhere: a message that comes while another thread is in the middle of a line has no prefix.
ERROR = re.compile(r"^(?:\[[^]]* @ [^]]*\] )*\[(?:error|fatal|panic)\] .+|EOI missing", re.MULTILINE)
# Of a single pixel, so that showinfo's checksums cost nothing; the frames are decoded whole all the same.
LOG_EACH = "crop=1:1:0:0:exact=1,showinfo"


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


@dataclass(frozen=True)
class Encoding:
    """What the command lines need to know; the pattern names images beside which ffmpeg is started."""

    program: str
    pattern: str
    part: Path
    size: tuple[int, int]
    rate: Fraction
    threads: int = 0
    transparent: bool = False


def encode(
    images: Sequence[Path], movie: Path, *, rate: Fraction, threads: int = 0, transparent: bool = False
) -> MovieInfo:
    """Encode the images, in this order, into a movie of the kind that its suffix names.

    The movie is written beside its place, decoded from end to end, compared with what was asked, and only then
    renamed: what stood there before stays until that moment.

    Args:
        images: whole png, jpg or tiff files, all of one kind and size.
        movie: ``.mp4`` (H.264; odd sides grow by one pixel, which repeats the edge), ``.webm`` (VP9), ``.gif`` (one
            palette) or ``.mkv`` (lossless: it holds the png or jpg files themselves, tiff as png).
        rate: frames a second; of a gif at most 50, and kept on average since its delays are hundredths of a second.
        threads: of ffmpeg; 0 takes every core.
        transparent: keep the images' transparency; mp4 has none and lays them over black.

    Raises:
        EncodeFailed: an image is missing, cut short or unlike the first, ffmpeg failed, or the movie is not as asked.
        ToolMissing: there is no ffmpeg.
    """
    movie = movie.absolute()
    _check_request(images, movie, rate)
    program, part = ffmpeg(), movie.with_name(f".part-{movie.name}")
    try:
        with TemporaryDirectory(prefix="mpirender-") as folder:
            links = _link(images, Path(folder))
            first = _look(program, links[0], images[0].name)
            size, pattern = (first.width, first.height), f"%06d{links[0].suffix}"
            task = Encoding(program, pattern, part, size, rate.limit_denominator(FINEST), threads, transparent)
            try:
                for command in [palette_command(task)] * (part.suffix.lower() == ".gif") + [encode_command(task)]:
                    _run(command, movie.name, folder)
                info = replace(_decode(program, part, movie.name, threads), path=movie)
            except EncodeFailed:
                _blame(program, links, images, first)
                raise
        wrong = differences(info, first, frames=len(images), rate=rate, transparent=transparent)
        if wrong:
            raise EncodeFailed(f"{movie.name} was not kept, since it did not read back as asked: {'; '.join(wrong)}")
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(movie)
    except OSError as error:
        place = error.filename or movie.parent
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


def read_back(movie: Path, *, threads: int = 0) -> MovieInfo:
    """Decode a whole movie and return what is in it.

    Raises:
        EncodeFailed: it cannot be decoded from end to end, or its frames change size.
        ToolMissing: there is no ffmpeg.
    """
    return _decode(ffmpeg(), movie.absolute(), movie.name, threads)


def read_command(program: str, movie: Path, *, threads: int) -> list[str]:
    """Return the command that decodes every frame of a movie or an image, and logs a line for each."""
    # ffmpeg's own VP9 decoder passes over the transparency.
    decoder = ["-c:v", "libvpx-vp9"] if movie.suffix.lower() == ".webm" else []
    source = ["-threads", str(threads), *_strict(movie), *decoder, "-i", f"file:{movie}", "-map", "0:v:0"]
    return [program, *QUIET, *source, "-vf", LOG_EACH, "-f", "null", "-"]


def palette_command(task: Encoding) -> list[str]:
    """Return the command that finds one palette for all images and writes ``palette.png`` beside them.

    It is a pass of its own: in one pass with the encoding, ffmpeg would hold every frame in memory.
    """
    palette = f"{gif_filters(task.transparent)},palettegen=stats_mode=full:reserve_transparent={task.transparent:d}"
    out = ["-vf", palette, "-frames:v", "1", "-update", "1", "-f", "image2", "-y", "palette.png"]
    return [task.program, *QUIET, *_input(task), *out]


def encode_command(task: Encoding) -> list[str]:
    """Return the command that encodes the numbered images; for a gif it reads ``palette.png`` beside them."""
    kind = task.part.suffix.lower()
    options = {
        ".mp4": [
            "-vf", _watched(mp4_filters(task.size, task.transparent)), "-c:v", "libx264", "-preset", "medium",
            "-crf", "18", *BT709, "-movflags", "+faststart",
        ],
        ".webm": [
            "-vf", _watched(webm_filters(task.transparent)), "-c:v", "libvpx-vp9", "-b:v", "0", "-crf", "24",
            "-deadline", "good", "-cpu-used", "4", "-row-mt", "1", "-tile-columns", "2", *BT709,
            *["-auto-alt-ref", "0"] * task.transparent,  # libvpx refuses alternate frames with transparency
        ],
        ".gif": [
            "-i", "palette.png", "-lavfi", "[0:v]" + _watched(gif_filters(task.transparent) + "[image]")
            + ";[image][1:v]paletteuse=diff_mode=rectangle", "-loop", "0",
        ],
        ".mkv": ["-c:v", "copy" if Path(task.pattern).suffix in COPIED else "png"],
    }[kind]  # fmt: skip
    out = ["-threads", str(task.threads), "-f", MUXERS[kind], "-y", f"file:{task.part}"]
    return [task.program, *QUIET, *_input(task), *options, *out]


def mp4_filters(size: tuple[int, int], transparent: bool) -> str:
    """Return the filters from an image to what H.264 players show: over black, even sides, BT.709, 4:2:0."""
    # Without the range told, ffmpeg 4 takes black for 16.
    over_black = "format=gbrap,setparams=range=full,premultiply=inplace=1," if transparent else ""
    right, bottom = size[0] % 2, size[1] % 2
    pad = f"pad={size[0] + right}:{size[1] + bottom}:0:0,fillborders=right={right}:bottom={bottom}:mode=smear,"
    return f"{over_black}format=gbrp,{pad if right or bottom else ''}{TO_BT709},format=yuv420p"


def gif_filters(transparent: bool) -> str:
    """Return the filters from an image to what a gif can hold: a pixel is there or it is not."""
    return "format=rgba,lutrgb=a=255*floor(val/128)" if transparent else "format=gbrp"


def webm_filters(transparent: bool) -> str:
    """Return the filters from an image to what VP9 players show: BT.709, 4:2:0, with its transparency if asked."""
    return f"format=gbrap,{TO_BT709},format=yuva420p" if transparent else f"format=gbrp,{TO_BT709},format=yuv420p"


def differences(
    info: MovieInfo, image: MovieInfo, *, frames: int, rate: Fraction, transparent: bool = False
) -> list[str]:
    """Say in what a movie is not the one asked for, given one of its images; an empty list if it is."""
    kind = info.path.suffix.lower()
    codec = {".mp4": "h264", ".webm": "vp9", ".gif": "gif", ".mkv": COPIED.get(image.path.suffix, "png")}[kind]
    grown = kind == ".mp4"
    width, height = image.width + grown * (image.width % 2), image.height + grown * (image.height % 2)
    # Both ends of the movie are rounded to the container's clock; a single frame has no rate to speak of.
    seconds_off = info.frames * abs(1 / (info.frame_rate or 1e-9) - 1 / float(rate)) if info.frames > 1 else 0
    checks = {
        f"{info.frames} frames instead of {frames}": info.frames == frames,
        f"{info.width}x{info.height} instead of {width}x{height}": (info.width, info.height) == (width, height),
        f"{info.frame_rate:g} frames a second instead of {float(rate):g}": seconds_off <= 2 * TICKS[kind],
        f"{info.codec} instead of {codec}": info.codec == codec,
        "no transparency": not (transparent and kind == ".webm") or info.pixel_format.startswith("yuva"),
    }
    return [wrong for wrong, passed in checks.items() if not passed]


def _check_request(images: Sequence[Path], movie: Path, rate: Fraction) -> None:
    """Refuse what cannot work before anything is started."""
    kind = movie.suffix.lower()
    missing = [image.name for image in images if not image.is_file()]
    kinds = sorted({image.suffix.lower() for image in images})
    slower = f"gif players show at most {GIF_FASTEST} frames a second, not {float(rate):g}; ask for fewer, or for mp4"
    checks = {
        f"a movie's name must end in one of: {', '.join(MUXERS)}": kind in MUXERS,
        slower: kind != ".gif" or rate <= GIF_FASTEST,
        "there are no images to encode": len(images) > 0,
        f"the images are of several kinds, {', '.join(kinds)}; give one kind": len(kinds) <= 1,
        f"{len(missing)} of {len(images)} images are missing: {', '.join(missing[:5])}; render them": not missing,
    }
    for wrong, passed in checks.items():
        if not passed:
            raise EncodeFailed(f"{movie.name}: {wrong}")


def _link(images: Sequence[Path], folder: Path) -> list[Path]:
    """Give the images plain names: frames have gaps, and ffmpeg reads a meaning into %, colons and leading dashes."""
    links = [folder / f"{number:06d}{image.suffix.lower()}" for number, image in enumerate(images)]
    for link, image in zip(links, images):
        link.symlink_to(image.absolute())
    return links


def _decode(program: str, movie: Path, name: str, threads: int) -> MovieInfo:
    log = _run(read_command(program, movie, threads=threads), name)
    stream = re.search(r"Video: (\w+).*?, (\w+)(?:\(.*?\))?, (\d+)x(\d+)", log)
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


def _run(command: list[str], name: str, folder: str | None = None) -> str:
    """Run ffmpeg and return its log; an error that it logs is one, whatever its exit code."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "AV_LOG_FORCE_NOCOLOR": "1"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    log = done.stderr.decode(errors="replace")
    if os.strerror(errno.ENOSPC) in log:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    # The first error is the cause; the lines after it are ffmpeg winding down.
    if found := ERROR.search(log):
        raise EncodeFailed(f"{name}: ffmpeg failed: {found[0].split('] ')[-1].strip()}")
    if done.returncode:
        said = [line for line in log.splitlines() if line.strip() and "[info]" not in line]
        raise EncodeFailed(f"{name}: ffmpeg ended with code {done.returncode}. {said[-1] if said else ''}".rstrip())
    if log.count("config in time_base") > 1:
        raise EncodeFailed(f"{name}: the size or the pixel format changes midway")
    return log


def _input(task: Encoding) -> list[str]:
    pace = ["-framerate", str(task.rate), "-pattern_type", "sequence", "-start_number", "0"]
    return ["-f", "image2", *pace, "-threads", str(task.threads), *_strict(Path(task.pattern)), "-i", task.pattern]


def _strict(path: Path) -> list[str]:
    """Make ffmpeg fail on a damaged image, which it would patch up; strict about tiff, it refuses sound ones."""
    return [] if path.suffix.lower() in (".tif", ".tiff") else ["-err_detect", "crccheck+explode"]


def _watched(filters: str) -> str:
    """Log each image beside the encoding: ffmpeg would quietly scale one of another size to that of the first."""
    return f"split[watched],{filters};[watched]{LOG_EACH},nullsink"
