"""The job: what to render and how. Frozen and checked; the ranks read it as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job import options, outputs, sweep
from mpirender.job.metadata import Option, declarations, option
from mpirender.job.options import AUTO, BOTH_EYES, CODECS, DEFAULT_RATE, DEFAULT_SIZE
from mpirender.job.outputs import Image, Output, Size
from mpirender.job.programs import Programs, absolute, absolute_program
from mpirender.job.sweep import Variant

FOLDER = ".mpirender"
ONLY_PARAVIEW, PARAVIEW, BLENDER = ("paraview",), ("paraview", "pattern"), ("blender",)


@dataclass(frozen=True)
class RenderJob:
    """What to render, and how.

    Each field is an option of ``mpirender render``: :data:`OPTIONS` and docs/reference/options.md say what it does.
    Values are accepted as on the command line, and checked. Fields of options that can be repeated also accept a
    single value; ``files`` and ``overrides`` also accept a mapping, ``{"reader.vtu": "/data/big.vtu"}`` and
    ``{"Cone1.Resolution": 32}``.

    :raises UsageError: with every mistake found.
    """

    # A field without a group belongs to the group of the field before it.
    # fmt: off
    scene: Path = field(metadata={"option": Option(  # its content is part of the fingerprint
        "ParaView state (.pvsm), Python script (.py, executed with your permissions) or Blender file (.blend).",
        pixels=False, read=options.scene_path)})
    output: Path = option(Path(), "Folder for images and movies.", group="Output", pixels=False, metavar="FOLDER",
        short="-o", without="SCENE_renders", read=options.absolute_path)
    sizes: tuple[Size, ...] = option(  # recorded of each image, like frames, views, layouts and vary
        (), "Image resolution in pixels: a name (HD, 4K, 8K, 720p, 1440p, …), WIDTHxHEIGHT or NAME=WIDTHxHEIGHT.",
        pixels=False, metavar="SIZE", name="size", short="-s", several=True, without="the scene's own, else HD",
        read=Size.parse)
    frames: str | None = option(None, "Frames to render, such as 0-99, 0-999x2 or 1,5,10-20. ParaView frames count "
        "from 0; Blender frames keep the file's numbering.", pixels=False, metavar="SET", short="-f", without="all",
        read=options.checked(framesets.parse))
    frame_rate: str | None = option(None, "Frames per second of the movie, a number or a ratio such as 30000/1001.",
        pixels=False, metavar="RATE", short="-r", without="the scene's own, else 25", read=options.frame_rate)
    movie: str = option("mp4", "Movie format.", pixels=False, metavar="FORMAT", short="-m", choices=options.MOVIES)
    codec: str | None = option(None, f"Codec of the movie. {options.CODEC_NAMES} (images: the image files, unchanged).",
        pixels=False, without="the first one")
    pixel_format: str = option(options.USUAL_FORMAT, "How mp4 and webm movies store colors. The images do not change.",
        pixels=False, metavar="FORMAT", choices=options.PIXEL_FORMATS)
    image_format: str = option("png", "Image format.", pixels=True, metavar="FORMAT", choices=options.IMAGE_FORMATS)
    quality: int | None = option(
        None, "JPEG quality, 0 to 100.", pixels=True, least=0, most=100, without="95; in Blender the scene's")
    compression: str | None = option(None, "TIFF compression. Does not change pixels.", pixels=False, metavar="METHOD",
        choices=options.TIFF_COMPRESSIONS, without="PackBits; in Blender the scene's")
    compression_level: int = option(1, "PNG compression level, 0 to 9. Changes file size and writing time, not pixels.",
        pixels=False, least=0, most=9)
    measure: tuple[str, ...] = option(  # an image must come with its numbers
        (), "Measure the data of every image, and write the numbers into a table beside the images. SOURCE.ARRAY is "
        "the range of an array of a source or filter; integral(SOURCE).ARRAY is what ParaView's IntegrateVariables "
        "computes, Length, Area and Volume included. `mpirender inspect` lists the sources.",
        pixels=True, metavar="WHAT", engines=ONLY_PARAVIEW, several=True, read=options.measure)
    overwrite: bool = option(False, "Replace files in the output folder that mpirender did not make, and frames of "
        "another scene.", pixels=False)
    no_metadata: bool = option(False, "Write neither scene, frame, time, versions, fingerprint nor command into the "
        "files of images and movies. Images that are already complete stay as they are.", pixels=False)
    trust_output: bool = option(False, "Use an output folder that belongs to another user, who can then exchange the "
        "files in it.", pixels=False)

    views: tuple[str, ...] = option(
        (), "View to render, or all. Several views get a folder and a movie each.", group="Image content", pixels=False,
        name="view", engines=ONLY_PARAVIEW, several=True, without="the scene's first view")
    layouts: tuple[str, ...] = option((), "Layout to render as a whole, by name or by number from 1, or all. Several "
        "layouts get a folder and a movie each.", pixels=False, name="layout", engines=ONLY_PARAVIEW, several=True)
    overrides: tuple[str, ...] = option((), "Set a property of a source, filter, representation, view or color map. "
        "Names and values are those of ParaView's Python: Cone1.Resolution=32, Contour1.Isosurfaces=[100,130]. "
        "`mpirender inspect` lists the objects.", pixels=True, metavar="NAME.PROPERTY=VALUE", name="set",
        engines=ONLY_PARAVIEW, several=True, last_wins=True, read=options.assignment)
    plugins: tuple[str, ...] = option((), "ParaView plugin to load before the scene: a file, or the name of a plugin "
        "that belongs to this ParaView. ParaView itself loads those in the folders of PV_PLUGIN_PATH.", pixels=True,
        metavar="PATH", name="plugin", engines=PARAVIEW, several=True, read=options.path_or_name)
    camera: str | None = option(None, "orbit turns the camera once around the focal point during the scene's frames, "
        "or during 100 frames if the scene has no animation. orbit:N makes the turn in N frames and keeps everything "
        "else at rest. For Blender files: name of a camera.", pixels=True, metavar="HOW",
        engines=("paraview", "blender"), without="the scene's camera")
    color_range: tuple[str, ...] = option(
        (), "Range of the color maps: global (over all rendered frames), data (of the first frame), clamp (rescaled "
        "for every frame) or MIN,MAX. ARRAY=HOW sets the range of one array.", pixels=True, metavar="[ARRAY=]HOW",
        engines=ONLY_PARAVIEW, several=True, without="as in the scene", read=options.color_range)
    override_color_palette: str | None = option(
        None, "ParaView color palette.", pixels=True, choices=options.PALETTES, engines=PARAVIEW, without="the scene's")
    font_scaling: str = option(options.FONT_SCALINGS[0], "How fonts change with the image size.", pixels=True,
        metavar="HOW", choices=options.FONT_SCALINGS, engines=PARAVIEW)
    transparent_background: bool = option(
        False, "Render a transparent background, for png, tiff, webm and gif. In mp4 movies it is black.", pixels=True)
    separator_width: int | None = option(None, "Width of the lines between the views of a layout, 0 to 1000 pixels.",
        pixels=True, metavar="PIXELS", least=0, most=1000, engines=PARAVIEW, without="ParaView's")
    separator_color: str | None = option(
        None, "Color of the lines between the views of a layout: red, green and blue from 0 to 1, such as 0.9,0.9,0.9.",
        pixels=True, metavar="R,G,B", engines=PARAVIEW, without="ParaView's", read=options.color)
    one_pass: bool = option(
        False, "Give the view the size of the image, so that ParaView renders it in one pass instead of in tiles. "
        "Faster for large geometry, but the image differs: text is smaller.", pixels=True, engines=PARAVIEW)
    supersample: int = option(1, "Render images at this multiple of their size, 1 to 4, and scale them down, for "
        "smooth edges and thin lines. Lines and text keep their size.", pixels=True, metavar="FACTOR", least=1, most=4)
    stereo_mode: str = option("No change", "Stereo mode of ParaView.", pixels=True, metavar="MODE",
        choices=options.STEREO_MODES, engines=PARAVIEW)

    vary: tuple[str, ...] = option((), "Property and its values: START:STOP:STEP (STOP included) or VALUE,VALUE, such "
        "as Cone1.Resolution=3,6. With several properties, every combination of values is rendered. Names are those of "
        "--set.", group="Parameter study", pixels=False, metavar="NAME.PROPERTY=VALUES", engines=ONLY_PARAVIEW,
        several=True, read=options.checked(sweep.parse))

    scene_name: str | None = option(None, "Scene to render.", group="Blender files", pixels=True, name="scene",
        engines=BLENDER, without="the active scene")
    view_layer: str | None = option(
        None, "View layer to render.", pixels=True, engines=BLENDER, without="all view layers that the scene renders")
    blender_engine: str | None = option(
        None, "Render engine.", pixels=True, choices=options.BLENDER_ENGINES, engines=BLENDER, without="the scene's")
    samples: int | None = option(
        None, "Samples per pixel (Cycles, EEVEE).", pixels=True, least=1, engines=BLENDER, without="the scene's")
    device: str | None = option(  # recorded as the renderer, like backend
        None, "Device on which Cycles renders. GPUs are assigned round-robin to the ranks of a node; it is an error if "
        "the GPU named here is missing.", pixels=False, choices=options.DEVICES, engines=BLENDER,
        without="the scene's; the CPU if that is missing")
    allow_scripts: bool = option(
        False, "Run the scripts in the file, with your permissions.", pixels=True, engines=BLENDER)

    data_dir: Path | None = option(  # all data files are part of the fingerprint
        None, "Search this folder for the scene's data files, like ParaView's 'Search files under specified "
        "directory'. Also for scenes saved on another machine, Windows included.", group="Data files", pixels=False,
        metavar="FOLDER", engines=PARAVIEW, read=options.absolute_path)
    files: tuple[tuple[str, str], ...] = option((), "File to read instead of the scene's; READER is the name of the "
        "reader in the pipeline.", pixels=False, metavar="READER=PATH", name="file", engines=PARAVIEW, several=True,
        last_wins=True, read=options.file_of_reader)

    ranks: int | None = option(None, "Number of MPI ranks.", group="Execution", pixels=False, short="-n", least=1,
        most=1_000_000, without="one for each core you may use")
    oversubscribe: bool = option(False, "Start all --ranks, also more than there are images to render, or than the "
        "memory of this machine holds.", pixels=False)
    ranks_per_frame: int = option(
        1, "Number of ranks that load and render each frame together, for data that does not fit into the memory of "
        "one rank. Ranks that do not fill a group are not started.", pixels=True, least=1, engines=PARAVIEW)
    schedule: str = option(
        AUTO, "How frames are distributed to ranks.", pixels=False, metavar="HOW", choices=options.SCHEDULES)
    allow_order_dependence: bool = option(
        False, "Render even if images depend on the frames rendered before, and make no trial to find out: if a script "
        "in the scene gives different results each time it runs, or a view is a comparative chart.", pixels=True,
        engines=PARAVIEW)
    on_error: str = option(  # recorded of each image
        "fail", "What to do with a frame during which ParaView or Blender reports an error.", pixels=False,
        metavar="WHAT", choices=options.ON_ERROR)
    no_scripts: bool = option(False, "Refuse a scene in which anything would run as a program: Python scripts, and "
        "objects of a state or a Blender file that hold Python; also plugins.", pixels=False)
    max_restarts: int = option(10, "How often the ranks are started again after one of them was lost, for "
        "example with its node. A renderer that crashes is replaced without that.", pixels=False, least=0)
    renew_renderer: int | None = option(None, "Replace the renderer of each rank after so many images, for scenes or "
        "plugins that leak memory.", pixels=False, metavar="IMAGES", least=1,
        without="only when its memory grows beyond the rank's share of the node's")
    frame_timeout: float | None = option(None, "Time limit for one image. A renderer that takes longer is ended, and "
        "treated like one that crashed.", pixels=False, above=0,
        without="20 times the slowest image, at least 10 minutes; 4 hours until the first image is done")
    grace_period: float = option(
        25, "How long images in progress may take to finish after SIGTERM, SIGUSR1 or Ctrl-C.", pixels=False, least=0)
    max_requeues: int = option(
        100, "How often a Slurm job requeues itself: when its time limit is near (SIGUSR1), its first node is taken "
        "away or more nodes are free.", pixels=False, least=0)
    spot_notices: str = option(AUTO, "Where to watch for the notice with which a cloud announces, two minutes before, "
        "that it takes a spot node away. The ranks then finish their images in progress, and the run continues on the "
        "other nodes.", pixels=False, metavar="HOW", choices=options.SPOT_NOTICES)

    price: float | None = option(None, "Price of a node per hour, in dollars. Progress, status and summary then show "
        "node-hours, cost, and cost per image, of all runs in the output folder that had a price.", group="Cost",
        pixels=False, metavar="DOLLARS", above=0)
    price_limit: float | None = option(None, "End the run when all runs in the output folder together have cost so "
        "many dollars. Images in progress are finished. The same command with a higher limit continues the run.",
        pixels=False, metavar="DOLLARS", above=0)

    on_end: str | None = option(None, "Run this command of the shell when the run has finished, failed or stopped; not "
        "between the parts of a Slurm job that continues. It gets the result as JSON on its standard input, and in "
        "variables such as MPIRENDER_OUTCOME. It does not change the exit code.", group="Notice at the end",
        pixels=False, metavar="COMMAND", read=options.shell_command)
    mail: tuple[str, ...] = option((), "Send a mail at the end: result, time, cost, the contact sheet, and for a "
        "failure the failed frames and the command that tries them.", pixels=False, metavar="ADDRESS", several=True,
        read=options.mail_address)

    backend: str = option(AUTO, "Rendering backend.", group="Rendering hardware", pixels=False,
        choices=options.BACKENDS, engines=PARAVIEW)
    gpus: str | None = option(None, "EGL devices to use, such as 0,1, assigned round-robin to the ranks of a node. "
        "none uses only the CPU.", pixels=False, metavar="NUMBERS", engines=PARAVIEW,
        without="the GPUs that Slurm and CUDA make visible", read=options.gpus)
    allow_software: bool = option(
        False, "Render on the CPU if a GPU was requested but cannot be used.", pixels=False, engines=PARAVIEW)
    display: str | None = option(None, "X server for --backend glx, such as :0.", pixels=False, engines=PARAVIEW,
        without="a private X server on each node")

    pvbatch: str | None = option(  # its version is recorded with the renderer, like Blender's
        None, "The pvbatch program of ParaView.", group="Programs", pixels=False, metavar="PATH", engines=PARAVIEW,
        without="MPIRENDER_PVBATCH, else from PATH", read=absolute_program)
    blender: str | None = option(
        None, "Blender, or a Python that has the bpy module.", pixels=False, metavar="PATH", engines=BLENDER,
        without="MPIRENDER_BLENDER, else bpy in the Python of mpirender, else blender from PATH", read=absolute_program)
    mpiexec: str | None = option(None, "The mpiexec program of the MPI library that the ranks use.", pixels=False,
        metavar="PATH", without="the one beside pvbatch, else from PATH", read=absolute_program)
    launcher: str = option(AUTO, "Program that starts the ranks.", pixels=False, choices=options.LAUNCHERS)
    container: str | None = option(None, "Apptainer image in which the ranks run, built with launch/paraview.def.",
        pixels=False, metavar="IMAGE", without="MPIRENDER_CONTAINER", read=absolute)
    script_arguments: tuple[str, ...] = option((), "Arguments of a Python script, after --.", pixels=True,
        positional=True, several=True, last_wins=True, engines=ONLY_PARAVIEW)
    sample: str | None = option(None, "Those of the frames that an estimate renders: everything that is computed from "
        "all frames stays the same.", pixels=False, positional=True, read=options.checked(framesets.parse))
    # fmt: on

    def __post_init__(self) -> None:
        mistakes: list[str] = []
        values: dict[str, Any] = {name: getattr(self, name) for name in OPTIONS}
        if Path(self.output) == Path():
            values["output"] = f"{Path(self.scene).stem}_renders"
        for name, value in values.items():
            checked, wrong = OPTIONS[name].check(value)
            object.__setattr__(self, name, checked)  # the dataclass is frozen; this is its own constructor
            mistakes += wrong
        mistakes += _contradictions(self)
        if mistakes:
            raise UsageError(mistakes)

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """Every view and layout at every size. One rank renders all outputs of a frame, in this order."""
        both_eyes = self.stereo_mode == BOTH_EYES
        sizes = self.sizes or (Size.parse(DEFAULT_SIZE),)
        return outputs.outputs(sizes, self.views, self.layouts, self.variants, both_eyes=both_eyes)

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """Every combination of the values of a sweep; one variant without a name if there is no sweep."""
        return sweep.all_of([sweep.parse(text) for text in self.vary])

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.frame_rate or DEFAULT_RATE)

    @property
    def movie_codec(self) -> str:
        """The codec of the movie; the job must ask for one."""
        return self.codec or CODECS[self.movie][0]

    @property
    def programs(self) -> Programs:
        """The programs that run the ranks, and the hardware they render on."""
        return Programs(**{one.name: getattr(self, one.name) for one in fields(Programs)})

    @property
    def folder(self) -> Path:
        """The folder of the run's own files, inside the output folder."""
        return self.output / FOLDER

    def image(self, output: Output, frame: int) -> Path:
        """Return the path of the image of a frame."""
        return self.place(Image(frame, output.name))

    def place(self, image: Image) -> Path:
        """Return the path of an image."""
        return self.output / image.output / framesets.file_name(image.frame, self.image_format)

    def movie_path(self, output: Output) -> Path:
        """Return the path of the movie of an output."""
        return self.output / f"{self.scene.stem}_{output.name.replace('/', '_')}.{self.movie}"

    def to_json(self) -> str:
        """Return the job as JSON."""
        return json.dumps({name: getattr(self, name) for name in OPTIONS}, indent=2, default=_written)

    @classmethod
    def from_json(cls, text: str) -> RenderJob:
        """Return the job that :meth:`to_json` wrote."""
        return cls(**json.loads(text))

    def command(self) -> list[str]:
        """Return the command that makes this job."""
        return ["mpirender", "study" if self.vary else "render", *self.arguments()]

    def arguments(self, fields: Collection[str] = ()) -> list[str]:
        """Return the arguments of :meth:`command`, only of these fields if some are given, without defaults."""
        words = [str(self.scene)]
        for name, one in OPTIONS.items():
            value = one.default if fields and name not in fields else getattr(self, name)
            if one.group and value != one.default:
                items = value if one.several else (value,)
                words += [one.flag] if value is True else [w for item in items for w in (one.flag, _written(item))]
        return [*words, "--", *self.script_arguments] if self.script_arguments else words

    def pixel_options(self) -> dict[str, Any]:
        """Return the options that change pixels, or what an image must come with, as JSON holds them."""
        values = {name: getattr(self, name) for name, one in OPTIONS.items() if one.pixels}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


