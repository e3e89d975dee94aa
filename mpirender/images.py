"""Render this rank's images, one after the other: take up, render beside its place, rename, record."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mpirender import engines, journal
from mpirender.errors import NoSpace, out_of_space
from mpirender.job import Image, RenderJob, Size
from mpirender.journal import Journal, Record


class Painter:
    """Renders images of an opened scene and writes down what becomes of each."""

    def __init__(self, log: Journal, scene: engines.Scene, job: RenderJob, fingerprint: str) -> None:
        self.log = log
        self.scene = scene
        self.job = job
        self.sizes = {size.name: size for size in job.sizes}
        self.always = {"fingerprint": fingerprint}
        for size in job.sizes:
            (job.output / size.name).mkdir(parents=True, exist_ok=True)

    def render(self, images: Sequence[Image], go_on: Callable[[], bool], attempt: int = 1) -> dict[Image, Record]:
        """Render these images; return the record of each, done or failed.

        Args:
            go_on: asked before every image; those after a no are left out.
            attempt: the how manieth time they are tried in this start of the ranks.

        Raises:
            NoSpace: the disk is full.
        """
        outcomes: dict[Image, Record] = {}
        for image in images:
            if not go_on():
                break
            about = {"frame": image.frame, "size": image.size}
            self.log.write("take", **about)
            event, facts = self._make(image)
            for text in self.scene.notes():
                self.log.write("warning", text=text)
            outcomes[image] = self.log.write(event, **about, **self.always, **facts, attempt=attempt)
        return outcomes

    def fail(self, reasons: Mapping[Image, str]) -> dict[Image, Record]:
        """Record images that are not to be rendered, with the reason why; return the records."""
        return {
            image: self.log.write(
                "fail", frame=image.frame, size=image.size, **self.always, reason=reason, set_aside=True
            )
            for image, reason in reasons.items()
        }

    def _make(self, image: Image) -> tuple[str, dict[str, Any]]:
        """Render one image and put it in its place; return the event and the facts to record."""
        size, place = self.sizes[image.size], self.job.place(image)
        # A name of its own: a rank of an earlier start may not have died yet.
        written = place.with_name(f".part-{os.getpid()}-{place.name}")
        started = time.perf_counter()
        complaints: list[str] = []
        try:
            complaints = self.scene.render(image.frame, size, written)
            if any("out of disk space" in text for text in complaints):  # VTK's writers
                raise NoSpace(self.job.output)
            if complaints and self.job.on_error == "fail":
                return "fail", {"reason": complaints[0]}
            facts = journal.put_in_place(written, place)
        except NoSpace:
            raise
        except Exception as error:  # a frame that cannot be rendered must not cost the others
            if out_of_space(error):
                raise NoSpace(self.job.output) from None
            return "fail", {"reason": complaints[0] if complaints else f"{type(error).__name__}: {error}"}
        finally:
            written.unlink(missing_ok=True)
        seconds = time.perf_counter() - started
        return "done", {**facts, **self._cost(size), "seconds": seconds, "complaints": complaints}

    def _cost(self, size: Size) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts it in KiB
        return {"pixels": [size.width, size.height], "memory": peak, "renderer": self.scene.description}
