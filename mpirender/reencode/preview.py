"""Previews of the movies of a run that still renders: the frames that are done, at a reduced size.

The run does not notice: no lock is taken, the priority is the lowest, and only the previews and a journal of their own
are written. The folder of the run is all that is needed, so this works on any machine that sees it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mpirender.errors import FramesChanged, FramesMissing, NoSpace, UsageError, out_of_space
from mpirender.job import frames as framesets
from mpirender.job import origin
from mpirender.job.options import CODECS, USUAL_FORMAT
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.monitor.status import follow
from mpirender.monitor.status.view import ENDED
from mpirender.movie import encode
from mpirender.movie.image_stream import ImageChanged
from mpirender.movie.verify import MovieInfo
from mpirender.reencode import reencode
from mpirender.reencode.reencode import Busy, EncodeRequest
from mpirender.run_folder import exclusive, folder, journal, lock, own_files
from mpirender.run_folder.events import Done, Fail, ImageOutcome, Plan
from mpirender.run_folder.journal import Journal, Tail
from mpirender.supervisor.disk_estimate import amount
from mpirender.system import files

NAME, USUAL_KIND = "preview", "mp4"
LONGEST_SIDE = 960  # pixels
THREADS = 2  # of ffmpeg
PRIORITY = 19  # the lowest (nice)
LOOK_SECONDS = 2.0
PAUSE_SECONDS, PAUSE_SHARE = 10.0, 4.0  # between two previews at least: seconds, and times what the last one took
STALE_SECONDS = 600.0  # an incomplete preview that is older was left by a process that died
ENDS = {"finished": "the run has finished", "stopped": "the run was stopped", "failed": "the run failed"}
ENDS["died"] = "the run has ended without recording why"
Say = Callable[[str], object]


@dataclass(frozen=True)
class Preview:
    """A preview that was made; ``frames`` are those of the run that it shows, and ``total`` their number in the end."""

    info: MovieInfo
    frames: Sequence[int]
    total: int
    rate: float

    def __str__(self) -> str:
        count = f"{len(self.frames)} of {self.total} frames, the last is {self.frames[-1]}"
        length = f"{self.info.frames / self.rate:.1f} s at {self.rate:g} a second"
        facts = f"{length}, {self.info.width}x{self.info.height}, {amount(self.info.bytes)}"
        return f"{NAME:>10}  {self.info.path} ({count}; {facts})"


def renders_now(output: Path) -> bool:
    """Return whether a run renders into an output folder now, also on another machine."""
    owner = lock.living_owner(output.absolute() / FOLDER)
    return owner is not None and owner.run not in lock.NO_RUNS


def once(request: EncodeRequest, busy: Busy = contextlib.nullcontext) -> str:
    """Make previews of what is done; return a line about each.

    :raises FramesMissing: no frame is done yet.
    :raises MpirenderError: see :func:`mpirender.reencode.reencode.reencode`.
    """
    with exclusive.ended_by_signals(), busy("making a preview of the frames that are done"):
        made = Previewer(request).make()
    if not made:
        raise FramesMissing(f"{request.output}: the run has not completed any frame yet; try again later, or --watch")
    return "\n".join(map(str, made))


def watch(request: EncodeRequest, say: Say) -> None:
    """Make previews again and again while a run renders, until it has ended; none if it had ended before.

    :raises UsageError: the folder is not that of a run, or the request has mistakes.
    :raises Stopped: a signal came.
    :raises MpirenderError: see :func:`mpirender.reencode.reencode.reencode`.
    """
    follower, previewer = follow.Follower(request.output.absolute()), Previewer(request)
    due, rendering = 0.0, follower.look().state not in ENDED
    with exclusive.ended_by_signals():
        while True:
            seen = follower.look()
            ended = seen.state in ENDED
            if rendering and (ended or time.monotonic() >= due):
                started = time.monotonic()
                for made in previewer.make_if_new():
                    say(str(made))
                due = time.monotonic() + max(PAUSE_SECONDS, PAUSE_SHARE * (time.monotonic() - started))
            if ended:
                for movie in seen.movies:
                    say(f"{'movie':>10}  {movie}")
                say(f"{'ended':>10}  {ENDS[seen.state]}")
                return
            time.sleep(LOOK_SECONDS)


def command(output: Path) -> str:
    """Return the command that makes the movies."""
    return shlex.join(["mpirender", "encode", str(output)])


class Previewer:
    """Makes previews of a run, each time from the frames that are done by then."""

    def __init__(self, request: EncodeRequest) -> None:
        """Prepare; raise UsageError if the folder is not that of a run, or with the mistakes of the request."""
        name = NAME if request.name is None else f"{request.name}_{NAME}"
        kind = request.movie or USUAL_KIND
        self._request = replace(
            request, output=request.output.absolute(), movie=kind, name=name,
            codec=request.codec or next(iter(CODECS.get(kind, ())), None),
            pixel_format=request.pixel_format or USUAL_FORMAT,
        )  # fmt: skip
        self._job = self._read_job()
        self._clear()
        self._made: dict[Path, tuple[int, str]] = {}  # size and digest of each preview
        self._shown: object = None  # the frames of the newest previews
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)

    def _read_job(self) -> RenderJob:
        """Return the job of the run as it is now, with the kind of movie of the request."""
        job = reencode.understand(self._request, folder.read_job(self._request.output))
        return replace(job, codec="ffv1") if job.movie_codec == "images" else job

    def _clear(self) -> None:
        self._tail = Tail(self._job.folder, from_start=True)
        self._plan: Plan | None = None
        self._outcomes: dict[tuple[str, Image], ImageOutcome] = {}  # the newest, by fingerprint

    def _read(self) -> None:
        """Read what the run has recorded since the last time."""
        if self._tail.replaced():
            self._clear()
        for event in self._tail.read():
            if isinstance(event, Plan):
                self._plan = event
            elif isinstance(event, (Done, Fail)):
                self._outcomes[event.fingerprint, event.image] = event
        self._job = self._read_job()

    def _done(self, plan: Plan, output: Output) -> dict[int, Done]:
        """Return the frames of an output that are done and whose files are there, in the order of the movie."""
        done = {}
        for frame in framesets.parse(self._request.frames or plan.frames):
            outcome = self._outcomes.get((plan.fingerprint, Image(frame, output.name)))
            if isinstance(outcome, Done) and self._counts(output, outcome):
                done[frame] = outcome
        return done

    def _counts(self, output: Output, outcome: Done) -> bool:
        """Return whether an image belongs into the movie, by its record and the size of its file."""
        allowed = not outcome.complaints or self._job.on_error == "warn"
        there = journal.size_of(self._job.place(outcome.image)) == outcome.bytes
        return allowed and there and journal.of(outcome, {output.name: output})

    def make_if_new(self) -> list[Preview]:
        """Make the previews unless they would show the same frames as the last ones."""
        self._read()
        found = self._found()
        return self._make(found) if found and self._key(found) != self._shown else []

    def make(self) -> list[Preview]:
        """Make a preview of each output of which a frame is done."""
        self._read()
        return self._make(self._found())

    def _found(self) -> dict[Output, dict[int, Done]]:
        """Return the frames that are done of each output that has some."""
        sizes = {name.lower() for name in self._request.sizes}
        wanted = [output for output in self._job.outputs if not sizes or output.name.lower() in sizes]
        found = {output: self._done(self._plan, output) for output in wanted} if self._plan else {}
        return {output: done for output, done in found.items() if done}

    @staticmethod
    def _key(found: dict[Output, dict[int, Done]]) -> object:
        return {output: {frame: outcome.digest for frame, outcome in done.items()} for output, done in found.items()}

    def _make(self, found: dict[Output, dict[int, Done]]) -> list[Preview]:
        """Make the previews.

        :raises MpirenderError: see :func:`mpirender.reencode.reencode.reencode`.
        """
        try:
            made = [self._preview(output, done) for output, done in found.items()]
        except OSError as error:
            if out_of_space(error):
                raise NoSpace(self._job.output) from None
            where = error.filename or self._job.output
            raise UsageError(f"{where}: cannot be read and written ({error.strerror or error})") from None
        self._shown = self._key(found)
        return made

    def _preview(self, output: Output, done: dict[int, Done]) -> Preview:
        """Make the preview of an output; frames whose files are not those that were recorded count as gaps."""
        try:
            return self._encode(output, done)
        except ImageChanged:
            places = {frame: self._job.image(output, frame) for frame in done}
            whole = {frame: one for frame, one in done.items() if journal.whole(places[frame], one.bytes, one.digest)}
        if not whole:
            raise FramesMissing(f"{output}: no frame is as it was rendered")
        try:
            return self._encode(output, whole)
        except ImageChanged as error:
            raise FramesChanged(f"{error}; make the preview again: {command(self._job.output)}") from None

    def _encode(self, output: Output, done: dict[int, Done]) -> Preview:
        """Encode the frames up to the last one that is done; in a gap, the frame before it is shown."""
        job, target = self._job, reencode.place(self._job, output, self._request.name)
        if target not in self._made or self._made[target] != _digest(target):
            own_files.refuse(job, target)
        images = [job.image(output, frame) for frame in self._shown_frames(done)]
        digests = {job.image(output, frame): one.digest for frame, one in done.items()}
        assert self._plan is not None
        sources = origin.sources(job, str(self._plan.parts.get("renderer", "")), self._plan.fingerprint)
        made_of = sources[output.name].movie(done) if sources else None
        _remove_stale(target)
        with self._recorder() as record:
            info = encode.encode(
                images, target, rate=job.rate, codec=job.movie_codec, transparent=job.transparent_background,
                pixel_format=job.pixel_format, threads=THREADS, longest=LONGEST_SIDE, digests=digests, origin=made_of,
                made=record,
            )  # fmt: skip
        self._made[target] = files.short_digest(target)
        return Preview(info, sorted(done), len(self._requested()), float(job.rate))

    def _requested(self) -> Sequence[int]:
        assert self._plan is not None
        return framesets.parse(self._request.frames or self._plan.frames)

    def _shown_frames(self, done: dict[int, Done]) -> Iterator[int]:
        """Yield the frames that are shown, one after the other."""
        requested = self._requested()
        last = max(number for number, frame in enumerate(requested) if frame in done)
        shown = next(frame for frame in requested if frame in done)
        for frame in requested[: last + 1]:
            shown = frame if frame in done else shown
            if frame in done or self._request.allow_missing != "skip":
                yield shown

    @contextlib.contextmanager
    def _recorder(self) -> Iterator[files.Made]:
        """Yield what records a preview, in a journal that the run does not write."""
        host = socket.gethostname()
        with Journal(self._job.folder, None, host, name=f"{NAME}-{host}.jsonl") as log:
            yield partial(log.record_made, self._job.output)


def _digest(place: Path) -> tuple[int, str] | None:
    with contextlib.suppress(OSError):
        return files.short_digest(place)
    return None


def _remove_stale(target: Path) -> None:
    """Remove incomplete previews that a process left when it died."""
    for part in target.parent.glob(f".part-*-{target.name}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > STALE_SECONDS:
                part.unlink()
