"""What the options of a job can be, and what is wrong with one by itself, without a look at its scene."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from mpirender.job import frames as framesets
from mpirender.job import sweep
from mpirender.job.sweep import NUMBER

if TYPE_CHECKING:
    from mpirender.job.render_job import RenderJob

MOVIES = ("mp4", "webm", "gif", "mkv", "none")
# The codecs of each kind, the usual one first; images are the png or jpg files themselves.
CODECS = {"mp4": ("h264", "h265", "av1"), "webm": ("vp9", "av1"), "gif": ("gif",), "mkv": ("images", "ffv1")}
IMAGE_FORMATS = ("png", "jpg", "tiff")
DYNAMIC = "dynamic"
AUTO = "auto"
DEFAULT_SIZE, DEFAULT_RATE = "HD", "25"  # where neither the command nor the scene says
ALL = "all"  # views or layouts
SCHEDULES = (AUTO, "interleaved", "contiguous", DYNAMIC)
LAUNCHERS = ("auto", "mpiexec", "srun", "none")
BACKENDS = ("auto", "egl", "osmesa", "glx")
ON_ERROR = ("fail", "warn")
PALETTES = (
    "BlackBackground", "BlueGrayBackground", "GradientBackground", "LightGrayBackground", "NeutralGrayBackground",
    "WarmGrayBackground", "WhiteBackground",
)  # fmt: skip
FONT_SCALINGS = ("Scale fonts proportionally", "Do not scale fonts")
BOTH_EYES = "Both Eyes"  # each has pictures of its own, as two outputs
STEREO_MODES = (
    "No change", "No stereo", "Red-Blue", "Interlaced", "Left Eye Only", "Right Eye Only", BOTH_EYES, "Dresden",
    "Anaglyph", "Checkerboard", "Side-by-Side Horizontal",
)  # fmt: skip
TIFF_COMPRESSIONS = ("None", "PackBits", "Deflate")
MOST_QUALITY = 100
ASSIGNMENT = re.compile(r"[^=]+\.[^=.]+=")  # NAME.PROPERTY=; both may hold spaces, names dots
# SOURCE.ARRAY, or integral(SOURCE).ARRAY; both names may hold dots.
MEASURE = re.compile(r"(?:integral\((?P<integrated>.+)\)|(?!integral\()(?P<source>.+))\.(?P<array>.+)")
MOST_SEPARATION = 1000
COLOR_RANGE = re.compile(rf"(?:(?P<array>.+)=)?(?P<how>global|data|clamp|(?P<least>{NUMBER})\s*,\s*(?P<most>{NUMBER}))")
# What not every engine knows; each says which of them it takes.
OF_ENGINES = (
    "views", "layouts", "data_dir", "files", "overrides", "vary", "camera", "color_range", "measure",
    "override_color_palette", "font_scaling", "transparent_background", "separator_width", "separator_color",
    "stereo_mode", "one_pass", "quality", "compression", "ranks_per_frame", "allow_order_dependence", "backend", "gpus",
    "allow_software", "display", "pvbatch", "scene_name", "view_layer", "samples", "device", "blender_engine",
    "allow_scripts", "blender",
)  # fmt: skip
# Where the option is called otherwise than its field, or given once for each of several.
OPTION_NAMES = {
    "scene_name": "scene", "views": "view", "layouts": "layout", "files": "file", "overrides": "set", "sizes": "size",
}  # fmt: skip
DEVICES = ("cpu", "gpu", "optix", "cuda", "hip", "oneapi")
BLENDER_ENGINES = ("cycles", "eevee", "workbench")


def option(field: str) -> str:
    """Return the option of the command line that sets a field of the job."""
    return "--" + OPTION_NAMES.get(field, field).replace("_", "-")


def mistakes(job: RenderJob) -> list[str]:
    """Say what is wrong with the options by themselves, without looking at the scene."""
    found = _not_among(job)
    if job.frames is not None:
        try:
            framesets.parse(job.frames)
        except ValueError as error:
            found.append(f"--frames {error}")
    if job.frame_rate is not None and not _is_rate(job.frame_rate):
        found.append(f"--frame-rate {job.frame_rate!r} must be a number of frames a second from 0.01 to 1000")
    if job.ranks is not None and not 1 <= job.ranks <= 1_000_000:
        found.append(f"--ranks {job.ranks} must be at least 1")
    found += _of_group(job)
    for name in ("max_restarts", "max_requeues"):
        if getattr(job, name) < 0:
            found.append(f"--{name.replace('_', '-')} {getattr(job, name)} must be at least 0")
    if job.launcher == "none" and job.ranks not in (None, 1):
        found.append(f"--launcher none starts one rank, not {job.ranks}; leave out --ranks, or take mpiexec")
    found += job.programs.mistakes()
    if job.frame_timeout is not None and not job.frame_timeout > 0:
        found.append(f"--frame-timeout {job.frame_timeout:g} must be more than 0 seconds")
    if not job.grace_period >= 0:
        found.append(f"--grace-period {job.grace_period:g} must be at least 0 seconds")
    if not 0 <= job.compression_level <= 9:
        found.append(f"--compression-level {job.compression_level} must be 0 to 9")
    if job.samples is not None and job.samples < 1:
        found.append(f"--samples {job.samples} must be at least 1")
    return [*found, *_of_picture(job), *_of_format(job), *_of_measures(job)]


def _of_group(job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the number of ranks that share a frame."""
    if job.ranks_per_frame < 1:
        yield f"--ranks-per-frame {job.ranks_per_frame} must be at least 1"
    elif job.ranks_per_frame > 1 and job.launcher == "none":
        yield f"--launcher none starts one rank, and --ranks-per-frame {job.ranks_per_frame} needs more; take mpiexec"
    elif job.ranks is not None and 1 <= job.ranks < job.ranks_per_frame:
        yield f"--ranks {job.ranks} is less than --ranks-per-frame {job.ranks_per_frame}; give at least as many"


