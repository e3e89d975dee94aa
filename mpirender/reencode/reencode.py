"""Make the movies of a run again, from the frames that are there: at another rate, of another kind or codec."""

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

from mpirender.errors import FramesMissing, MpirenderError, NoSpace, UsageError, out_of_space
from mpirender.job import frames as framesets
from mpirender.job.options import CODECS
from mpirender.job.outputs import Output
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.movie import encode, verify
from mpirender.reencode.inventory import FrameInventory, newest_plan, take_stock, verb
from mpirender.run_folder import exclusive, journal
from mpirender.supervisor.disk_estimate import amount
from mpirender.system.text import plural

USUAL_KIND = "mp4"
GAPS = ("skip", "hold")
ALLOW = "--allow-missing skip leaves them out, --allow-missing hold shows the frame before them meanwhile"
Busy = Callable[[str], contextlib.AbstractContextManager[object]]


@dataclass(frozen=True)
class EncodeRequest:
    """The movies to make, as asked for on the command line; None stands for what the run used.

    Args:
        output: the folder that render wrote to.
        codec: one of :data:`choices.CODECS` for the kind of movie, by default the first.
        sizes: names of some of the run's sizes; empty for all.
        frames: a frame set; by default those of the run.
        allow_missing: what becomes of frames that are not there: ``skip`` or ``hold``; None refuses them.
        name: comes behind the usual name of the movies, so that they stand beside those there are.
    """

    output: Path
    frame_rate: str | None = None
    movie: str | None = None
    codec: str | None = None
    sizes: tuple[str, ...] = ()
    frames: str | None = None
    allow_missing: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Made:
    """A movie that was made; ``rate`` is in frames a second, ``gaps`` what became of missing frames."""

    stock: FrameInventory
    info: verify.MovieInfo
    rate: Fraction
    codec: str
    gaps: tuple[str, ...]


def silent(_text: str) -> contextlib.AbstractContextManager[object]:
    """Say nothing of what is being done; for --quiet."""
    return contextlib.nullcontext()


def telling(stream: TextIO) -> Busy:
    """Return what says what is being done: with a spinner on a terminal, elsewhere in a line."""
    if stream.isatty():
        console = Console(file=stream)
        return lambda text: console.status(Text(text))

    def line(text: str) -> contextlib.AbstractContextManager[object]:
        stream.write(f"{text}\n")
        stream.flush()
        return contextlib.nullcontext()

    return line


def reencode(request: EncodeRequest, busy: Busy = silent) -> list[Made]:
    """Make the movies, one per output; older ones of the same name stay until the new one is whole.

    Args:
        busy: called with what is being done, for a context that lasts as long.

    Raises:
        UsageError: no run was ever asked for in this folder, or the request has mistakes, or a run lives there.
        FramesMissing: frames are missing; no movie was made.
        NoSpace: the disk is full.
        EncodeFailed: a movie could not be made.
        ToolMissing: there is no ffmpeg, or it lacks the encoder.
        Stopped: a signal came.
    """
    rendered = read_job(request.output.absolute())
    job, codec = understand(request, rendered)
    try:
        with exclusive.exclusive_access(job.folder) as check:
            with busy("checking the frames"):
                stocks = stocks_of(request, job, rendered)
            made = []
            for stock in stocks:
                made.append(make(request, job, codec, stock, busy))
                check()
            return made
    except OSError as error:
        if out_of_space(error):
            raise NoSpace(job.output) from None
        raise UsageError(f"{request.output}: cannot be read and written ({error.strerror or error})") from None