OPTIONS = declarations(RenderJob)  # by field
UsageError.fields.update({one.flag: name for name, one in OPTIONS.items() if one.group})


def _written(value: object) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, Size):
        return value.argument
    return "=".join(value) if isinstance(value, tuple) else str(value)


def _contradictions(job: RenderJob) -> Iterator[str]:
    """Yield the options that contradict each other."""
    names = [size.name for size in job.sizes]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"--size {name} is given twice with different sizes; give them different names"
    if job.launcher == "none" and job.ranks not in (None, 1):
        yield f"--launcher none starts one rank, not {job.ranks}; leave out --ranks, or use --launcher mpiexec"
    if job.launcher == "none" and job.ranks_per_frame > 1:
        wanted = f"--ranks-per-frame {job.ranks_per_frame}"
        yield f"--launcher none starts one rank, but {wanted} needs more; use --launcher mpiexec"
    elif job.ranks is not None and 1 <= job.ranks < job.ranks_per_frame:
        yield f"--ranks {job.ranks} is less than --ranks-per-frame {job.ranks_per_frame}; use at least as many ranks"
    yield from filter(None, [sweep.too_many(list(map(sweep.parse, job.vary)))])
    if job.no_scripts and job.allow_scripts:
        yield "--no-scripts and --allow-scripts exclude each other; give one of them"
    if job.price_limit is not None and job.price is None:
        yield "--price-limit needs the price of a node per hour: --price DOLLARS"
    yield from job.programs.mistakes()
    for size in job.sizes:
        if max(size.width, size.height) * job.supersample > outputs.LARGEST:
            most = outputs.LARGEST // job.supersample
            yield f"--supersample {job.supersample} works up to {most} pixels per side, not for {size}; use a lower one"
    yield from options.wrong_movie(job.movie, job.codec, job.pixel_format, transparent=job.transparent_background)
    if job.transparent_background and job.image_format == "jpg":
        yield "--transparent-background needs --image-format png or tiff; jpg has no transparency"
    if job.quality is not None and job.image_format != "jpg":
        yield f"--quality does not apply to {job.image_format} files; leave it out, or add --image-format jpg"
    if job.compression is not None and job.image_format != "tiff":
        instead = "use --compression-level" if job.image_format == "png" else "leave it out"
        yield f"--compression does not apply to {job.image_format} files; {instead}, or add --image-format tiff"
