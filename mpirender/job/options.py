"""The values of options: choices, and functions that check a value."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from mpirender.job import paths
from mpirender.job.sweep import NUMBER

MOVIES = {"mp4": "H.264", "webm": "VP9", "gif": "", "mkv": "lossless, for further editing", "none": ""}
# The codecs of each kind, the default first; ``images`` are the png or jpg files themselves.
CODECS = {"mp4": ("h264", "h265", "av1"), "webm": ("vp9", "av1"), "gif": ("gif",), "mkv": ("images", "ffv1")}
CODEC_NAMES = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in CODECS.items())
USUAL_FORMAT, FULL_COLOR = "yuv420p", "yuv444p"
PIXEL_FORMATS = {
    USUAL_FORMAT: "half the color resolution; plays everywhere",
    FULL_COLOR: "full color resolution, for thin colored lines; many browsers, phones and TVs cannot play it",
}
IMAGE_FORMATS = ("png", "jpg", "tiff")
DYNAMIC = "dynamic"
AUTO = "auto"
ON = "on"
DEFAULT_SIZE, DEFAULT_RATE = "HD", "25"  # if neither the command nor the scene has one
ALL = "all"  # views or layouts
SCHEDULES = {
    AUTO: "contiguous if frames depend on earlier frames, as with particle tracers; else interleaved",
    "interleaved": "of N ranks, each renders every Nth frame",
    "contiguous": "each rank renders one block of frames",
    DYNAMIC: "the next frame goes to the next free rank; for frames or nodes of different speed",
}
LAUNCHERS = {
    AUTO: "mpiexec; in a Slurm allocation, the one that passes a short test",
    "mpiexec": "", "srun": "", "none": "one rank, without MPI",
}  # fmt: skip
BACKENDS = {
    AUTO: "the first that works: EGL on a GPU, OSMesa, EGL on the CPU, GLX with a private X server",
    "egl": "", "osmesa": "", "glx": "",
}  # fmt: skip
SPOT_NOTICES = {AUTO: "on instances of Amazon EC2", ON: "on every node", "off": ""}
ON_ERROR = {"fail": "the frame counts as failed", "warn": "the frame is kept"}
PALETTES = (
    "BlackBackground", "BlueGrayBackground", "GradientBackground", "LightGrayBackground", "NeutralGrayBackground",
    "WarmGrayBackground", "WhiteBackground",
)  # fmt: skip
FONT_SCALINGS = ("Scale fonts proportionally", "Do not scale fonts")
BOTH_EYES = "Both Eyes"  # each eye has images of its own, like two outputs
STEREO_MODES = {
    "No change": "", "No stereo": "", "Red-Blue": "", "Interlaced": "", "Left Eye Only": "", "Right Eye Only": "",
    BOTH_EYES: "a folder and a movie for each eye: HD_left, HD_right", "Dresden": "", "Anaglyph": "",
    "Checkerboard": "", "Side-by-Side Horizontal": "",
}  # fmt: skip
TIFF_COMPRESSIONS = ("None", "PackBits", "Deflate")
DEVICES = {"cpu": "", "gpu": "the best GPU interface available", "optix": "", "cuda": "", "hip": "", "oneapi": ""}
BLENDER_ENGINES = ("cycles", "eevee", "workbench")
ASSIGNMENT = re.compile(r"[^=]+\.[^=.]+=")  # NAME.PROPERTY=; both may contain spaces, names dots
# SOURCE.ARRAY, or integral(SOURCE).ARRAY; both names may contain dots.
MEASURE = re.compile(r"(?:integral\((?P<integrated>.+)\)|(?!integral\()(?P<source>.+))\.(?P<array>.+)")
COLOR_RANGE = re.compile(rf"(?:(?P<array>.+)=)?(?P<how>global|data|clamp|(?P<least>{NUMBER})\s*,\s*(?P<most>{NUMBER}))")


def wrong_movie(kind: str, codec: str | None, pixel_format: str, *, transparent: bool) -> Iterator[str]:
    """Yield what a kind of movie does not support; without a movie, nothing."""
    codecs = CODECS.get(kind)
    if codecs is None:
        return
    if codec is not None and codec not in codecs:
        yield f"--codec {codec!r} must be one of: {', '.join(codecs)} for {kind}"
    if (kind, codec) == ("webm", "av1") and transparent:
        yield "--codec av1 does not support transparency, which these frames have; use vp9, or --movie mp4 on black"
    if pixel_format == FULL_COLOR and kind not in ("mp4", "webm"):
        yield f"--pixel-format {FULL_COLOR} applies to mp4 and webm, not to {kind}; leave it out"
    elif pixel_format == FULL_COLOR and kind == "webm" and transparent:
        yield f"--pixel-format {FULL_COLOR} does not support transparency, which these frames have; leave it out"


MAIL_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]-][^\s@<>,;:\"()\[\]]*(@[\w.-]+)?")


def mail_address(text: str) -> str:
    """Return a mail address, or the name of a user of this site.

    :raises ValueError: it is none.
    """
    if not MAIL_ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is not a mail address")
    return text


def shell_command(text: str) -> str:
    """Return a command for the shell, checked."""
    if not text.strip() or "\0" in text:
        raise ValueError(f"{text!r}: write a command for the shell")
    return text


def absolute_path(given: str | Path) -> Path | None:
    """Return an absolute path, None for an empty text."""
    return Path(given).absolute() if given else None


def scene_path(given: str | Path) -> Path:
    """Return the absolute path of a scene file."""
    if not given:
        raise ValueError("the name of the scene file is empty")
    return Path(given).absolute()


def path_or_name(given: str) -> str:
    """Return an absolute path if the text contains a folder or names a file, else the text."""
    return str(paths.expanded(given)) if os.sep in given or paths.is_file(given) else given


def checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Return a function that returns its text if that can be parsed."""

    def read(text: str) -> str:
        parse(text)
        return text

    return read