def read_job(output: Path) -> RenderJob:
    """Return the job of a folder, which may have been moved since.

    Raises:
        UsageError: it has none, or none that can be read.
    """
    try:
        job = RenderJob.from_json((output / FOLDER / "job.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        hint = "give the folder that render wrote to (--output; SCENE_renders by default)"
        raise UsageError(f"{output}: no run of mpirender here; {hint}") from None
    except OSError as error:
        raise UsageError(f"{output}: cannot be read ({error.strerror or error})") from None
    except (ValueError, TypeError, KeyError, MpirenderError):
        raise UsageError(
            f"{output / FOLDER / 'job.json'}: damaged, or of another version; mpirender render writes it anew"
        ) from None
    return replace(job, output=output)


def understand(request: EncodeRequest, rendered: RenderJob) -> tuple[RenderJob, str]:
    """Return the job with what is asked for put in, and the codec.

    Raises:
        UsageError: with every mistake in the request.
    """
    job, mistakes = rendered, wrong_words(request, rendered)
    for name in ("frame_rate", "frames"):
        try:
            job = job if getattr(request, name) is None else replace(job, **{name: getattr(request, name)})
        except UsageError as error:
            mistakes += error.mistakes
    kind = request.movie or (rendered.movie if rendered.movie in CODECS else USUAL_KIND)
    mistakes += wrong_kind(kind, request.codec, job)
    if mistakes:
        raise UsageError(mistakes)
    return replace(job, movie=kind), request.codec or CODECS[kind][0]


def outputs_of(request: EncodeRequest, job: RenderJob) -> list[Output]:
    """Return the outputs whose movies are asked for."""
    asked = {name.lower() for name in request.sizes}
    return [output for output in job.outputs if not asked or output.name.lower() in asked]


def wrong_words(request: EncodeRequest, rendered: RenderJob) -> list[str]:
    """Say what is wrong with names that are to be chosen from a few."""
    there = [output.name for output in rendered.outputs]
    known = {name.lower() for name in there}
    mistakes = [
        f"--size {name!r} is not in {request.output}; there are: {', '.join(there)}"
        for name in request.sizes
        if name.lower() not in known
    ]
    if request.allow_missing not in (None, *GAPS):
        mistakes.append(f"--allow-missing {request.allow_missing!r} must be one of: {', '.join(GAPS)}")
    if request.name is not None and not re.fullmatch(r"[\w.+-]+", request.name):
        mistakes.append(f"--name {request.name!r} becomes part of a file name; use letters, digits and . _ + -")
    return mistakes


def wrong_kind(kind: str, codec: str | None, job: RenderJob) -> list[str]:
    """Say what is wrong with the kind of movie, or what does not go with it."""
    if kind not in CODECS:
        return [f"--movie {kind!r} must be one of: {', '.join(CODECS)}"]
    mistakes = []
    if codec is not None and codec not in CODECS[kind]:
        mistakes.append(f"--codec {codec!r} must be one of: {', '.join(CODECS[kind])} for {kind}")
    if (kind, codec) == ("webm", "av1") and job.transparent_background:
        mistakes.append("--codec av1 holds no transparency, which these frames have; use vp9, or --movie mp4 on black")
    if kind == "gif" and job.rate > encode.GIF_FASTEST:
        mistakes.append(
            f"--frame-rate {job.frame_rate} is too fast: gif players show at most {encode.GIF_FASTEST} a second"
        )
    return mistakes


def stocks_of(request: EncodeRequest, job: RenderJob, rendered: RenderJob) -> list[FrameInventory]:
    """Look which frames are there, of each output.

    Raises:
        FramesMissing: some are missing and that is not allowed, or all of an output are.
        UsageError: the scene does not have them.
    """
    recorded = journal.read(job.folder)
    plan = newest_plan(recorded)
    if plan is None:
        raise FramesMissing(f"{request.output}: nothing was rendered here yet; run: {render_command(rendered)}")
    asked = framesets.parse(request.frames or plan.frames)
    if request.frames and rendered.frames is None:
        beyond = framesets.out_of_range(request.frames, framesets.parse(plan.frames))
        if beyond:
            raise UsageError(beyond)
    stocks = take_stock(job, outputs_of(request, job), asked, recorded, plan.fingerprint)
    if not all(stock.sound if request.allow_missing else not stock.missing for stock in stocks):
        raise FramesMissing("\n".join(told_missing(request, job, rendered, stocks)))
    return stocks


def told_missing(
    request: EncodeRequest, job: RenderJob, rendered: RenderJob, stocks: Sequence[FrameInventory]
) -> list[str]:
    """Name what is missing, a line for each output and reason, and what can be done about it."""
    lines = [
        f"{stock.output.name} {framesets.named(frames)}: {reason}"
        for stock in stocks
        for reason, frames in stock.missing.items()
    ]
    older = [path.name for path in (place(job, stock.output, request.name) for stock in stocks) if path.exists()]
    stays = f" ({', '.join(older)}: as before)" if older else ""
    missing = [frame for stock in stocks for frames in stock.missing.values() for frame in frames]
    count = sum(len(stock.asked) for stock in stocks)
    empty = [stock.output.name for stock in stocks if not stock.sound]
    of = f"no frame at all of {', '.join(empty)} is there" if empty else f"{len(missing)} of {count} images are missing"
    lines += [f"{of}, so no movie was made{stays}", f"render them: {render_command(rendered, missing)}"]
    return lines if empty else [*lines, f"or encode without them: {ALLOW}"]


def render_command(rendered: RenderJob, missing: Collection[int] = ()) -> str:
    """Return the command that renders what is missing, with the frames that the run was not asked for added."""
    if rendered.frames is not None and not set(missing) <= set(framesets.parse(rendered.frames)):
        wider = framesets.text([*framesets.parse(rendered.frames), *missing])
        rendered = replace(rendered, frames=wider)
    return shlex.join(rendered.command())


def place(job: RenderJob, output: Output, name: str | None) -> Path:
    """Return where the movie of an output has its place."""
    usual = job.movie_path(output)
    return usual if name is None else usual.with_name(f"{usual.stem}_{name}{usual.suffix}")


def make(request: EncodeRequest, job: RenderJob, codec: str, stock: FrameInventory, busy: Busy) -> Made:
    """Make the movie of an output."""
    images = [job.image(stock.output, frame) for frame in stock.shown(request.allow_missing)]
    target = place(job, stock.output, request.name)
    with busy(f"encoding {target.name}: {len(images)} frames, {float(job.rate):g} a second, {codec}"):
        info = encode.encode(images, target, rate=job.rate, codec=codec, transparent=job.transparent_background)
    return Made(stock, info, job.rate, codec, tuple(told_gaps(stock, request.allow_missing)))


def told_gaps(stock: FrameInventory, gaps: str | None) -> list[str]:
    """Say what became of frames that are missing."""
    lines = []
    first = min(stock.sound)
    for reason, frames in stock.missing.items():
        early = [frame for frame in frames if frame < first] if gaps == "hold" else []
        late = [frame for frame in frames if frame not in early]
        if early:
            lines.append(f"{framesets.named(early)} {verb(early)} missing, frame {first} is shown instead ({reason})")
        if late:
            instead = ", the picture before is held" if gaps == "hold" else " and skipped"
            lines.append(f"{framesets.named(late)} {verb(late)} missing{instead} ({reason})")
    return [f"{stock.output.name}: {line}" for line in lines]


def summary(made: Sequence[Made]) -> str:
    """Say what was made, and of what."""
    lines = []
    for one in made:
        info, rate = one.info, float(one.rate)
        facts = f"{plural(info.frames, 'frame')}, {info.frames / rate:.1f} s at {rate:g} a second"
        lines.append(f"{'movie':>10}  {info.path} ({facts}, {one.codec}, {amount(info.bytes)})")
        lines += [f"{'beware':>10}  {gap}" for gap in one.gaps]
        if one.stock.complained:
            of = f"{one.stock.output.name}: errors were reported during {one.stock.complained} of these images"
            lines.append(f"{'beware':>10}  {of}; --on-error warn kept them")
    return "\n".join(lines)
