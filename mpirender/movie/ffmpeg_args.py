"""What ffmpeg is told: the command line for each kind of movie and each codec, as pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from mpirender.errors import EncodeFailed, ToolMissing

PIP_LINE = "python -m pip install imageio-ffmpeg"
MUXERS = {".mp4": "mp4", ".webm": "webm", ".gif": "gif", ".mkv": "matroska"}
TICKS = {".mp4": 1e-4, ".webm": 1e-3, ".gif": 1e-2, ".mkv": 1e-3}  # seconds; what a time stamp is rounded to
COPIED = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg"}  # image files that are packets of a codec as they are

PALETTE, LISTED, PACKETS = "palette.png", "segments.txt", "packets.txt"  # beside which ffmpeg is started
QUIET = ["-hide_banner", "-nostdin", "-nostats", "-xerror", "-loglevel", "level+info"]
BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
TO_BT709 = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
# Of a single pixel, so that showinfo's checksums cost nothing; the frames are decoded whole all the same.
LOG_EACH = "crop=1:1:0:0:exact=1,showinfo"


@dataclass(frozen=True)
class Recipe:
    """How a codec is made: its encoders in ffmpeg, best first, and what ffmpeg calls it when it reads it back.

    ``even`` codecs are those that players decode in 4:2:0 only with even sides; odd ones grow by one pixel.
    """

    encoders: tuple[str, ...]
    stream: str = ""
    even: bool = False


@dataclass(frozen=True)
class Encoder:
    """The options of an encoder, and what it takes: the shorter side in pixels, frames a second.

    ``threads`` is the option that limits them where ``-threads`` does not; ``alone`` and ``in_segments`` are options
    for a whole movie, and for a segment of one.
    """

    options: tuple[str, ...] = ()
    smallest: int = 1
    slowest: float = 0.0
    fastest: float = 1000.0
    threads: tuple[str, str] | None = None
    alone: tuple[str, ...] = ()
    in_segments: tuple[str, ...] = ()


RECIPES = {
    "h264": Recipe(("libx264",), "h264", even=True),
    "h265": Recipe(("libx265",), "hevc", even=True),
    "av1": Recipe(("libsvtav1", "libaom-av1"), "av1", even=True),  # the second compresses as well, many times slower
    "vp9": Recipe(("libvpx-vp9",), "vp9"),
    "gif": Recipe(("gif",), "gif"),
    "ffv1": Recipe(("ffv1",), "ffv1"),
    "images": Recipe(("copy", "png")),
}
# A key frame at least every so many frames, five seconds as a rule. Where the length of segments is a multiple of it,
# the joined movie is that of one encoder. Twice as many as by default cost about 1 % in size.
KEY = ("-g", "125")
# Pictures come out about as true as with x264 at 18.
ENCODERS = {
    # It spends less on the first frames and the last ones of what it encodes, which is made up for. Its headers are to
    # be the same for every segment, not what suits one best.
    "libx264": Encoder(
        ("-preset", "medium", *KEY), alone=("-crf", "18"), in_segments=("-crf", "17.8", "-x264-params", "stitchable=1")
    ),
    # Apple's players know it by the name hvc1 alone.
    "libx265": Encoder(
        ("-preset", "medium", "-crf", "20", *KEY, "-tag:v", "hvc1"), smallest=16, threads=("-x265-params", "pools=")
    ),
    "libsvtav1": Encoder(("-preset", "6", "-crf", "23"), 64, fastest=240, threads=("-svtav1-params", "lp=")),
    # Up to ffmpeg 4.2 it counts as experimental; left alone it sets one key frame in 9999.
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
    """What the command lines need to know; the pattern names images beside which ffmpeg is started."""

    program: str
    pattern: str
    part: Path
    size: tuple[int, int]
    rate: Fraction
    codec: str = "h264"
    encoder: str = "libx264"
    threads: int = 0
    transparent: bool = False
    segment: bool = False


def with_encoder(task: Encoding, available: Collection[str]) -> Encoding:
    """Return the task with the encoder of ffmpeg that does it best.

    Args:
        available: the encoders that this ffmpeg has; empty if that is not known.

    Raises:
        ToolMissing: this ffmpeg has none for the codec.
        EncodeFailed: none that it has takes such pictures.
    """
    names = RECIPES[task.codec].encoders
    if task.codec == "images":
        return replace(task, encoder=names[Path(task.pattern).suffix not in COPIED])
    here = [name for name in names if name in available or not available]
    if not here:
        raise ToolMissing(
            f"{task.program} has no encoder for {task.codec} ({' or '.join(names)}); use the ffmpeg that comes with "
            f"imageio-ffmpeg ({PIP_LINE}), or another codec"
        )
    for name in here:
        takes = ENCODERS.get(name, Encoder())
        smaller = min(expected_sides(task.codec, *task.size))
        if smaller >= takes.smallest and takes.slowest <= task.rate <= takes.fastest:
            return replace(task, encoder=name)
    width, height = task.size
    raise EncodeFailed(
        f"{task.codec} is not possible for {width}x{height} pixels at {float(task.rate):g} frames a second with this "
        f"ffmpeg's {' and '.join(here)}; use another codec"
    )


def expected_sides(codec: str, width: int, height: int) -> tuple[int, int]:
    """Return the sides of a movie in pixels, given those of its images."""
    grown = RECIPES[codec].even
    return width + grown * (width % 2), height + grown * (height % 2)


def expected_stream(codec: str, image: str) -> str:
    """Return what ffmpeg calls the codec of a movie, given the suffix of its images."""
    return COPIED.get(image, "png") if codec == "images" else RECIPES[codec].stream


def read_command(program: str, movie: Path, *, codec: str = "", threads: int, frames: int = 0) -> list[str]:
    """Return the command that decodes a movie or an image, and logs a line for each frame.

    Args:
        frames: how many, from the first; 0 for all.
    """
    # ffmpeg's own VP9 decoder passes over the transparency.
    decoder = ["-c:v", "libvpx-vp9"] if codec == "vp9" else []
    source = ["-threads", str(threads), *_strict(movie), *decoder, "-i", f"file:{movie}", "-map", "0:v:0"]
    first = ["-frames:v", str(frames)] if frames else []
    return [program, *QUIET, *source, "-vf", LOG_EACH, *first, "-f", "null", "-"]


def look_command(program: str, movie: Path) -> list[str]:
    """Return the command that logs what a movie holds, without decoding it."""
    return [program, *QUIET, "-i", f"file:{movie}", "-map", "0:v:0", "-c", "copy", "-frames:v", "1", "-f", "null", "-"]


def palette_command(task: Encoding) -> list[str]:
    """Return the command that finds one palette for all images and writes ``palette.png`` beside them.

    It is a pass of its own: in one pass with the encoding, ffmpeg would hold every frame in memory.
    """
    palette = f"{gif_filters(task.transparent)},palettegen=stats_mode=full:reserve_transparent={task.transparent:d}"
    out = ["-vf", palette, "-frames:v", "1", "-update", "1", "-f", "image2", "-y", PALETTE]
    return [task.program, *QUIET, *_input(task), *out]


def encode_command(task: Encoding) -> list[str]:
    """Return the command that encodes the numbered images; for a gif it reads ``palette.png`` beside them."""
    kind = task.part.suffix.lower()
    encoder = ENCODERS.get(task.encoder, Encoder())
    quality = encoder.in_segments if task.segment else encoder.alone
    options = [*_picture(task), "-c:v", task.encoder, *encoder.options, *quality, "-threads", str(task.threads)]
    if task.threads and encoder.threads:
        option, word = encoder.threads
        options += [option, f"{word}{task.threads}"]
    loop = ["-loop", "0"] if kind == ".gif" else []
    return [task.program, *QUIET, *_input(task), *options, *loop, *_container(task)]


def join_command(task: Encoding) -> list[str]:
    """Return the command that joins the segments that ``segments.txt`` lists, their packets untouched."""
    tag = ["-tag:v", "hvc1"] if task.codec == "h265" else []
    return [task.program, *QUIET, *_listed(), "-map", "0:v:0", "-c", "copy", *tag, *_container(task)]


def segment_list(names: Iterable[str], seconds: Iterable[float]) -> str:
    """Return what ``segments.txt`` holds; containers round their own durations, up to a thousandth of a second."""
    lines = (f"file {name}\nduration {length:.6f}\n" for name, length in zip(names, seconds))
    return "ffconcat version 1.0\n" + "".join(lines)


def packets_command(program: str, movie: Path) -> list[str]:
    """Return the command that writes time stamp and hash of each packet of a movie to ``packets.txt``."""
    return [program, *QUIET, "-i", f"file:{movie}", "-map", "0:v:0", "-c", "copy", "-f", "framemd5", "-y", PACKETS]


def even_filters(size: tuple[int, int], transparent: bool) -> str:
    """Return the filters from an image to what every player shows: over black, even sides, BT.709, 4:2:0."""
    # Without the range told, ffmpeg 4 takes black for 16.
    over_black = "format=gbrap,setparams=range=full,premultiply=inplace=1," if transparent else ""
    right, bottom = size[0] % 2, size[1] % 2
    pad = f"pad={size[0] + right}:{size[1] + bottom}:0:0,fillborders=right={right}:bottom={bottom}:mode=smear,"
    return f"{over_black}format=gbrp,{pad if right or bottom else ''}{TO_BT709},format=yuv420p"


def gif_filters(transparent: bool) -> str:
    """Return the filters from an image to what a gif can hold: a pixel is there or it is not."""
    return "format=rgba,lutrgb=a=255*floor(val/128)" if transparent else "format=gbrp"


def vp9_filters(transparent: bool) -> str:
    """Return the filters from an image to what VP9 players show: BT.709, 4:2:0, with its transparency if asked."""
    return f"format=gbrap,{TO_BT709},format=yuva420p" if transparent else f"format=gbrp,{TO_BT709},format=yuv420p"


def _picture(task: Encoding) -> list[str]:
    """Return what is done to the images before they are encoded."""
    if task.encoder == "copy":
        return []
    if task.codec == "gif":
        whole = f"[0:v]{_watched(gif_filters(task.transparent) + '[image]')};[image][1:v]paletteuse=diff_mode=rectangle"
        return ["-i", PALETTE, "-lavfi", whole]
    if task.codec == "vp9":
        # libvpx refuses alternate frames with transparency.
        alone = ["-auto-alt-ref", "0"] if task.transparent else []
        return ["-vf", _watched(vp9_filters(task.transparent)), *BT709, *alone]
    if RECIPES[task.codec].even:
        return ["-vf", _watched(even_filters(task.size, task.transparent)), *BT709]
    return ["-vf", _watched("format=bgr0|bgra" if task.codec == "ffv1" else "null")]


def _input(task: Encoding) -> list[str]:
    pace = ["-framerate", str(task.rate), "-pattern_type", "sequence", "-start_number", "0"]
    return ["-f", "image2", *pace, "-threads", str(task.threads), *_strict(Path(task.pattern)), "-i", task.pattern]


def _listed() -> list[str]:
    # Packets of h264 would else change their form on the way.
    return ["-f", "concat", "-auto_convert", "0", "-i", LISTED]


def _container(task: Encoding) -> list[str]:
    kind = task.part.suffix.lower()
    index_first = ["-movflags", "+faststart"] if kind == ".mp4" else []
    return [*index_first, "-f", MUXERS[kind], "-y", f"file:{task.part}"]


def _strict(path: Path) -> list[str]:
    """Make ffmpeg fail on a damaged image, which it would patch up; strict about tiff, it refuses sound ones."""
    return [] if path.suffix.lower() in (".tif", ".tiff") else ["-err_detect", "crccheck+explode"]


def _watched(filters: str) -> str:
    """Log each image beside the encoding: ffmpeg would quietly scale one of another size to that of the first."""
    return f"split[watched],{filters};[watched]{LOG_EACH},nullsink"
