"""The job: everything that is asked for, frozen, validated, and written as JSON for the ranks."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from mpirender import frames as framesets
from mpirender.errors import UsageError

SIZE_NAMES = {
    "480p": (640, 480),
    "720p": (1280, 720),
    "HD": (1920, 1080),
    "1080p": (1920, 1080),
    "2K": (2048, 1080),
    "1440p": (2560, 1440),
    "QHD": (2560, 1440),
    "4K": (3840, 2160),
    "UHD": (3840, 2160),
    "2160p": (3840, 2160),
    "8K": (7680, 4320),
}
LARGEST = 16384  # H.264 and most OpenGL drivers stop here
MOVIES = ("mp4", "webm", "gif", "mkv", "none")
# The codecs of each kind, the usual one first; images are the png or jpg files themselves.
CODECS = {"mp4": ("h264", "h265", "av1"), "webm": ("vp9", "av1"), "gif": ("gif",), "mkv": ("images", "ffv1")}
IMAGE_FORMATS = ("png", "jpg", "tiff")
DYNAMIC = "dynamic"
SCHEDULES = ("interleaved", "contiguous", DYNAMIC)
LAUNCHERS = ("auto", "mpiexec", "srun", "none")
BACKENDS = ("auto", "egl", "osmesa", "glx")
ON_ERROR = ("fail", "warn")
PALETTES = (
    "BlackBackground", "BlueGrayBackground", "GradientBackground", "LightGrayBackground", "NeutralGrayBackground",
    "WarmGrayBackground", "WhiteBackground",
)  # fmt: skip
FONT_SCALINGS = ("Scale fonts proportionally", "Do not scale fonts")
# "Both Eyes" writes two files a frame; it is left to a later option of its own.
STEREO_MODES = (
    "No change", "No stereo", "Red-Blue", "Interlaced", "Left Eye Only", "Right Eye Only", "Dresden", "Anaglyph",
    "Checkerboard", "Side-by-Side Horizontal",
)  # fmt: skip
FOLDER = ".mpirender"


@dataclass(frozen=True)
class Size:
    """An image resolution in pixels, and the name of its folder."""

    name: str
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``HD``, ``1280x720`` or ``NAME=1280x720``.

        Raises:
            ValueError: the text is none of them, or a side is not 1 to 16384 pixels.
        """
        known = {name.lower(): name for name in SIZE_NAMES}
        if text.lower() in known:
            name = known[text.lower()]
            return cls(name, *SIZE_NAMES[name])
        match = re.fullmatch(r"(?:([\w.+-]+)=)?(\d+)[xX×](\d+)", text)
        if not match or (match[1] or "").startswith("."):
            names = ", ".join(SIZE_NAMES)
            raise ValueError(f"{text!r} is not a size; write WIDTHxHEIGHT, NAME=WIDTHxHEIGHT or one of {names}")
        width, height = int(match[2]), int(match[3])
        if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
            raise ValueError(f"{text!r}: each side must be 1 to {LARGEST} pixels")
        return cls(match[1] or f"{width}x{height}", width, height)

    @property
    def argument(self) -> str:
        """What :meth:`parse` reads it from."""
        plain = f"{self.width}x{self.height}"
        if SIZE_NAMES.get(self.name) == (self.width, self.height):
            return self.name
        return plain if self.name == plain else f"{self.name}={plain}"

    def __str__(self) -> str:
        plain = f"{self.width}x{self.height}"
        return plain if self.name == plain else f"{self.name} ({plain})"


@dataclass(frozen=True)
class Image:
    """One image of a run: a frame at a size, by its name."""

    frame: int
    size: str

    def __str__(self) -> str:
        return f"{self.size} frame {self.frame}"