def _of_picture(job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the options that change the picture."""
    for text in job.overrides:
        if not ASSIGNMENT.match(text):
            yield f"--set {text!r}: write NAME.PROPERTY=VALUE, such as Cone1.Resolution=32"
    for text in job.vary:
        try:
            sweep.parse(text)
        except ValueError as error:
            yield f"--vary {error}"
    for text in job.color_range:
        limits = COLOR_RANGE.fullmatch(text)
        if not limits:
            yield f"--color-range {text!r} must be global, data, clamp or MIN,MAX, with ARRAY= before it for one array"
        elif limits["least"] and float(limits["least"]) >= float(limits["most"]):
            yield f"--color-range {text}: the first number must be less than the second"
    if job.separator_width is not None and not 0 <= job.separator_width <= MOST_SEPARATION:
        yield f"--separator-width {job.separator_width} must be 0 to {MOST_SEPARATION} pixels"
    if job.separator_color is not None and not _is_color(job.separator_color):
        yield f"--separator-color {job.separator_color!r} must be red, green and blue from 0 to 1, such as 0.9,0.9,0.9"
    if job.transparent_background and job.image_format == "jpg":
        yield "--transparent-background needs --image-format png or tiff; jpg holds no transparency"


def _of_format(job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the options of single file formats."""
    if job.quality is not None:
        if not 0 <= job.quality <= MOST_QUALITY:
            yield f"--quality {job.quality} must be 0 to {MOST_QUALITY}"
        if job.image_format != "jpg":
            yield f"--quality is one of jpg files, not of {job.image_format}; leave it out, or add --image-format jpg"
    if job.compression is not None and job.image_format != "tiff":
        instead = "--compression-level LEVEL is that of png" if job.image_format == "png" else "leave it out"
        yield f"--compression is that of tiff files; {instead}, or add --image-format tiff"


def _of_measures(job: RenderJob) -> Iterator[str]:
    """Yield what is wrong with the numbers that are asked for."""
    for text in job.measure:
        if not MEASURE.fullmatch(text):
            yield (
                f"--measure {text!r}: write SOURCE.ARRAY for the range of an array, such as Contour1.Pressure, or "
                "integral(SOURCE).ARRAY, such as integral(Contour1).Area"
            )


def _is_color(text: str) -> bool:
    parts = text.split(",")
    return len(parts) == 3 and all(re.fullmatch(NUMBER, part.strip()) and 0 <= float(part) <= 1 for part in parts)


def _not_among(job: RenderJob) -> list[str]:
    choices = {
        "movie": MOVIES, "image_format": IMAGE_FORMATS, "schedule": SCHEDULES, "on_error": ON_ERROR,
        "launcher": LAUNCHERS, "backend": BACKENDS,
        "override_color_palette": (None, *PALETTES), "font_scaling": FONT_SCALINGS, "stereo_mode": STEREO_MODES,
        "compression": (None, *TIFF_COMPRESSIONS), "device": (None, *DEVICES),
        "blender_engine": (None, *BLENDER_ENGINES),
    }  # fmt: skip
    return [
        f"--{name.replace('_', '-')} {getattr(job, name)!r} must be one of: {', '.join(filter(None, allowed))}"
        for name, allowed in choices.items()
        if getattr(job, name) not in allowed
    ]


def _is_rate(text: str) -> bool:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return False
    return math.isfinite(rate) and Fraction(1, 100) <= rate <= 1000
