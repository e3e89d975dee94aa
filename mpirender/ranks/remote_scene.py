"""A scene that is open in the renderer process: a scene like any other, that survives the death of its renderer."""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpirender.engines.base import ALL_BEFORE, Ranges, Rendered, Scene
from mpirender.errors import OutOfOrder, RendererFailed
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import RenderJob
from mpirender.ranks import same_scene
from mpirender.ranks.reloading import Order, ReloadingRenderer
from mpirender.ranks.renderer import Duties, Renderer, RendererLost
from mpirender.ranks.renderer_process import SLOTS, OpenedScene, SceneProcess
from mpirender.run_folder import events
from mpirender.run_folder.journal import Journal
from mpirender.system import host
from mpirender.system.comm import Comm
from mpirender.system.stall import time_limit
from mpirender.system.text import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHANNELS = 4  # at most
USABLE = 0.9  # of the memory of a machine: the system, an X server and encoders need some
GROWN = 1.5  # times what a renderer held after its first image: only then a new one would hold less


class SceneRenderer:
    """The renderer of this rank for scenes, and the memory into which it renders."""

    def __init__(self) -> None:
        """Start it; call this before threads, connections and MPI exist."""
        self._memory = os.memfd_create("mpirender pictures")
        self._process = Renderer(SceneProcess, [self._memory])
        self._is_open = True
        self._scene: RemoteScene | None = None
        self._job: RenderJob
        self._log: Journal
        self._renderer: ReloadingRenderer

    def warm_up(self, engine: str) -> None:
        """Let it import the modules of an engine, if it can, and do not wait for it."""
        self._process.begin("warm_up", engine)

    def take_job(self, job: RenderJob, log: Journal, printed: Path) -> None:
        """Give it the job; it prints to the file ``printed`` from now on, and its losses are recorded in ``log``."""

        def record(lost: RendererLost, work: object) -> None:
            log.write(events.Reload(lost.reason, work if isinstance(work, Image) else None, lost.log))

        self._job, self._log = job, log
        self._renderer = ReloadingRenderer(self._process, record)
        self._renderer.make_ready("take_job", job, printed)
        self._process.log = printed

    @property
    def duties(self) -> Duties:
        """What this rank does while the renderer works."""
        return self._process.duties

    @duties.setter
    def duties(self, duties: Duties) -> None:
        self._process.duties = duties

    def prepare(self) -> tuple[bytes, list[Path]]:
        """Read the scene; see :meth:`mpirender.engines.base.Engine.prepare`."""
        content, files = self._renderer.ask("prepare")
        return content, files

    def inspection_warnings(self, content: bytes, version: str) -> Sequence[str]:
        """Return the warnings about the scene that are known without rendering, for this version of the program."""
        warnings: Sequence[str] = self._renderer.ask("inspection_warnings", content, version)
        return warnings

    def open_scene(self, content: bytes, node: Comm) -> RemoteScene:
        """Open a scene that was prepared, with the environment variables that this process has now.

        :param node: the ranks on this node.
        """
        order = ("open", content, self._process.environment, node.rank)
        self._scene = RemoteScene(
            self._renderer, order, self._job, self._log, memory=self._memory, share=host.memory() / node.size
        )
        return self._scene

    def close(self) -> None:
        """End the renderer."""
        if self._is_open:
            self._is_open = False
            self._process.close()
            if self._scene is not None:
                self._scene.tidy()


