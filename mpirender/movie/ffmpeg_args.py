"""The command lines of ffmpeg for each kind of movie and each codec, as pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from mpirender.errors import EncodeFailed, ToolMissing
from mpirender.job.options import FULL_COLOR, USUAL_FORMAT
from mpirender.job.origin import Origin

PIP_LINE = "python -m pip install imageio-ffmpeg"
MUXERS = {".mp4": "mp4", ".webm": "webm", ".gif": "gif", ".mkv": "matroska"}
TICKS = {".mp4": 1e-4, ".webm": 1e-3, ".gif": 1e-2, ".mkv": 1e-3}  # seconds; resolution of the time stamps
COPIED = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}  # image files that a movie can store as its packets
DECODERS = {**COPIED, ".tif": "tiff", ".tiff": "tiff"}

PALETTE, LISTED, PACKETS = "palette.png", "segments.txt", "packets.txt"  # in ffmpeg's working folder
QUIET = ["-hide_banner", "-nostdin", "-nostats", "-xerror", "-loglevel", "level+info"]
# The images are sRGB, and so are the tags of the movies: primaries and matrix of BT.709, transfer function of IEC
# 61966-2-1. Since version 7.1 ffmpeg takes these from the frames, before from the options.
COLORS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1", "-color_range", "tv"]
TAGGED = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=iec61966-2-1:range=tv"
TO_BT709 = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
# showinfo computes checksums, so it gets a single pixel; the whole frames are decoded nevertheless.
LOG_EACH = "crop=1:1:0:0:exact=1,showinfo"


@dataclass(frozen=True)
class Recipe:
    """A codec."""

    encoders: tuple[str, ...]  # in ffmpeg, best first
    stream: str = ""  # ffmpeg's name for its stream
    even: bool = False  # it needs even sides, since players decode it in 4:2:0 only; odd sides grow by one pixel


@dataclass(frozen=True)
class Encoder:
    """The options of an encoder, and its limits."""

    options: tuple[str, ...] = ()
    smallest: int = 1  # limit of the shorter side, in pixels
    slowest: float = 0.0  # frames per second
    fastest: float = 1000.0
    threads: tuple[str, str] | None = None  # the option that limits its threads, if ``-threads`` does not
    full_color: bool = True  # whether it encodes yuv444p
    alone: tuple[str, ...] = ()  # options for a whole movie
    in_segments: tuple[str, ...] = ()  # options for a segment


RECIPES = {
    "h264": Recipe(("libx264",), "h264", even=True),
    "h265": Recipe(("libx265",), "hevc", even=True),
    "av1": Recipe(("libsvtav1", "libaom-av1"), "av1", even=True),  # the second is as good, but many times slower
    "vp9": Recipe(("libvpx-vp9",), "vp9"),
    "gif": Recipe(("gif",), "gif"),
    "ffv1": Recipe(("ffv1",), "ffv1"),
    "images": Recipe(("copy", "png")),
}
# A key frame at least every 125 frames, usually five seconds. If the length of segments is a multiple of it, the joined
# movie is the same as from one encoder. Twice as many key frames as by default cost about 1 % in size.
KEY = ("-g", "125")
# The quality is about that of x264 at 18.
ENCODERS = {
    # x264 spends fewer bits on the first and last frames, which the lower value for segments compensates. stitchable
    # makes the headers of all segments equal.
    "libx264": Encoder(
        ("-preset", "medium", *KEY), alone=("-crf", "18"), in_segments=("-crf", "17.8", "-x264-params", "stitchable=1")
    ),
    # Apple's players accept the tag hvc1 only.
    "libx265": Encoder(
        ("-preset", "medium", "-crf", "20", *KEY, "-tag:v", "hvc1"), smallest=16, threads=("-x265-params", "pools=")
    ),
    "libsvtav1": Encoder(
        ("-preset", "6", "-crf", "23"), 64, fastest=240, threads=("-svtav1-params", "lp="), full_color=False
    ),
    # Experimental up to ffmpeg 4.2; its default is one key frame in 9999.
    "libaom-av1": Encoder(
        ("-strict", "experimental", "-b:v", "0", "-crf", "26", "-cpu-used", "6", "-row-mt", "1", "-g", "240"), slowest=1
    ),
    "libvpx-vp9": Encoder(
        ("-b:v", "0", "-crf", "24", "-deadline", "good", "-cpu-used", "4", "-row-mt", "1", "-tile-columns", "2")
    ),
    "ffv1": Encoder(("-level", "3", "-g", "1", "-slicecrc", "1")),
}  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """The parameters of the command lines; ``suffix`` and ``size`` are those of the images."""

    program: str
    suffix: str
    part: Path
    size: tuple[int, int]
    rate: Fraction
    codec: str = "h264"
    encoder: str = "libx264"
    pixel_format: str = USUAL_FORMAT
    threads: int = 0
    transparent: bool = False
    segment: bool = False
    origin: Origin | None = None  # is written into the movie
    longest: int = 0  # limit of the longer side of the movie, to which larger images are scaled; 0 for none

    @property
    def shown(self) -> tuple[int, int]:
        """The size of the images, as the movie shows them."""
        width, height = self.size
        scale = min(self.longest / max(width, height, 1), 1.0) if self.longest else 1.0
        return max(round(width * scale), 1), max(round(height * scale), 1)


def with_encoder(task: Encoding, available: Collection[str]) -> Encoding:
    """Return the task with the best of the available encoders, which are empty if unknown.

    :raises ToolMissing: this ffmpeg has no encoder for the codec.
    :raises EncodeFailed: no encoder takes images of this size and frame rate.
    """
    names = RECIPES[task.codec].encoders
    if task.codec == "images":
        return replace(task, encoder=names[task.suffix not in COPIED])
    usable = [name for name in names if name in available or not available]
    if not usable:
        raise ToolMissing(no_encoder(task.program, task.codec))
    for name in usable:
        limits = ENCODERS.get(name, Encoder())
        smaller = min(expected_sides(task.codec, *task.shown))
        stores = limits.full_color or task.pixel_format != FULL_COLOR
        if smaller >= limits.smallest and limits.slowest <= task.rate <= limits.fastest and stores:
            return replace(task, encoder=name)
    wanted = f"{task.shown[0]}x{task.shown[1]} pixels at {float(task.rate):g} frames per second"
    wanted += f" in {task.pixel_format}" if task.pixel_format == FULL_COLOR else ""
    found = " and ".join(usable)
    raise EncodeFailed(f"{task.codec} is not possible for {wanted} with this ffmpeg's {found}; use another codec")


def no_encoder(program: str, codec: str) -> str:
    """Return the message that an ffmpeg has no encoder for a codec."""
    return (
        f"{program} has no encoder for {codec} ({' or '.join(RECIPES[codec].encoders)}); use the ffmpeg that comes "
        f"with imageio-ffmpeg ({PIP_LINE}), or another codec"
    )


def expected_sides(codec: str, width: int, height: int) -> tuple[int, int]:
    """Return width and height of a movie in pixels, given those of its images."""
    grown = RECIPES[codec].even
    return width + grown * (width % 2), height + grown * (height % 2)


def expected_stream(codec: str, image: str) -> str:
    """Return ffmpeg's name for the stream of a movie, given the suffix of its images."""
    return COPIED.get(image, "png") if codec == "images" else RECIPES[codec].stream


