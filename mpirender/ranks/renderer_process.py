"""What runs in the renderer process of a rank: it carries out the rank's orders with the engine.

It has no MPI: the variables of the launcher are removed before the engine starts.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import re
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from mpirender import engines
from mpirender.engines.base import Engine, FileState, Numbers, Ranges, Scene
from mpirender.errors import MpirenderError
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from mpirender.ranks.log import redirect_output
from mpirender.system import host
from mpirender.system.channel import Channel

SLOTS = 3  # pictures in shared memory: while one is rendered, two are written
LAUNCHER = re.compile(r"(OMPI|PMIX|PMI|PRTE|HYDI?)_")  # with these variables a library would take itself for a rank
ALONE = {"OMPI_MCA_ess_singleton_isolated": "1"}  # if a script starts MPI nevertheless, it shall start no daemon


class EngineError(Exception):
    """An exception of the engine or of a script; the text names its class."""


class Answer(NamedTuple):
    """The result of an order, or its error, and the most memory that the process has used, in bytes."""

    result: Any
    error: Exception | None
    peak: int


class Picture(NamedTuple):
    """A rendered image: its pixels are in shared memory (``shape``), or the engine has written the file (None)."""

    errors: list[str]
    shape: tuple[int, ...] | None
    measured: Numbers | None
    beside: Sequence[str]
    inputs: Sequence[FileState]
    time: float | None


@dataclass(frozen=True)
class OpenedScene:
    """The facts about a scene that has been opened; the names are those of :class:`mpirender.engines.base.Scene`."""

    frames: Sequence[int]
    open_ended: bool
    errors: list[str]
    description: str
    renderer: str
    version: str
    files: Sequence[Path]
    data: Sequence[Path]
    observes: bool
    warnings: Sequence[str]
    contents: Mapping[str, str]
    in_order: bool
    temporary: Path | None


def serve(channel: Channel, target: object) -> None:
    """Carry out orders until the rank closes the channel: each is a method of ``target`` with its arguments.

    :raises EOFError: the rank has closed the channel.
    """
    host.prefer_for_oom_kill()
    for stream in (sys.stdout, sys.stderr):  # the process may be killed at any time; pvbatch's have no buffer
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    change_environment({**{name: None for name in os.environ if LAUNCHER.match(name)}, **ALONE})
    error: Exception | None = None  # of an order without an answer
    while True:
        name, arguments, answers = channel.receive()
        result = None
        try:
            if error is None:
                result = getattr(target, name)(*arguments)
        except Exception as problem:
            with contextlib.suppress(OSError):  # the disk may be full
                traceback.print_exc()  # into the log; the message names only the error
            error = portable(problem)
        if answers:
            channel.send(Answer(result, error, host.peak()))
            error = None


def run(channel: int, target: object) -> NoReturn:
    """Run as the renderer of a rank, with the descriptor of its channel, in a program that could not be forked."""
    with contextlib.suppress(EOFError):  # the rank has closed the channel
        serve(Channel(socket.socket(fileno=channel)), target)
    os._exit(0)


def change_environment(changes: Mapping[str, str | None]) -> None:
    """Set environment variables, or remove those whose value is None."""
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def portable(error: Exception) -> Exception:
    """Return an error as it can be sent: itself if mpirender or the system raised it, else its class and text."""
    if isinstance(error, MpirenderError) or (type(error).__module__ == "builtins" and isinstance(error, OSError)):
        return error
    return EngineError(f"{type(error).__name__}: {error}")


class SceneProcess:
    """The orders for rendering a scene."""

    def __init__(self, memory: int) -> None:
        """Render into this shared memory, given by its descriptor."""
        self._memory = memory
        self._slots: mmap.mmap | None = None
        self._engine: Engine
        self._scene: Scene
        self._job: RenderJob

    def warm_up(self, engine: str) -> None:
        """Import the modules of an engine, before the rank knows its job."""
        engines.get(engine).warm_up()

    def take_job(self, job: RenderJob, log: Path) -> None:
        """Receive the job, and the file for everything that this process prints."""
        redirect_output(log)
        self._job, self._engine = job, engines.for_scene(job.scene)

    def prepare(self) -> tuple[bytes, list[Path]]:
        """Read the scene; return what :meth:`mpirender.engines.base.Engine.prepare` does."""
        return self._engine.prepare(self._job.scene.read_bytes(), self._job)

    def inspection_warnings(self, content: bytes, version: str) -> tuple[str, ...]:
        """Return the warnings about the scene that are known without rendering, for this version of the program."""
        return self._engine.inspect(content, self._job, version).warnings

    def open(self, content: bytes, environment: Mapping[str, str | None], local_rank: int) -> OpenedScene:
        """Open a scene that was prepared; ``environment``: variables to change before."""
        change_environment(environment)
        self._scene = scene = self._engine.open_scene(content, self._job, None, local_rank)
        return OpenedScene(
            scene.frames, scene.open_ended, scene.errors, scene.description, scene.renderer, scene.version,
            list(scene.files), list(scene.data), scene.observes, list(scene.warnings), dict(scene.contents),
            scene.in_order, scene.temporary,
        )  # fmt: skip

    def probe(self, frame: int) -> str:
        """See :class:`mpirender.engines.base.Scene`, here and below."""
        return self._scene.probe(frame)

    def keep_order(self, needs: str) -> Sequence[str]:
        """Compute earlier frames as well."""
        return self._scene.keep_order(needs)

    def frames_to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return the frames to survey."""
        return self._scene.frames_to_survey(frames)

    def survey(self, frame: int, first: bool) -> Ranges:
        """Return the array ranges of a frame."""
        return self._scene.survey(frame, first=first)

    def set_color_ranges(self, found: Ranges) -> None:
        """Set the color maps."""
        self._scene.set_color_ranges(found)

    def take_warnings(self) -> list[str]:
        """Return the warnings since the last call."""
        return self._scene.take_warnings()

    def finish(self) -> None:
        """Complete the animation."""
        self._scene.finish()

    def render(self, frame: int, output: Output, path: Path, slot: int, size: int) -> tuple[Picture, list[str]]:
        """Render an image into slot number ``slot`` of ``size`` bytes each; return also the warnings since then."""
        rendered = self._scene.render(frame, output, path)
        shape = None
        if rendered.picture is not None:
            import numpy as np

            if self._slots is None:
                self._slots = mmap.mmap(self._memory, SLOTS * size)
            shape = rendered.picture.shape
            target = np.frombuffer(self._slots, np.uint8, rendered.picture.size, slot * size).reshape(shape)
            np.copyto(target, rendered.picture)
        about = (rendered.measured, rendered.beside, rendered.inputs, rendered.time)
        picture = Picture(rendered.errors, shape, *about)
        return picture, self._scene.take_warnings()
