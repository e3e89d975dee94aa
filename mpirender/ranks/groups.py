"""Ranks that render each frame together (``--ranks-per-frame``): the leader of a group and its followers.

Only the leader takes frames, writes them and keeps a journal. Every method of its scene is called on all ranks of the
group at the same time, since loading and rendering are collective calls of MPI.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mpirender import engines
from mpirender.engines.base import PREVIOUS, Ranges, Rendered, Scene, merge_ranges
from mpirender.errors import UsageError
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from mpirender.ranks.dynamic_schedule import receive
from mpirender.ranks.renderer import Duties
from mpirender.run_folder.event_values import Process
from mpirender.system import host
from mpirender.system.comm import Comm

CALL = 4  # tag
LONGEST = 2e-3  # seconds between two polls of a follower


class Answer(NamedTuple):
    """The answer of a follower: an error (empty for none), its peak memory in bytes, the ranges it found."""

    error: str = ""
    memory: int = 0
    ranges: Ranges | None = None


def followers(group: Comm | None, world: Comm) -> tuple[Process, ...]:
    """Return the followers, on the leader; empty without a group. All ranks of a group call this."""
    if group is None:
        return ()
    return tuple(group.gather(Process(world.rank, socket.gethostname(), os.getpid()), root=0) or ())[1:]


def follow(scene: Scene, group: Comm) -> None:
    """Call the methods of a scene that the leader of the group calls, until it has no more frames."""
    while call := receive(group, 0, CALL, LONGEST):
        name, arguments, options = call
        try:
            result = getattr(scene, name)(*arguments, **options)
            answer = Answer(ranges=result if name == "survey" else None)
        except Exception as problem:  # the leader reports it; this rank must be ready for the next frame
            answer = Answer(f"{type(problem).__name__}: {problem}")
        group.gather(answer._replace(memory=host.peak()), root=0)


class GroupRenderer:
    """What the leader of a group has instead of a renderer: the ranks of the group render themselves.

    ParaView connects them by MPI, so the engine cannot run in a child process without MPI.
    """

    def __init__(self, group: Comm, job: RenderJob) -> None:
        self._group, self._job, self._engine = group, job, engines.for_scene(job.scene)
        self._scene: GroupScene | None = None
        self.duties: Duties = lambda: 0.0  # never called while the ranks render

    def prepare(self) -> tuple[bytes, list[Path]]:
        """Read the scene; see :meth:`mpirender.engines.base.Engine.prepare`."""
        return self._engine.prepare(self._job.scene.read_bytes(), self._job)

    def inspection_warnings(self, content: bytes, version: str) -> Sequence[str]:
        """Return the warnings about the scene that are known without rendering, for this version of the program."""
        return self._engine.inspect(content, self._job, version).warnings

    def open_scene(self, content: bytes, node: Comm) -> GroupScene:
        """Open the scene together with the followers; ``node``: the ranks on this node."""
        scene = self._engine.open_scene(content, self._job, self._group, node.rank)
        self._scene = GroupScene(scene, self._group, self._job)
        return self._scene

    def close(self) -> None:
        """Let the followers end."""
        if self._scene is not None:
            self._scene.dismiss()


class GroupScene:
    """The scene of a group, as its leader uses it: a scene like any other."""

    def __init__(self, scene: Scene, group: Comm, job: RenderJob) -> None:
        self._scene, self._group, self._job = scene, group, job
        self._answers: list[Answer] = []
        self.frames, self.open_ended, self.errors = scene.frames, scene.open_ended, scene.errors
        self.description, self.renderer, self.version = scene.description, scene.renderer, scene.version
        self.files: Sequence[Path] = scene.files
        self.data, self.observes = scene.data, scene.observes
        self.warnings: Sequence[str] = scene.warnings
        self.contents = scene.contents
        self.in_order = scene.in_order
        self.temporary: Path | None = None  # engines whose ranks render together leave nothing behind

    def ready(self) -> str:
        """Return nothing: the ranks themselves render."""
        return ""

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame together."""
        rendered: Rendered = self._call("render", frame, output, path)
        picture = (
            None if rendered.picture is None else rendered.picture.copy()
        )  # it is written while others are rendered
        return rendered._replace(picture=picture, memory=max(answer.memory for answer in self._answers))

    def probe(self, frame: int) -> str:
        """Render a frame in a small size together."""
        return str(self._call("probe", frame))

    def keep_order(self, needs: str) -> Sequence[str]:
        """Prepare the scene on all ranks, or refuse it: a group cannot open it anew, as going back would require."""
        if needs == PREVIOUS:
            return list(self._call("keep_order", needs))
        raise UsageError(
            f"{self._job.scene.name}: frames depend on earlier frames; render it with --ranks-per-frame 1, or "
            "nevertheless with --allow-order-dependence"
        )

    def frames_to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return the answer of the leader's own scene, which is that of all."""
        return self._scene.frames_to_survey(frames)

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Survey a frame together, each rank its part of the data."""
        found: Ranges = self._call("survey", frame, first=first)
        return merge_ranges([found, *(answer.ranges or {} for answer in self._answers)])

    def set_color_ranges(self, found: Ranges) -> None:
        """Set the color ranges on all ranks."""
        self._call("set_color_ranges", found)

    def take_warnings(self) -> list[str]:
        """Return the warnings of all ranks."""
        return list(self._call("take_warnings"))

    def finish(self) -> None:
        """Do nothing: engines whose ranks render together have nothing to complete."""

    def dismiss(self) -> None:
        """Let the followers end."""
        self._send(None)

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Call a method on all ranks of the group; return the leader's result."""
        self._send((name, arguments, options))
        result, error = None, None
        try:
            result = getattr(self._scene, name)(*arguments, **options)
        except Exception as problem:  # raised when the followers have finished, too
            error = problem
        self._answers = self._group.gather(Answer(), root=0)
        if error is not None:
            raise error
        problems = [answer.error for answer in self._answers if answer.error]
        if problems:
            raise RuntimeError(problems[0])
        return result

    def _send(self, call: object) -> None:
        for rank in range(1, self._group.size):
            self._group.send(call, dest=rank, tag=CALL)