def read_command(program: str, movie: Path, *, codec: str = "", threads: int, frames: int = 0) -> list[str]:
    """Return the command that decodes the first frames of a movie (0: all), and logs a line for each."""
    decoder = ["-c:v", "libvpx-vp9"] if codec == "vp9" else []  # ffmpeg's own VP9 decoder ignores transparency
    source = ["-threads", str(threads), *_strict(movie.suffix), *decoder, "-i", f"file:{movie}", "-map", "0:v:0"]
    first = ["-frames:v", str(frames)] if frames else []
    return [program, *QUIET, *source, "-vf", LOG_EACH, *first, "-f", "null", "-"]


def read_images_command(task: Encoding) -> list[str]:
    """Return the command that decodes the images, and logs a line for each."""
    return [task.program, *QUIET, *_input(task), "-vf", LOG_EACH, "-f", "null", "-"]


def palette_command(task: Encoding) -> list[str]:
    """Return the command that computes one palette for all images and writes ``palette.png``.

    It is a separate pass: in one pass with the encoding, ffmpeg would keep every frame in memory.
    """
    palette = f"palettegen=stats_mode=full:reserve_transparent={task.transparent:d}"
    filters = f"{_scaling(task)}{gif_filters(task.transparent)},{palette}"
    out = ["-vf", filters, "-frames:v", "1", "-update", "1", "-f", "image2", "-y", PALETTE]
    return [task.program, *QUIET, *_input(task), *out]


def encode_command(task: Encoding) -> list[str]:
    """Return the command that encodes the images; for a gif it reads ``palette.png``."""
    kind = task.part.suffix.lower()
    encoder = ENCODERS.get(task.encoder, Encoder())
    quality = encoder.in_segments if task.segment else encoder.alone
    options = [*_filters(task), "-c:v", task.encoder, *encoder.options, *quality, "-threads", str(task.threads)]
    if task.threads and encoder.threads:
        option, name = encoder.threads
        options += [option, f"{name}{task.threads}"]
    loop = ["-loop", "0"] if kind == ".gif" else []
    return [task.program, *QUIET, *_input(task), *options, *loop, *_container(task)]


def join_command(task: Encoding) -> list[str]:
    """Return the command that joins the segments listed in ``segments.txt`` and copies their packets."""
    # Without -auto_convert 0, ffmpeg would change the form of h264 packets.
    source = ["-f", "concat", "-auto_convert", "0", "-i", LISTED]
    tag = ["-tag:v", "hvc1"] if task.codec == "h265" else []
    return [task.program, *QUIET, *source, "-map", "0:v:0", "-c", "copy", *tag, *_container(task)]