def frame_rate(given: str | float) -> str:
    """Return a frame rate as text, checked."""
    try:
        rate = Fraction(str(given))
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not Fraction(1, 100) <= rate <= 1000:
        raise ValueError(f"{str(given)!r} must be a number of frames per second from 0.01 to 1000")
    return str(given)


def file_of_reader(given: str | tuple[str, str]) -> tuple[str, str]:
    """Return reader and absolute path; a path may be a pattern, which is expanded when the scene is read."""
    reader, path = given.partition("=")[::2] if isinstance(given, str) else given
    if not (reader and path):
        raise ValueError(f"{reader!r}: write READER=PATH")
    return reader, str(paths.expanded(path))


def assignment(given: str | tuple[str, Any]) -> str:
    """Return an assignment to a property as text, checked."""
    if not isinstance(given, str):
        name, value = given
        given = f"{name}={value if isinstance(value, str) else repr(value)}"
    if not ASSIGNMENT.match(given):
        raise ValueError(f"{given!r}: write NAME.PROPERTY=VALUE, such as Cone1.Resolution=32")
    return given


def color_range(text: str) -> str:
    """Return a color range, checked."""
    limits = COLOR_RANGE.fullmatch(text)
    if not limits:
        raise ValueError(f"{text!r} must be global, data, clamp or MIN,MAX, with ARRAY= before it for one array")
    if limits["least"] and float(limits["least"]) >= float(limits["most"]):
        raise ValueError(f"{text}: the first number must be less than the second")
    return text


def measure(text: str) -> str:
    """Return a measurement, checked."""
    if not MEASURE.fullmatch(text):
        raise ValueError(
            f"{text!r}: write SOURCE.ARRAY for the range of an array, such as Contour1.Pressure, or "
            "integral(SOURCE).ARRAY, such as integral(Contour1).Area"
        )
    return text


def color(text: str) -> str:
    """Return red, green and blue, checked."""
    parts = text.split(",")
    if len(parts) != 3 or not all(re.fullmatch(NUMBER, one.strip()) and 0 <= float(one) <= 1 for one in parts):
        raise ValueError(f"{text!r} must be red, green and blue from 0 to 1, such as 0.9,0.9,0.9")
    return text


def gpus(text: str) -> str:
    """Return the numbers of EGL devices or ``none``, checked."""
    numbers = text.split(",")
    if text != "none" and not (all(number.isdigit() for number in numbers) and len(set(numbers)) == len(numbers)):
        raise ValueError(f"{text!r} must be numbers of EGL devices, such as 0,1, or none")
    return text
