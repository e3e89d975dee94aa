"""Make movies from the existing frames of a run: at another frame rate, of another kind or codec."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from mpirender.errors import FramesChanged, FramesMissing, NoSpace, UsageError, out_of_space
from mpirender.job import frames as framesets
from mpirender.job.options import CODECS, PIXEL_FORMATS, USUAL_FORMAT, wrong_movie
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from mpirender.movie import encode, image_stream, verify
from mpirender.reencode.inventory import FrameInventory, inventory_of, newest_plan
from mpirender.run_folder import exclusive, folder, journal, lock, own_files
from mpirender.supervisor.disk_estimate import amount
from mpirender.system import files
from mpirender.system.text import plural

USUAL_KIND = "mp4"
GAPS = ("skip", "hold")
ALLOW = "--allow-missing skip leaves them out, --allow-missing hold repeats the frame before them"
Busy = Callable[[str], contextlib.AbstractContextManager[object]]


@dataclass(frozen=True)
class EncodeRequest:
    """The movies to make; None stands for the value of the run."""

    output: Path  # the folder that render wrote to
    frame_rate: str | None = None
    movie: str | None = None
    codec: str | None = None  # one of :data:`mpirender.job.options.CODECS` for the kind of movie
    pixel_format: str | None = None  # one of :data:`mpirender.job.options.PIXEL_FORMATS`
    sizes: tuple[str, ...] = ()  # names of some of the run's sizes; empty for all
    frames: str | None = None  # a frame set; by default those of the run
    allow_missing: str | None = None  # how to treat missing frames: ``skip`` or ``hold``; None refuses them
    # Is appended to the usual name of the movies, so that the existing ones stay; by default a codec that the run does
    # not use.
    name: str | None = None
    overwrite: bool = False  # whether to replace files that mpirender did not make
    no_metadata: bool = False  # whether the movies shall not say where they come from


@dataclass(frozen=True)
class EncodedMovie:
    """A movie that was made; ``rate`` is in frames a second, ``gaps`` says how missing frames were treated."""

    inventory: FrameInventory
    info: verify.MovieInfo
    rate: Fraction
    codec: str
    gaps: tuple[str, ...]


def on_stream(stream: TextIO) -> Busy:
    """Return the function that shows what is being done: with a spinner on a terminal, elsewhere in a line."""
    if stream.isatty():
        console = Console(file=stream)
        return lambda text: console.status(Text(text))

    def line(text: str) -> contextlib.AbstractContextManager[object]:
        stream.write(f"{text}\n")
        stream.flush()
        return contextlib.nullcontext()

    return line


def reencode(request: EncodeRequest, busy: Busy = contextlib.nullcontext) -> list[EncodedMovie]:
    """Make the movies, one per output; older ones of the same name stay until the new one is complete.

    :param busy: called with a text for each step; it returns a context for the duration of the step.
    :raises UsageError: the folder is not that of a run, the request has mistakes, or a run uses the folder.
    :raises FramesMissing: frames are missing; no movie was made.
    :raises FramesChanged: a frame has changed since it was checked.
    :raises NoSpace: the disk is full.
    :raises EncodeFailed: a movie could not be made.
    :raises ToolMissing: ffmpeg is not installed, or lacks the encoder.
    :raises Stopped: a signal came.
    """
    rendered = folder.read_job(request.output.absolute())
    job = understand(request, rendered)
    owner = lock.living_owner(job.folder)
    if owner is not None and owner.run not in lock.NO_RUNS:
        raise UsageError(
            f"{request.output}: a run still renders these frames (pid {owner.pid} on {owner.host}); encode when it has "
            f"ended: mpirender status {shlex.quote(str(request.output))} --watch"
        )
    if request.name is None and job.codec != codec_of(replace(request, codec=None), job.movie, rendered):
        request = replace(request, name=job.codec)
    try:
        with exclusive.exclusive_access(job.folder) as check, own_files.recorder(job) as record:
            with busy("checking the frames"):
                inventories = inventories_of(request, job, rendered)
                for inventory in inventories:
                    own_files.refuse(job, place(job, inventory.output, request.name))
            made = []
            for inventory in inventories:
                made.append(make(request, job, inventory, busy, record=record))
                check()
            return made
    except image_stream.ImageChanged as error:
        raise FramesChanged(f"{error}, so its movie was not made; render it: {render_command(rendered)}") from None
    except OSError as error:
        if out_of_space(error):
            raise NoSpace(job.output) from None
        where = error.filename or request.output
        raise UsageError(f"{where}: cannot be read and written ({error.strerror or error})") from None


def understand(request: EncodeRequest, rendered: RenderJob) -> RenderJob:
    """Return the job with the values of the request.

    :raises UsageError: with every mistake in the request.
    """
    job, mistakes = rendered, wrong_names(request, rendered)
    for name in ("frame_rate", "frames"):
        try:
            job = job if getattr(request, name) is None else replace(job, **{name: getattr(request, name)})
        except UsageError as error:
            mistakes += error.mistakes
    kind = request.movie or (rendered.movie if rendered.movie in CODECS else USUAL_KIND)
    mistakes += wrong_kind(kind, request, job)
    if mistakes:
        raise UsageError(mistakes)
    codec, pixel_format = codec_of(request, kind, rendered), format_of(request, kind, job)
    job = replace(job, movie=kind, codec=codec, pixel_format=pixel_format, overwrite=request.overwrite)
    return replace(job, no_metadata=rendered.no_metadata or request.no_metadata)


def codec_of(request: EncodeRequest, kind: str, rendered: RenderJob) -> str:
    """Return the codec of the movie: as requested, as in the run, or the usual one of another kind."""
    return request.codec or (rendered.codec if kind == rendered.movie else None) or CODECS[kind][0]


def format_of(request: EncodeRequest, kind: str, rendered: RenderJob) -> str:
    """Return the pixel format of the movie: as requested, or as in the run if the kind of movie has it."""
    if request.pixel_format:
        return request.pixel_format
    wrong = wrong_movie(kind, None, rendered.pixel_format, transparent=rendered.transparent_background)
    return USUAL_FORMAT if any(wrong) else rendered.pixel_format


def wrong_names(request: EncodeRequest, rendered: RenderJob) -> list[str]:
    """Return what is wrong with the names in a request."""
    known = {output.name.lower(): output.name for output in rendered.outputs}
    hint = f"is not in {request.output}; there are: {', '.join(known.values())}"
    mistakes = [f"--size {name!r} {hint}" for name in request.sizes if name.lower() not in known]
    if request.allow_missing not in (None, *GAPS):
        mistakes.append(f"--allow-missing {request.allow_missing!r} must be one of: {', '.join(GAPS)}")
    if request.name is not None and not re.fullmatch(r"[\w.+-]+", request.name):
        mistakes.append(f"--name {request.name!r} becomes part of a file name; use letters, digits and . _ + -")
    return mistakes


def wrong_kind(kind: str, request: EncodeRequest, job: RenderJob) -> list[str]:
    """Return what is wrong with the kind of movie, or what it does not support."""
    if kind not in CODECS:
        return [f"--movie {kind!r} must be one of: {', '.join(CODECS)}"]
    asked = request.pixel_format or USUAL_FORMAT
    if asked not in PIXEL_FORMATS:
        return [f"--pixel-format {asked!r} must be one of: {', '.join(PIXEL_FORMATS)}"]
    mistakes = list(wrong_movie(kind, request.codec, asked, transparent=job.transparent_background))
    if kind == "gif" and job.rate > encode.GIF_FASTEST:
        most = f"gif players show at most {encode.GIF_FASTEST} a second"
        mistakes.append(f"--frame-rate {job.frame_rate} is too fast: {most}")
    return mistakes


def inventories_of(request: EncodeRequest, job: RenderJob, rendered: RenderJob) -> list[FrameInventory]:
    """Return which frames of each output count.

    :raises FramesMissing: some are missing and the request does not allow it, or all frames of an output are.
    :raises UsageError: the scene does not have them.
    """
    recorded = journal.read(job.folder)
    plan = newest_plan(recorded)
    if plan is None:
        raise FramesMissing(f"{request.output}: no frames yet; run: {render_command(rendered)}")
    frames = framesets.parse(request.frames or plan.frames)
    planned = framesets.parse(plan.frames)
    if request.frames and rendered.frames is None and (beyond := framesets.out_of_range(request.frames, planned)):
        raise UsageError(beyond)
    sizes = {name.lower() for name in request.sizes} or {output.name.lower() for output in job.outputs}
    outputs = [output for output in job.outputs if output.name.lower() in sizes]
    inventories = inventory_of(job, outputs, frames, recorded, plan)
    if not all(inventory.sound if request.allow_missing else not inventory.missing for inventory in inventories):
        raise FramesMissing("\n".join(report_missing(request, job, rendered, inventories)))
    return inventories


def report_missing(
    request: EncodeRequest, job: RenderJob, rendered: RenderJob, inventories: Sequence[FrameInventory]
) -> list[str]:
    """Return a line for each output and reason why frames are missing, and how to fix it."""
    lines, missing = [], []
    for inventory in inventories:
        for reason, frames in inventory.missing.items():
            lines.append(f"{inventory.output.name} {framesets.named(frames)}: {reason}")
            missing += frames
    paths = [place(job, inventory.output, request.name) for inventory in inventories]
    older = [path.name for path in paths if path.exists()]
    unchanged = f" ({', '.join(older)}: unchanged)" if older else ""
    count = sum(len(inventory.requested) for inventory in inventories)
    empty = [inventory.output.name for inventory in inventories if not inventory.sound]
    of = f"all frames of {', '.join(empty)} are missing" if empty else f"{len(missing)} of {count} images are missing"
    lines += [f"{of}, so no movie was made{unchanged}", f"render them: {render_command(rendered, missing)}"]
    return lines if empty else [*lines, f"or encode without them: {ALLOW}"]


def render_command(rendered: RenderJob, missing: Collection[int] = ()) -> str:
    """Return the command that renders the missing frames, also those that are not in the frame set of the run."""
    if rendered.frames is not None and not set(missing) <= set(framesets.parse(rendered.frames)):
        wider = framesets.text([*framesets.parse(rendered.frames), *missing])
        rendered = replace(rendered, frames=wider)
    return shlex.join(rendered.command())


def place(job: RenderJob, output: Output, name: str | None) -> Path:
    """Return the path of the movie of an output."""
    usual = job.movie_path(output)
    return usual if name is None else usual.with_name(f"{usual.stem}_{name}{usual.suffix}")


def make(
    request: EncodeRequest, job: RenderJob, inventory: FrameInventory, busy: Busy, *, record: files.Made
) -> EncodedMovie:
    """Make the movie of an output, and record it."""
    frames = inventory.shown(request.allow_missing)
    images = [job.image(inventory.output, frame) for frame in frames]
    digests = {job.image(inventory.output, frame): one for frame, one in inventory.digests.items()}
    target = place(job, inventory.output, request.name)
    with busy(f"encoding {target.name}: {len(images)} frames, {float(job.rate):g} a second, {job.movie_codec}"):
        info = encode.encode(
            images, target, rate=job.rate, codec=job.movie_codec, transparent=job.transparent_background,
            pixel_format=job.pixel_format, digests=digests, made=record,
            origin=inventory.source.movie(frames) if inventory.source else None,
        )  # fmt: skip
    return EncodedMovie(
        inventory, info, job.rate, job.movie_codec, tuple(report_gaps(inventory, request.allow_missing))
    )


def report_gaps(inventory: FrameInventory, gaps: str | None) -> list[str]:
    """Return how missing frames were treated."""
    lines, first = [], min(inventory.sound)
    for reason, frames in inventory.missing.items():
        early = [frame for frame in frames if frame < first] if gaps == "hold" else []
        late = [frame for frame in frames if frame not in early]
        instead = ", the frame before is repeated" if gaps == "hold" else " and skipped"
        for some, fix in ((early, f", frame {first} is shown instead"), (late, instead)):
            if some:
                named, verb = framesets.named(some), "are" if len(some) > 1 else "is"
                lines.append(f"{inventory.output.name}: {named} {verb} missing{fix} ({reason})")
    return lines


def summary(made: Sequence[EncodedMovie]) -> str:
    """Return lines about each movie and its frames."""
    lines = []
    for movie in made:
        info, rate = movie.info, float(movie.rate)
        facts = f"{plural(info.frames, 'frame')}, {info.frames / rate:.1f} s at {rate:g} a second"
        lines.append(f"{'movie':>10}  {info.path} ({facts}, {movie.codec}, {amount(info.bytes)})")
        lines += [f"{'warning':>10}  {gap}" for gap in movie.gaps]
        if movie.inventory.complained:
            count = f"{movie.inventory.complained} of these images"
            kept = f"{movie.inventory.output.name}: errors were reported during {count}; --on-error warn kept them"
            lines.append(f"{'warning':>10}  {kept}")
    return "\n".join(lines)
