"""Render the images of this rank, one after the other, and record each one.

A child process writes an image (:mod:`mpirender.ranks.image_writer`) while the rank renders the next one. The image is
recorded when its file is complete and in its place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from mpirender.engines.base import Numbers, Scene
from mpirender.errors import NoSpace, out_of_space
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks.image_writer import Facts, ImageWriter, WriterDied
from mpirender.run_folder import events
from mpirender.run_folder.events import ImageOutcome
from mpirender.run_folder.journal import Journal
from mpirender.system import files, host

CHANNELS = 4  # at most
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
    memory: int = 0  # peak memory of any rank of the group, in bytes
    measured: Numbers | None = None  # the measurements, None if the job asks for none
    seconds: float = 0.0  # time until this rank could continue with the next image


class FrameRenderer:
    """Renders images of an open scene and records each as done or failed."""

    def __init__(
        self,
        log: Journal,
        scene: Scene,
        job: RenderJob,
        fingerprint: str,
        writer: ImageWriter,
        *,
        suspects: Collection[Image] = (),
    ) -> None:
        """Prepare to render; all earlier images are recorded before each of ``suspects``, which may kill this rank."""
        self.log, self.scene, self.job, self.suspects = log, scene, job, suspects
        self.outputs = {output.name: output for output in job.outputs}
        self.identity, self._writer = fingerprint, writer
        self._pending: list[PendingImage] = []  # the index of an image is its ticket for the writer
        self._outcomes: dict[Image, ImageOutcome] = {}
        self._compression = {"level": job.compression_level, "threads": max(host.threads(), 1)}
        writer.reserve(max(output.width * output.height for output in job.outputs) * CHANNELS)
        for output in job.outputs:
            (job.output / output.name).mkdir(parents=True, exist_ok=True)

    def render(self, images: Iterable[Image], go_on: Callable[[], bool], attempt: int = 1) -> dict[Image, ImageOutcome]:
        """Render these images until ``go_on``, called before each, returns False; return the outcome of each.

        :param attempt: attempt number within this launch, from 1.
        :raises NoSpace: the disk is full; WriterDied: the process that writes the images has died.
        """
        self._outcomes = {}
        for image in images:
            if not go_on():
                break
            if image in self.suspects:
                self._collect(None)
            self.log.write(events.Take(image))
            pending = PendingImage(image, attempt, time.perf_counter(), [])
            self._render(pending)
            for text in self.scene.take_warnings():
                self.log.write(events.Warning(text))
            self._collect(pending.rendering * PATIENCE)
        self._collect(None)
        return self._outcomes

    def fail(self, reasons: Mapping[Image, str]) -> dict[Image, ImageOutcome]:
        """Record images as failed that must not be rendered, with the reason; return their outcomes."""
        fails = (events.Fail(image, self.identity, reason, set_aside=True) for image, reason in reasons.items())
        return {fail.image: self.log.write(fail) for fail in fails}

    def _render(self, pending: PendingImage) -> None:
        """Render an image and let it be written."""
        output, place = self.outputs[pending.image.output], self.job.place(pending.image)
        # The name contains the process, since a rank of an earlier launch may still run.
        part = place.with_name(f".part-{os.getpid()}-{place.name}")
        try:
            rendered = self.scene.render(pending.image.frame, output, part)
            pending.errors, picture, pending.memory, pending.measured = rendered
            pending.rendering = time.perf_counter() - pending.started
            if any("out of disk space" in text for text in pending.errors):  # a message of VTK's writers
                raise NoSpace(self.job.output)
            if pending.errors and self.job.on_error == "fail":
                self._fail(pending, pending.errors[0])
            elif picture is not None:
                self._pending.append(pending)
                order = {"part": str(part), "place": str(place), **self._compression}
                self._writer.put(len(self._pending) - 1, picture, order)
                pending.seconds = time.perf_counter() - pending.started
                return  # the writer puts the file in its place
            else:
                began = time.perf_counter()
                facts = files.put_in_place(part, place)
                self._finish(pending, {**facts, "written": time.perf_counter() - began})
        except (NoSpace, WriterDied):
            raise
        except Exception as error:  # the other frames can still be rendered
            if out_of_space(error):
                raise NoSpace(self.job.output) from None
            self._fail(pending, f"{type(error).__name__}: {error}")
        part.unlink(missing_ok=True)

    def _collect(self, patience: float | None) -> None:
        """Record the images that are written within ``patience`` seconds; None waits for all of them."""
        for ticket, facts in self._writer.results(patience):
            pending = self._pending[ticket]
            if "error" not in facts:
                self._finish(pending, facts)
            elif out_of_space(OSError(facts["errno"], "")):
                raise NoSpace(self.job.output)
            else:
                self._fail(pending, str(facts["error"]))

    def _finish(self, pending: PendingImage, facts: Facts) -> None:
        output, seconds = self.outputs[pending.image.output], self._seconds(pending)
        self._outcomes[pending.image] = self.log.write(
            events.Done(
                pending.image, self.identity, facts["bytes"], facts["digest"], (output.width, output.height),
                tuple(output.shows), seconds, pending.rendering or seconds, facts["written"],
                memory=max(host.peak() + facts.get("memory", 0), pending.memory), renderer=self.scene.description,
                attempt=pending.attempt, complaints=tuple(pending.errors), measured=dict(pending.measured or {}),
            )
        )  # fmt: skip

    def _fail(self, pending: PendingImage, reason: str) -> None:
        reason, seconds = pending.errors[0] if pending.errors else reason, self._seconds(pending)
        rendering, attempt = pending.rendering or seconds, pending.attempt
        fail = events.Fail(pending.image, self.identity, reason, seconds, rendering, attempt=attempt)
        self._outcomes[pending.image] = self.log.write(fail)

    def _seconds(self, pending: PendingImage) -> float:
        return pending.seconds or time.perf_counter() - pending.started