class RemoteScene(Scene):
    """A scene that is open in the renderer.

    A picture that :meth:`render` returns is valid until :data:`SLOTS` - 1 more have been rendered.
    """

    def __init__(
        self, renderer: ReloadingRenderer, order: Order, job: RenderJob, log: Journal, *, memory: int, share: float
    ) -> None:
        """Open the scene.

        :param order: that opens it.
        :param memory: descriptor of the memory into which the renderer renders.
        :param share: of the node's memory that the renderer may hold, in bytes.
        """
        self._renderer, self._job, self._log = renderer, job, log
        self._memory_limit = USABLE * share
        self._slot_bytes = max(output.width * output.height for output in job.outputs) * CHANNELS
        os.ftruncate(memory, SLOTS * self._slot_bytes)  # allocated when pictures are rendered
        self._pictures = mmap.mmap(memory, SLOTS * self._slot_bytes)
        self._problem = ""
        self._images = self._held = 0  # images of this renderer; bytes of memory that it held after the first
        self._slowest, self._slot = 0.0, 0
        self._warnings: list[str] = []
        opened: OpenedScene = renderer.make_ready(*order)
        self._order = len(renderer.results) - 1  # the place of that order among those that make a renderer ready
        self.frames, self.open_ended, self.errors = opened.frames, opened.open_ended, opened.errors
        self.description, self.renderer, self.version = opened.description, opened.renderer, opened.version
        self.files: Sequence[Path] = opened.files
        self.data, self.observes = opened.data, opened.observes
        self.warnings: Sequence[str] = opened.warnings
        self.contents: Mapping[str, str] = opened.contents
        self.in_order = opened.in_order
        self._keeps_order = False
        self._names: Sequence[str] = ()  # of objects that may be the reason
        self._used = False  # whether frames were computed since this renderer opened the scene
        self._temporary = opened.temporary

    def ready(self) -> str:
        """Open the scene in another renderer if this one is lost or is to be renewed; see :meth:`Scene.ready`."""
        renewal = self._renewal() if self._renderer.is_ready else ""
        if self._problem or (self._renderer.is_ready and not renewal):
            return self._problem
        self._log.write(events.Phase("reload"))
        if renewal:
            self.finish()
            self._log.write(events.Reload(renewal, planned=True))
            self._renderer.replace()
        self.tidy()
        try:
            self._renderer.make_ready()
            self._temporary = self._renderer.results[self._order].temporary
            self._check_description()
        except RendererFailed as error:
            self._problem = str(error)
        self._images = 0
        self._used = False
        self._log.write(events.Phase("render"))
        return self._problem

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame; raise RendererLost if the renderer did not survive it."""
        limit = time_limit(self._job.frame_timeout, self._slowest)
        self._slot = (self._slot + 1) % SLOTS
        started = time.monotonic()
        order = ("render", frame, output, path, self._slot, self._slot_bytes)
        self._used = True
        try:
            picture, warnings = self._renderer.attempt(Image(frame, output.name), *order, limit=limit)
        except OutOfOrder as error:
            self._start_afresh(error.message)
            picture, warnings = self._renderer.attempt(Image(frame, output.name), *order, limit=None)
        self._slowest = max(self._slowest, time.monotonic() - started)
        self._warnings += warnings
        self._images += 1
        renderer = self._renderer.renderer
        self._held = self._held if self._images > 1 else renderer.memory()
        pixels = None if picture.shape is None else self._pixels(picture.shape)
        memory = renderer.peak + host.peak()
        about = (picture.measured, picture.beside, picture.inputs, picture.time)
        return Rendered(picture.errors, pixels, memory, *about)

    def probe(self, frame: int) -> str:
        """Render a frame in a small size; return a digest of its pixels, empty if this renderer cannot render it."""
        self._renderer.make_ready()
        self._used = True
        limit = time_limit(self._job.frame_timeout, self._slowest)
        try:
            return str(self._renderer.attempt("trial", "probe", frame, limit=limit))
        except (RendererLost, OutOfOrder):
            return ""

    def keep_order(self, needs: str) -> Sequence[str]:
        """Compute earlier frames as well, all of them in a renderer that has not rendered any."""
        if self._used and needs == ALL_BEFORE:
            self._start_afresh("a renderer that has rendered nothing is needed")
        if not self._keeps_order:
            self._names = self._renderer.make_ready("keep_order", needs)
        self._keeps_order = needs == ALL_BEFORE
        return self._names

    def frames_to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return the frames to survey."""
        wanted: Sequence[int] = self._renderer.ask("frames_to_survey", frames)
        return wanted

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Survey a frame."""
        self._used = True
        found: Ranges = self._renderer.ask("survey", frame, first)
        return found

    def set_color_ranges(self, found: Ranges) -> None:
        """Set the color maps, in this renderer and in those that follow."""
        if self._used and self._keeps_order:
            self._start_afresh("the frames that were computed for the ranges of color maps come before the first frame")
        self._renderer.make_ready("set_color_ranges", found)

    def take_warnings(self) -> list[str]:
        """Return the warnings since the last call."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def tidy(self) -> None:
        """Remove the temporary files that the last renderer has left behind; call this when it has ended."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def finish(self) -> None:
        """Let the engine complete its animation, unless this renderer has rendered nothing, or is lost."""
        if self._renderer.is_ready and self._images:
            with contextlib.suppress(RendererLost):
                self._renderer.attempt(None, "finish", limit=time_limit(self._job.frame_timeout, self._slowest))

    def _start_afresh(self, reason: str) -> None:
        """Open the scene in another renderer, because of what this one has rendered."""
        self._log.write(events.Reload(reason, planned=True))
        self._renderer.replace()
        self._renderer.make_ready()
        self._images, self._used = 0, False

    def _check_description(self) -> None:
        """Raise RendererFailed if the scene renders with something else than before: images would differ."""
        opened: OpenedScene = self._renderer.results[self._order]
        if opened.description != self.description:
            raise RendererFailed(
                f"it renders with {opened.description} since its renderer was replaced, not with {self.description}"
            )
        if opened.observes != self.observes:
            raise RendererFailed("it cannot observe which data files it reads since its renderer was replaced")
        if names := same_scene.beside_files(self.contents, opened.contents):
            raise RendererFailed(f"its script builds another scene since its renderer was replaced: {names[0]} differs")

    def _renewal(self) -> str:
        """Return why the renderer is to be replaced between two images, empty for no reason."""
        if self._job.renew_renderer and self._images >= self._job.renew_renderer:
            return f"renewed after {plural(self._images, 'image')} (--renew-renderer)"
        held = self._renderer.renderer.memory() if self._images > 1 else 0
        if held > self._memory_limit and held > GROWN * self._held:
            return f"renewed, since it held {held >> 20} MiB of memory"
        return ""

    def _pixels(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        import numpy as np

        count = int(np.prod(shape))
        return np.frombuffer(self._pictures, np.uint8, count, self._slot * self._slot_bytes).reshape(shape)
