"""Render this rank's images, one after the other: take up, render, write beside its place, rename, record.

A picture is written by a process beside the rank (:mod:`mpirender.ranks.image_writer`) while the next one is rendered,
and recorded when its file is whole and in its place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpirender import engines
from mpirender.errors import NoSpace, out_of_space
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.ranks.image_writer import Facts, Writer, WriterGone
from mpirender.run_folder import events
from mpirender.run_folder.events import ImageOutcome
from mpirender.run_folder.journal import Journal
from mpirender.system import files, host

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHANNELS = 4  # of a picture, at most
# Share of an image's rendering for which its writing is waited for: images that take minutes are recorded at once.
PATIENCE = 0.005


@dataclass
class Flown:
    """An image that has been taken up.

    Args:
        started: when that was, by ``time.perf_counter``.
        rendering: seconds that the engine took for it.
        memory: the most that a rank of the group had taken then, in bytes.
        measured: numbers about the data in it; None where none were asked for.
        seconds: those that this rank took for it, until it could go on with the next.
    """

    image: Image
    attempt: int
    started: float
    complaints: list[str]
    rendering: float = 0.0
    memory: int = 0
    measured: engines.Numbers | None = None
    seconds: float = 0.0


class Painter:
    """Renders images of an opened scene and writes down what becomes of each."""

    def __init__(
        self,
        log: Journal,
        scene: engines.Scene,
        job: RenderJob,
        fingerprint: str,
        writer: Writer,
        *,
        suspects: Collection[Image] = (),
    ) -> None:
        """Prepare to render.

        Args:
            suspects: images that may kill this rank; nothing is left to be written when one of them is taken up.
        """
        self.suspects = suspects
        self.log = log
        self.scene = scene
        self.job = job
        self.outputs = {output.name: output for output in job.outputs}
        self.fingerprint = fingerprint
        self._writer = writer
        self._flown: list[Flown] = []  # their places are the writer's tickets
        self._outcomes: dict[Image, ImageOutcome] = {}
        self._how = {"level": job.compression_level, "threads": max(host.threads(), 1)}
        writer.hold(max(output.width * output.height for output in job.outputs) * CHANNELS)
        for output in job.outputs:
            (job.output / output.name).mkdir(parents=True, exist_ok=True)

    def render(self, images: Iterable[Image], go_on: Callable[[], bool], attempt: int = 1) -> dict[Image, ImageOutcome]:
        """Render these images; return the outcome of each.

        Args:
            go_on: asked before every image; those after a no are left out.
            attempt: the how manieth time they are tried in this start of the ranks.

        Raises:
            NoSpace: the disk is full.
            WriterGone: the process that writes them has died.
        """
        self._outcomes = {}
        for image in images:
            if not go_on():
                break
            if image in self.suspects:
                self._collect(None)
            self.log.write(events.Take(image))
            flown = Flown(image, attempt, time.perf_counter(), [])
            self._make(flown)
            for text in self.scene.take_warnings():
                self.log.write(events.Warning(text))
            self._collect(flown.rendering * PATIENCE)
        self._collect(None)
        return self._outcomes

    def fail(self, reasons: Mapping[Image, str]) -> dict[Image, ImageOutcome]:
        """Record images that are not to be rendered, with the reason why; return their outcomes."""
        return {
            image: self.log.write(events.Fail(image, self.fingerprint, reason, set_aside=True))
            for image, reason in reasons.items()
        }

    def _make(self, flown: Flown) -> None:
        """Render an image and have it written."""
        output, place = self.outputs[flown.image.output], self.job.place(flown.image)
        # A name of its own: a rank of an earlier start may not have died yet.
        part = place.with_name(f".part-{os.getpid()}-{place.name}")
        try:
            rendered = self.scene.render(flown.image.frame, output, part)
            flown.complaints, picture, flown.memory, flown.measured = rendered
            flown.rendering = time.perf_counter() - flown.started
            if any("out of disk space" in text for text in flown.complaints):  # VTK's writers
                raise NoSpace(self.job.output)
            if flown.complaints and self.job.on_error == "fail":
                self._fail(flown, flown.complaints[0])
            elif picture is not None:
                self._hand_over(flown, picture, {"part": str(part), "place": str(place)})
                return  # the other process sees to the file
            else:
                began = time.perf_counter()
                facts = files.put_in_place(part, place)
                self._finish(flown, {**facts, "written": time.perf_counter() - began})
        except (NoSpace, WriterGone):
            raise
        except Exception as error:  # a frame that cannot be rendered must not cost the others
            if out_of_space(error):
                raise NoSpace(self.job.output) from None
            self._fail(flown, f"{type(error).__name__}: {error}")
        part.unlink(missing_ok=True)

    def _hand_over(self, flown: Flown, picture: NDArray[np.uint8], names: Mapping[str, str]) -> None:
        self._flown.append(flown)
        self._writer.put(len(self._flown) - 1, picture, {**names, **self._how})
        flown.seconds = time.perf_counter() - flown.started

    def _collect(self, patience: float | None) -> None:
        """Record the images that are written by now.

        Args:
            patience: seconds to wait for the others; None for as long as it takes.
        """
        for ticket, facts in self._writer.results(patience):
            flown = self._flown[ticket]
            if "error" not in facts:
                self._finish(flown, facts)
            elif out_of_space(OSError(facts["errno"], "")):
                raise NoSpace(self.job.output)
            else:
                self._fail(flown, str(facts["error"]))

    def _finish(self, flown: Flown, facts: Facts) -> None:
        output, seconds = self.outputs[flown.image.output], self._seconds(flown)
        self._outcomes[flown.image] = self.log.write(
            events.Done(
                flown.image, self.fingerprint, facts["bytes"], facts["digest"], (output.width, output.height),
                tuple(output.shows), seconds, flown.rendering or seconds, facts["written"],
                memory=max(host.peak() + facts.get("memory", 0), flown.memory), renderer=self.scene.description,
                attempt=flown.attempt, complaints=tuple(flown.complaints), measured=dict(flown.measured or {}),
            )
        )  # fmt: skip

    def _fail(self, flown: Flown, reason: str) -> None:
        reason, seconds = flown.complaints[0] if flown.complaints else reason, self._seconds(flown)
        fail = events.Fail(
            flown.image, self.fingerprint, reason, seconds, flown.rendering or seconds, attempt=flown.attempt
        )
        self._outcomes[flown.image] = self.log.write(fail)

    def _seconds(self, flown: Flown) -> float:
        return flown.seconds or time.perf_counter() - flown.started
