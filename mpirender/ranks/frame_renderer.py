"""Render the images of this rank, one after the other, and record each one.

Threads write an image (:mod:`mpirender.ranks.image_writer`) while the next one is rendered. The image is recorded when
its file is complete and in its place.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from mpirender.engines.base import FileState, Numbers, Scene
from mpirender.errors import NoSpace, out_of_space
from mpirender.job import origin
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks.data_record import DataRecord
from mpirender.ranks.image_writer import Facts, ImageWriter, discard
from mpirender.ranks.renderer import POLL_SECONDS, Duties, RendererLost
from mpirender.ranks.renderer_process import SLOTS, EngineError
from mpirender.run_folder import events
from mpirender.run_folder.events import ImageOutcome
from mpirender.run_folder.journal import Journal
from mpirender.system import files, host

# After rendering, wait for the writer for this share of the rendering time: slow images are recorded immediately.
PATIENCE = 0.005


@dataclass
class PendingImage:
    """An image in progress."""

    image: Image
    attempt: int
    started: float  # by ``time.perf_counter``
    errors: list[str]  # reported by the engine
    rendering: float = 0.0  # seconds that the engine took
    memory: int = 0  # peak of this rank with its renderer, or of any rank of its group, in bytes
    measured: Numbers | None = None  # the measurements, None if the job asks for none
    inputs: Sequence[FileState] = ()  # the data files on which it depends
    scene_time: float | None = None  # animation time of the frame
    seconds: float = 0.0  # time until this rank could continue with the next image
    turn: int = 0  # number of renders of this rank up to this one
    written: Future[Facts] | None = None


class FrameRenderer:
    """Renders images of an open scene and records each as done or failed."""

    def __init__(
        self,
        log: Journal,
        scene: Scene,
        job: RenderJob,
        fingerprint: str,
        *,
        suspects: Collection[Image] = (),
        data: DataRecord | None = None,
    ) -> None:
        """Prepare to render; all earlier images are recorded before each of ``suspects``, which may kill this rank."""
        self.data = data or DataRecord(log)
        self.log, self.scene, self.job, self.suspects = log, scene, job, suspects
        self.duties: Duties = lambda: POLL_SECONDS  # called while this rank waits
        self.leave: Callable[[], object] = lambda: None  # called when it cannot render any more
        self.fit = True  # whether this rank can render; if not, the reason is that of its failed images
        self.outputs = {output.name: output for output in job.outputs}
        self.identity = fingerprint
        self.sources = origin.sources(job, scene.description, fingerprint)
        self._pending: deque[PendingImage] = deque()  # whose files are being written
        self._turn = 0
        self._outcomes: dict[Image, ImageOutcome] = {}
        self._writer = ImageWriter(job.compression_level, max(host.threads(), 1))
        for output in job.outputs:
            (job.output / output.name).mkdir(parents=True, exist_ok=True)

    def render(self, images: Iterable[Image], go_on: Callable[[], bool], attempt: int = 1) -> dict[Image, ImageOutcome]:
        """Render these images until ``go_on``, called before each, returns False; return the outcome of each.

        :param attempt: attempt number within this launch, from 1.
        :raises NoSpace: the disk is full.
        """
        self._outcomes = {}
        try:
            for image in images:
                if not go_on():
                    break
                self._take(image, attempt)
            self._collect(None)
        except NoSpace:
            self._keep_written()
            raise
        return self._outcomes

    def _take(self, image: Image, attempt: int) -> None:
        """Render an image, and record the images whose files are complete by then."""
        self.duties()
        problem = self.scene.ready()
        self.fit = not problem
        if image in self.suspects:
            self._collect(None)
        pending = PendingImage(image, attempt, time.perf_counter(), [])
        if not problem:
            self._turn = pending.turn = self._turn + 1
            self._collect(None, upto=self._turn - SLOTS)  # that picture's memory is used now
        self.log.write(events.Take(image))
        if problem:
            self._fail(pending, problem, blameless=True)
            self.leave()
            return  # its remaining images fail at once, and other ranks try them
        self._render(pending)
        for text in self.scene.take_warnings():
            self.log.write(events.Warning(text))
        self._collect(pending.rendering * PATIENCE)

    def _keep_written(self) -> None:
        """Record the images that still fit on a disk that is full now."""
        for pending in self._pending:
            with contextlib.suppress(OSError, NoSpace):
                self._record(pending)

    def fail(self, reasons: Mapping[Image, str]) -> dict[Image, ImageOutcome]:
        """Record images as failed that must not be rendered, with the reason; return their outcomes."""
        fails = (events.Fail(image, self.identity, reason, set_aside=True) for image, reason in reasons.items())
        return {fail.image: self.log.write(fail) for fail in fails}

    def _render(self, pending: PendingImage) -> None:
        """Render an image and let it be written."""
        output, place = self.outputs[pending.image.output], self.job.place(pending.image)
        # The name contains the process, since a rank of an earlier launch may still run.
        part = files.part_path(place)
        try:
            rendered = self.scene.render(pending.image.frame, output, part)
            pending.errors, picture, pending.memory, pending.measured, beside, pending.inputs, scene_time = rendered
            pending.scene_time = scene_time
            pending.rendering = time.perf_counter() - pending.started
            if any("out of disk space" in text for text in pending.errors):  # a message of VTK's writers
                raise NoSpace(self.job.output)
            if not pending.errors or self.job.on_error != "fail":
                source = self.sources.get(output.name)
                made_of = source.image(pending.image.frame, scene_time) if source else None
                pending.written = self._writer.put(picture, part, place, beside, made_of)
                pending.seconds = time.perf_counter() - pending.started
                self._pending.append(pending)
                return  # the writer puts the file in its place
            self._fail(pending, pending.errors[0])
        except NoSpace:
            raise
        except RendererLost as lost:
            self._fail(pending, f"the renderer {lost.reason}", blameless=lost.blameless)
        except Exception as error:  # the other frames can still be rendered
            self._fail_with(pending, error)
        discard(part)

    def _collect(self, patience: float | None, upto: int | None = None) -> None:
        """Record the images whose files are complete, and wait for the others.

        :param patience: seconds to wait at most, None for as long as it takes.
        :param upto: wait only for images up to this turn; None for all.
        """
        end = None if patience is None else time.monotonic() + patience
        while True:
            while self._pending and self._written(self._pending[0]).done():
                self._record(self._pending.popleft())
            left = POLL_SECONDS if end is None else end - time.monotonic()
            if not self._pending or left <= 0 or (upto is not None and self._pending[0].turn > upto):
                return
            wait([self._written(self._pending[0])], min(left, self.duties()))

    def _record(self, pending: PendingImage) -> None:
        error = self._written(pending).exception()
        if error is None:
            self._finish(pending, self._written(pending).result())
        else:
            self._fail_with(pending, error)

    @staticmethod
    def _written(pending: PendingImage) -> Future[Facts]:
        assert pending.written is not None
        return pending.written

    def _finish(self, pending: PendingImage, facts: Facts) -> None:
        output, seconds = self.outputs[pending.image.output], self._seconds(pending)
        self._outcomes[pending.image] = self.log.write(
            events.Done(
                pending.image, self.identity, facts["bytes"], facts["digest"], (output.width, output.height),
                tuple(output.shows), seconds, pending.rendering or seconds, facts["written"],
                memory=max(host.peak(), pending.memory), renderer=self.scene.description,
                attempt=pending.attempt, complaints=tuple(pending.errors), measured=dict(pending.measured or {}),
                beside=facts["beside"], inputs=self.data.refer(pending.inputs), scene_time=pending.scene_time,
            )
        )  # fmt: skip

    def _fail_with(self, pending: PendingImage, error: BaseException) -> None:
        if out_of_space(error):
            raise NoSpace(self.job.output) from None
        self._fail(pending, str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}")

    def _fail(self, pending: PendingImage, reason: str, *, blameless: bool = False) -> None:
        reason, seconds = pending.errors[0] if pending.errors else reason, self._seconds(pending)
        rendering, attempt = pending.rendering or seconds, pending.attempt
        fail = events.Fail(
            pending.image, self.identity, reason, seconds, rendering, attempt=attempt, blameless=blameless
        )
        self._outcomes[pending.image] = self.log.write(fail)

    def _seconds(self, pending: PendingImage) -> float:
        return pending.seconds or time.perf_counter() - pending.started