def segment_list(names: Iterable[str], seconds: Iterable[float]) -> str:
    """Return the content of ``segments.txt``, with exact durations: containers round theirs to a millisecond."""
    lines = (f"file {name}\nduration {length:.6f}\n" for name, length in zip(names, seconds))
    return "ffconcat version 1.0\n" + "".join(lines)


def packets_command(program: str, movie: Path) -> list[str]:
    """Return the command that writes the time stamp and hash of each packet to ``packets.txt``."""
    return [program, *QUIET, "-i", f"file:{movie}", "-map", "0:v:0", "-c", "copy", "-f", "framemd5", "-y", PACKETS]


def metadata_command(program: str, movie: Path, target: str) -> list[str]:
    """Return the command that writes the title, comment and so on of a movie into a text file."""
    return [program, *QUIET, "-i", f"file:{movie}", "-f", "ffmetadata", "-y", target]


def even_filters(size: tuple[int, int], transparent: bool, pixel_format: str) -> str:
    """Return the filters from an image to what every player shows: on black, even sides, BT.709."""
    # Without an explicit range, ffmpeg 4 takes 16 for black.
    over_black = "format=gbrap,setparams=range=full,premultiply=inplace=1," if transparent else ""
    right, bottom = size[0] % 2, size[1] % 2
    pad = f"pad={size[0] + right}:{size[1] + bottom}:0:0,fillborders=right={right}:bottom={bottom}:mode=smear,"
    return f"{over_black}format=gbrp,{pad if right or bottom else ''}{TO_BT709},format={pixel_format},{TAGGED}"


def gif_filters(transparent: bool) -> str:
    """Return the filters from an image to a gif, in which a pixel is either opaque or transparent."""
    return "format=rgba,lutrgb=a=255*floor(val/128)" if transparent else "format=gbrp"


def _scaling(task: Encoding) -> str:
    """Return the filter that makes images smaller, if any."""
    width, height = task.shown
    return f"scale={width}:{height}:flags=area," if (width, height) != task.size else ""


def _filters(task: Encoding) -> list[str]:
    """Return the options with the filters from the images to the frames."""
    if task.encoder == "copy":
        return []
    if task.codec == "gif":
        logged = _log_images(f"{_scaling(task)}{gif_filters(task.transparent)}[image]")
        return ["-i", PALETTE, "-lavfi", f"[0:v]{logged};[image][1:v]paletteuse=diff_mode=rectangle"]
    if task.codec == "vp9":
        alpha = "a" if task.transparent else ""  # with it, libvpx refuses alternate frames
        stored = "yuva420p" if alpha else task.pixel_format
        filters = _log_images(f"{_scaling(task)}format=gbr{alpha}p,{TO_BT709},format={stored},{TAGGED}")
        return ["-vf", filters, *COLORS, *(["-auto-alt-ref", "0"] if alpha else [])]
    if RECIPES[task.codec].even:
        return [
            "-vf",
            _log_images(_scaling(task) + even_filters(task.shown, task.transparent, task.pixel_format)),
            *COLORS,
        ]
    return ["-vf", _log_images(_scaling(task) + ("format=bgr0|bgra" if task.codec == "ffv1" else "null"))]


def _input(task: Encoding) -> list[str]:
    """Return the options for the stream of images on standard input; without -r, ffmpeg would estimate the rate."""
    decoder = ["-c:v", DECODERS[task.suffix], "-threads", str(task.threads), *_strict(task.suffix)]
    return ["-f", "avi", *decoder, "-r", str(task.rate), "-i", "pipe:0"]


def _container(task: Encoding) -> list[str]:
    kind = task.part.suffix.lower()
    # No write_colr for ffmpeg before 4.3, which does not know the number of sRGB there; the codec's header has it.
    index_first = ["-movflags", "+faststart"] if kind == ".mp4" else []
    return [*index_first, *_metadata(task), "-f", MUXERS[kind], "-y", f"file:{task.part}"]


def _metadata(task: Encoding) -> list[str]:
    """Return the options that write where the movie comes from into it; a gif gets it afterwards."""
    if task.origin is None or task.segment:
        return []
    texts = {"title": task.origin.title, "description": task.origin.software, "comment": task.origin.record}
    return [word for name, text in texts.items() for word in ("-metadata", f"{name}={text}")]


def _strict(suffix: str) -> list[str]:
    """Make ffmpeg fail on damaged data instead of repairing it; for tiff it would also refuse intact images."""
    return [] if suffix in (".tif", ".tiff") else ["-err_detect", "crccheck+explode"]


def _log_images(filters: str) -> str:
    """Log each image while encoding: ffmpeg silently scales an image of another size to that of the first."""
    return f"split[logged],{filters};[logged]{LOG_EACH},nullsink"