@dataclass(frozen=True)
class RenderJob:
    """What is to be rendered, and how. Strings and numbers as on the command line are accepted and normalised.

    Args:
        scene: the file of the scene.
        output: folder of the run; by default ``<scene>_renders`` where you stand.
        sizes: image resolutions, by name, as ``WxH`` or ``NAME=WxH``; default HD.
        frames: a frame set, or None for all.
        frame_rate: frames a second of the movie, a number or a ratio such as ``30000/1001``.
        movie: one of :data:`MOVIES`.
        image_format: one of :data:`IMAGE_FORMATS`.
        view: name of the view to render; by default the one that the scene shows first.
        layout: name or number (from 1) of a layout to render whole, instead of a view.
        data_dir: folder to look for the scene's data files in.
        files: data file by reader name, ``{"reader.vtu": "/data/big.vtu"}``.
        one_pass: give the view the size of the image, and render it in one pass; text keeps its points, so that it is
            smaller in the picture than in that of :func:`SaveAnimation`.
        compression_level: zlib level of PNG files, 0 to 9; changes their size, never a pixel.
        on_error: ``fail`` a frame during which the engine reported an error, or ``warn`` and keep it.
        ranks: number of MPI ranks; None takes every core this process may use.
        max_restarts: how often the ranks are started again after one of them has died.
        frame_timeout: seconds after which an image counts as hanging; None for 20 times the slowest so far, at least
            10 minutes (4 hours before the first is done).
        grace_period: seconds that images in flight get to end after a signal.
        max_requeues: how often a Slurm job goes back into the queue when SIGUSR1 tells that its time is over.
        launcher: one of :data:`LAUNCHERS`; ``auto`` takes what starts ranks that see each other.
        backend: one of :data:`BACKENDS`, by which windows are opened; ``auto`` takes the best that all nodes can use.
        gpus: numbers of the EGL devices that the ranks of a node share, ``0,1``; ``none`` for the CPU alone; None for
            those that Slurm and CUDA make visible, if there are any.
        allow_software: render on the CPU where a GPU was asked for and there is none.
        display: X server to render on with glx; None for a private one on each node.
        container: image (Apptainer) whose pvbatch the ranks run.

    Raises:
        UsageError: with every mistake found.
    """

    scene: Path
    output: Path = Path()
    sizes: tuple[Size, ...] = ()
    frames: str | None = None
    frame_rate: str = "25"
    movie: str = "mp4"
    image_format: str = "png"
    view: str | None = None
    layout: str | None = None
    data_dir: Path | None = None
    files: tuple[tuple[str, str], ...] = ()
    override_color_palette: str | None = None
    font_scaling: str = FONT_SCALINGS[0]
    transparent_background: bool = False
    stereo_mode: str = STEREO_MODES[0]
    one_pass: bool = False
    compression_level: int = 1
    schedule: str = "interleaved"
    on_error: str = "fail"
    ranks: int | None = None
    max_restarts: int = 10
    frame_timeout: float | None = None
    grace_period: float = 25.0
    max_requeues: int = 100
    launcher: str = "auto"
    backend: str = "auto"
    gpus: str | None = None
    allow_software: bool = False
    display: str | None = None
    pvbatch: str | None = None
    mpiexec: str | None = None
    container: str | None = None

    def __post_init__(self) -> None:
        mistakes: list[str] = []
        scene = Path(self.scene)
        output = Path(self.output)
        if output == Path():
            output = Path(f"{scene.stem}_renders")
        set_field = object.__setattr__  # the dataclass is frozen; this is its own constructor
        set_field(self, "scene", scene.absolute())
        set_field(self, "output", output.absolute())
        set_field(self, "data_dir", Path(self.data_dir).absolute() if self.data_dir else None)
        set_field(self, "files", _pairs(self.files))
        for name in ("pvbatch", "mpiexec"):
            set_field(self, name, _program(getattr(self, name)))
        set_field(self, "container", str(Path(self.container).absolute()) if self.container else None)
        set_field(self, "frame_rate", str(self.frame_rate))
        set_field(self, "sizes", _sizes(self.sizes or ("HD",), mistakes))
        mistakes += self._mistakes()
        if mistakes:
            raise UsageError(mistakes)

    def _mistakes(self) -> list[str]:
        """Say what is wrong with the options by themselves, without looking at the scene."""
        mistakes = _not_among(self)
        if self.frames is not None:
            try:
                framesets.parse(self.frames)
            except ValueError as error:
                mistakes.append(f"--frames {error}")
        if not _is_rate(self.frame_rate):
            mistakes.append(f"--frame-rate {self.frame_rate!r} must be a number of frames a second from 0.01 to 1000")
        if self.ranks is not None and not 1 <= self.ranks <= 1_000_000:
            mistakes.append(f"--ranks {self.ranks} must be at least 1")
        for name in ("max_restarts", "max_requeues"):
            if getattr(self, name) < 0:
                mistakes.append(f"--{name.replace('_', '-')} {getattr(self, name)} must be at least 0")
        if self.launcher == "none" and self.ranks not in (None, 1):
            mistakes.append(f"--launcher none starts one rank, not {self.ranks}; leave out --ranks, or take mpiexec")
        mistakes += _of_backend(self)
        if self.frame_timeout is not None and not self.frame_timeout > 0:
            mistakes.append(f"--frame-timeout {self.frame_timeout:g} must be more than 0 seconds")
        if not self.grace_period >= 0:
            mistakes.append(f"--grace-period {self.grace_period:g} must be at least 0 seconds")
        if not 0 <= self.compression_level <= 9:
            mistakes.append(f"--compression-level {self.compression_level} must be 0 to 9")
        if self.view is not None and self.layout is not None:
            mistakes.append("--view and --layout exclude each other; give one of them")
        if self.transparent_background and self.image_format == "jpg":
            mistakes.append("--transparent-background needs --image-format png or tiff; jpg holds no transparency")
        return mistakes

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.frame_rate)

    @property
    def gpu_numbers(self) -> tuple[int, ...]:
        """The EGL devices that were asked for, in order; empty for none."""
        return tuple(map(int, self.gpus.split(","))) if self.gpus not in (None, "none") else ()

    @property
    def folder(self) -> Path:
        """The folder of the run's own files, inside the output folder."""
        return self.output / FOLDER

    def image(self, size: Size, frame: int) -> Path:
        """Return where the image of a frame has its place."""
        return self.place(Image(frame, size.name))

    def place(self, image: Image) -> Path:
        """Return where an image has its place."""
        return self.output / image.size / framesets.file_name(image.frame, self.image_format)

    def movie_path(self, size: Size) -> Path:
        """Return where the movie of a size has its place."""
        return self.output / f"{self.scene.stem}_{size.name}.{self.movie}"

    def to_json(self) -> str:
        """Write the job for :meth:`from_json`."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)

    def arguments(self) -> list[str]:
        """Return the arguments of ``mpirender render`` that make this job, those at their defaults left out."""
        words = [str(self.scene), "--output", str(self.output)]
        words += [word for size in self.sizes for word in ("--size", size.argument)]
        words += [word for reader, path in self.files for word in ("--file", f"{reader}={path}")]
        for field in dataclasses.fields(self):
            value, option = getattr(self, field.name), "--" + field.name.replace("_", "-")
            if field.name not in ("scene", "output", "sizes", "files") and value != field.default:
                words += [option] if value is True else [option, str(value)]
        return words

    @classmethod
    def from_json(cls, text: str) -> RenderJob:
        """Read what :meth:`to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields["sizes"] = tuple(Size(**size) for size in fields["sizes"])
        fields["files"] = tuple((reader, path) for reader, path in fields["files"])
        return cls(**fields)

    def pixel_options(self) -> dict[str, Any]:
        """Return every option that can change a pixel of a frame, beside the scene and its data files."""
        names = (
            "image_format", "view", "layout", "override_color_palette", "font_scaling", "transparent_background",
            "stereo_mode", "one_pass",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


def _of_backend(job: RenderJob) -> list[str]:
    """Say what is wrong with the options that choose a backend."""
    mistakes = []
    if job.gpus not in (None, "none"):
        numbers = job.gpus.split(",")
        if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
            mistakes.append(f"--gpus {job.gpus!r} must be numbers of EGL devices, such as 0,1, or none")
        if job.backend in ("osmesa", "glx"):
            mistakes.append(f"--gpus chooses devices of EGL; leave it out, or --backend {job.backend}")
    if job.display is not None and job.backend != "glx":
        mistakes.append("--display is an X server to render on with GLX; add --backend glx")
    return mistakes


def _pairs(files: Mapping[str, str] | Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return reader and absolute path; a path may be a pattern, which is expanded when the scene is read."""
    items = files.items() if isinstance(files, Mapping) else files
    return tuple((str(reader), str(Path(path).expanduser().absolute())) for reader, path in items)


def _program(asked: str | None) -> str | None:
    """Return an absolute path for a path, so that it is the same from everywhere; the name of a program stays one."""
    return str(Path(asked).absolute()) if asked and "/" in asked else asked


def _sizes(given: Sequence[Size | str], mistakes: list[str]) -> tuple[Size, ...]:
    """Return the sizes, each folder once; append what is wrong with them to mistakes."""
    sizes: list[Size] = []
    for item in (given,) if isinstance(given, str) else given:
        try:
            size = item if isinstance(item, Size) else Size.parse(item)
        except ValueError as error:
            mistakes.append(f"--size {error}")
            continue
        twin = next((other for other in sizes if other.name == size.name), None)
        if twin is None:
            sizes.append(size)
        elif twin != size:
            mistakes.append(f"--size {size.name} is given twice with different sizes; name them apart")
    return tuple(sizes)


def _not_among(job: RenderJob) -> list[str]:
    choices = {
        "movie": MOVIES, "image_format": IMAGE_FORMATS, "schedule": SCHEDULES, "on_error": ON_ERROR,
        "launcher": LAUNCHERS, "backend": BACKENDS,
        "override_color_palette": (None, *PALETTES), "font_scaling": FONT_SCALINGS, "stereo_mode": STEREO_MODES,
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
