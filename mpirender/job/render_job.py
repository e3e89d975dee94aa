"""The job: everything that is asked for, frozen, validated, and written as JSON for the ranks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job import options, outputs, sweep
from mpirender.job.options import AUTO, BOTH_EYES, DEFAULT_RATE, DEFAULT_SIZE, FONT_SCALINGS, STEREO_MODES, option
from mpirender.job.outputs import Image, Output, Size
from mpirender.job.programs import Programs, absolute_program
from mpirender.job.sweep import Variant

# Options that are given again for more than one.
SEVERAL = ("sizes", "files", "views", "layouts", "overrides", "vary", "color_range", "measure")
# Options that change pixels, or what an image must come with, and that came after the others.
LATER = (
    "ranks_per_frame", "allow_order_dependence", "quality", "measure", "scene_name", "view_layer", "samples",
    "blender_engine", "allow_scripts",
)  # fmt: skip
FOLDER = ".mpirender"


@dataclass(frozen=True)
class RenderJob:
    """What is to be rendered, and how. Strings and numbers as on the command line are accepted and normalised.

    Args:
        scene: the file of the scene.
        output: folder of the run; by default ``<scene>_renders`` where you stand.
        sizes: image resolutions, by name, as ``WxH`` or ``NAME=WxH``; none for the scene's own, else HD.
        frames: a frame set, or None for all.
        frame_rate: frames a second of the movie, a number or a ratio such as ``30000/1001``; None for the scene's own,
            else 25.
        movie: one of :data:`choices.MOVIES`.
        image_format: one of :data:`choices.IMAGE_FORMATS`.
        views: names of the views to render; by default the one that the scene shows first.
        layouts: names or numbers (from 1) of layouts to render whole. Where there is more than one view or layout each
            has folders and movies of its own.
        data_dir: folder to look for the scene's data files in.
        files: data file by reader name, ``{"reader.vtu": "/data/big.vtu"}``.
        overrides: properties with other values than the scene's, ``NAME.PROPERTY=VALUE`` each, or a mapping of
            ``NAME.PROPERTY`` to values; names and values as in ParaView's Python.
        vary: properties that take several values in turn, ``NAME.PROPERTY=100:200:20`` (the end counts) or
            ``NAME.PROPERTY=3,6,12``; every combination is rendered into folders of its own.
        camera: ``orbit`` turns the camera once around what it looks at, over the scene's frames; ``orbit:N`` over N
            frames in which everything else stands still. Of a Blender scene it is the name of a camera.
        color_range: how the ranges of colour maps are found: ``global`` (over all rendered frames), ``data`` (in the
            first), ``clamp`` (in each for itself) or ``MIN,MAX``; with ``ARRAY=`` before it that of one array.
        measure: numbers about the data of every image, ``SOURCE.ARRAY`` for the range of an array,
            ``integral(SOURCE).ARRAY`` for what ParaView's IntegrateVariables finds.
        separator_width: pixels between the views of a layout; None for what ParaView takes.
        separator_color: of the lines between them, red, green and blue from 0 to 1, ``0.9,0.9,0.9``.
        schedule: one of :data:`choices.SCHEDULES`; ``auto`` is contiguous where a frame needs those before it, or
            interleaved.
        one_pass: give the view the size of the image, and render it in one pass; text keeps its points, so that it is
            smaller in the picture than in that of :func:`SaveAnimation`.
        stereo_mode: one of :data:`choices.STEREO_MODES`; with ``Both Eyes`` each has folders and movies of its own.
        quality: of jpg files, 0 to 100; None for ParaView's, 95.
        compression: of tiff files, one of :data:`choices.TIFF_COMPRESSIONS`; None for ParaView's, PackBits. Changes no
            pixel.
        compression_level: zlib level of PNG files, 0 to 9; changes their size, never a pixel.
        allow_order_dependence: render also what a script makes of a frame by chance; nothing is tried then.
        on_error: ``fail`` a frame during which the engine reported an error, or ``warn`` and keep it.
        ranks: number of MPI ranks; None takes every core this process may use.
        ranks_per_frame: ranks that load and render each frame together, for data that one rank's memory does not hold.
        max_restarts: how often the ranks are started again after one of them has died.
        frame_timeout: seconds after which an image counts as hanging; None for 20 times the slowest so far, at least
            10 minutes (4 hours before the first is done).
        grace_period: seconds that images in flight get to end after a signal.
        max_requeues: how often a Slurm job goes back into the queue when SIGUSR1 tells that its time is over.
        launcher: one of :data:`choices.LAUNCHERS`; ``auto`` takes what starts ranks that see each other.
        backend: one of :data:`choices.BACKENDS`, by which windows are opened; ``auto`` takes the best that all nodes
            can use.
        gpus: numbers of the EGL devices that the ranks of a node share, ``0,1``; ``none`` for the CPU alone; None for
            those that Slurm and CUDA make visible, if there are any.
        allow_software: render on the CPU where a GPU was asked for and there is none.
        display: X server to render on with glx; None for a private one on each node.
        scene_name: which of the scenes of a Blender file; None for the one that it shows.
        view_layer: which of a Blender scene's view layers; None for those that it renders.
        samples: for each pixel, of Blender's Cycles and EEVEE; None for what the scene says.
        device: one of :data:`choices.DEVICES`, with which Cycles renders; None for what the scene says, if it is there.
        blender_engine: one of :data:`choices.BLENDER_ENGINES`; None for what the scene says.
        allow_scripts: run the scripts inside a Blender file.
        blender: a Blender, or a Python that has bpy; None for bpy of this Python, or the Blender on PATH.
        container: image (Apptainer) whose pvbatch or Blender the ranks run.

    Raises:
        UsageError: with every mistake found.
    """

    scene: Path
    output: Path = Path()
    sizes: tuple[Size, ...] = ()
    frames: str | None = None
    frame_rate: str | None = None
    movie: str = "mp4"
    image_format: str = "png"
    views: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    data_dir: Path | None = None
    files: tuple[tuple[str, str], ...] = ()
    overrides: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    camera: str | None = None
    color_range: tuple[str, ...] = ()
    measure: tuple[str, ...] = ()
    override_color_palette: str | None = None
    font_scaling: str = FONT_SCALINGS[0]
    transparent_background: bool = False
    separator_width: int | None = None
    separator_color: str | None = None
    stereo_mode: str = STEREO_MODES[0]
    one_pass: bool = False
    quality: int | None = None
    compression: str | None = None
    compression_level: int = 1
    schedule: str = AUTO
    allow_order_dependence: bool = False
    on_error: str = "fail"
    ranks: int | None = None
    ranks_per_frame: int = 1
    max_restarts: int = 10
    frame_timeout: float | None = None
    grace_period: float = 25.0
    max_requeues: int = 100
    launcher: str = "auto"
    backend: str = "auto"
    gpus: str | None = None
    allow_software: bool = False
    display: str | None = None
    scene_name: str | None = None
    view_layer: str | None = None
    samples: int | None = None
    device: str | None = None
    blender_engine: str | None = None
    allow_scripts: bool = False
    blender: str | None = None
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
        set_field(self, "overrides", _assignments(self.overrides))
        for name in ("views", "layouts", "vary", "color_range", "measure"):
            set_field(self, name, tuple(dict.fromkeys(_texts(getattr(self, name)))))
        for name in ("pvbatch", "blender", "mpiexec"):
            set_field(self, name, absolute_program(getattr(self, name)))
        set_field(self, "container", str(Path(self.container).absolute()) if self.container else None)
        set_field(self, "frame_rate", str(self.frame_rate) if self.frame_rate is not None else None)
        set_field(self, "sizes", outputs.sizes_of(self.sizes, mistakes))
        mistakes += options.mistakes(self)
        if mistakes:
            raise UsageError(mistakes)

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """Every view and layout at every size; all of a frame are rendered by the same rank, in this order."""
        both_eyes = self.stereo_mode == BOTH_EYES
        sizes = self.sizes or (Size.parse(DEFAULT_SIZE),)
        return outputs.outputs(sizes, self.views, self.layouts, self.variants, both_eyes=both_eyes)

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """Every combination of the values that properties take; one without a name where none varies."""
        return sweep.all_of([sweep.parse(text) for text in self.vary])

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.frame_rate or DEFAULT_RATE)

    @property
    def programs(self) -> Programs:
        """The programs that run the ranks, and the hardware they render on."""
        return Programs(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Programs)})

    @property
    def folder(self) -> Path:
        """The folder of the run's own files, inside the output folder."""
        return self.output / FOLDER

    def image(self, output: Output, frame: int) -> Path:
        """Return where the image of a frame has its place."""
        return self.place(Image(frame, output.name))

    def place(self, image: Image) -> Path:
        """Return where an image has its place."""
        return self.output / image.output / framesets.file_name(image.frame, self.image_format)

    def movie_path(self, output: Output) -> Path:
        """Return where the movie of an output has its place."""
        return self.output / f"{self.scene.stem}_{output.name.replace('/', '_')}.{self.movie}"

    def to_json(self) -> str:
        """Write the job for :meth:`from_json`."""
        return json.dumps(dataclasses.asdict(self), indent=2, default=str)

    def command(self) -> list[str]:
        """Return the command that makes this job."""
        return ["mpirender", "study" if self.vary else "render", *self.arguments()]

    def arguments(self) -> list[str]:
        """Return the arguments of :meth:`command`, those at their defaults left out."""
        words = [str(self.scene), "--output", str(self.output)]
        words += [word for size in self.sizes for word in ("--size", size.argument)]
        words += [word for reader, path in self.files for word in ("--file", f"{reader}={path}")]
        for name in ("views", "layouts", "overrides", "vary", "color_range", "measure"):
            words += [word for text in getattr(self, name) for word in (option(name), text)]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in ("scene", "output", *SEVERAL) and value != field.default:
                words += [option(field.name)] if value is True else [option(field.name), str(value)]
        return words

    @classmethod
    def from_json(cls, text: str) -> RenderJob:
        """Read what :meth:`to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields["sizes"] = tuple(Size(**size) for size in fields["sizes"])
        fields["files"] = tuple((reader, path) for reader, path in fields["files"])
        texts = [name for name in SEVERAL if name not in ("sizes", "files")]
        fields.update({name: tuple(fields[name]) for name in texts})
        return cls(**fields)

    def pixel_options(self) -> dict[str, Any]:
        """Return every option that can change a pixel of all outputs, beside the scene and its data files.

        What is measured is among them: an image counts only with the numbers that are asked for.
        """
        names = (
            "image_format", "override_color_palette", "font_scaling", "transparent_background",
            "stereo_mode", "one_pass", "camera", "separator_width", "separator_color",
        )  # fmt: skip
        # What came later is there only where it is given: frames rendered before stay valid.
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        later = {name: getattr(self, name) for name in LATER if getattr(self, name) != usual[name]}
        later.update({name: list(value) for name, value in later.items() if isinstance(value, tuple)})  # as JSON has it
        return {**{name: getattr(self, name) for name in names}, "overrides": list(self.overrides),
                "color_range": list(self.color_range), **later}  # fmt: skip


def _pairs(files: Mapping[str, str] | Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return reader and absolute path; a path may be a pattern, which is expanded when the scene is read."""
    items = files.items() if isinstance(files, Mapping) else files
    return tuple((str(reader), str(Path(path).expanduser().absolute())) for reader, path in items)


def _assignments(overrides: Mapping[str, object] | Sequence[str]) -> tuple[str, ...]:
    """Return the overrides as they are written on the command line."""
    if isinstance(overrides, Mapping):
        return tuple(f"{name}={value if isinstance(value, str) else repr(value)}" for name, value in overrides.items())
    return _texts(overrides)


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
