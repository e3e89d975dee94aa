"""Ranks that render each frame together (``--ranks-per-frame``): one of them leads, the others follow.

The leader is what the rest of mpirender knows as a rank: it takes up frames, writes them and keeps the journal. What it
asks of its scene all ranks of the group do at the same time, since loading and rendering are MPI's collective calls.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpirender import engines
from mpirender.engines import Ranges, Rendered
from mpirender.job.outputs import Output
from mpirender.ranks.dynamic_schedule import receive
from mpirender.run_folder.events import Process
from mpirender.system import host
from mpirender.system.comm import Comm

ORDER = 4  # tag
SURVEY = "survey"
LONGEST = 2e-3  # seconds between two looks of a rank that waits for its leader


def members(group: Comm | None, world: Comm) -> tuple[Process, ...]:
    """Return the followers of the leader, on the leader; empty without a group. All ranks of a group call it."""
    if group is None:
        return ()
    return tuple(group.gather(Process(world.rank, socket.gethostname(), os.getpid()), root=0) or ())[1:]


def follow(scene: engines.Scene, group: Comm) -> None:
    """Do with a scene what the leader of the group asks for, until it has nothing more."""
    while order := receive(group, 0, ORDER, LONGEST)[0]:
        name, words, options = order
        answer, error = None, ""
        try:
            answer = getattr(scene, name)(*words, **options)
        except Exception as problem:  # the leader tells of it; this rank must be there for the next frame
            error = f"{type(problem).__name__}: {problem}"
        group.gather((error, host.peak(), answer if name == SURVEY else None), root=0)


class LedScene:
    """The scene of a group as its leader sees it: one like any other."""

    def __init__(self, scene: engines.Scene, group: Comm) -> None:
        self._scene, self._group = scene, group
        self._peak = 0
        self._others: list[Any] = []  # what the other ranks have answered last, where that is wanted
        self.frames, self.open_ended, self.errors = scene.frames, scene.open_ended, scene.errors
        self.description, self.renderer, self.version = scene.description, scene.renderer, scene.version
        self.files: Sequence[Path] = scene.files
        self.warnings: Sequence[str] = scene.warnings

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame together."""
        rendered: Rendered = self._all("render", frame, output, path)
        return rendered._replace(memory=self._peak)

    def frames_to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Ask the leader's own scene, which knows as much as the others."""
        return self._scene.frames_to_survey(frames)

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Look at a frame together, each rank at its part of the data."""
        found: Ranges = self._all(SURVEY, frame, first=first)
        return engines.merge_ranges([found, *self._others])

    def set_color_ranges(self, found: Ranges) -> None:
        """Set the ranges in all ranks of the group."""
        self._all("set_color_ranges", found)

    def take_warnings(self) -> list[str]:
        """Return the warnings of all."""
        texts: list[str] = self._all("take_warnings")
        return texts

    def dismiss(self) -> None:
        """Let the others go."""
        self._send(None)

    def _all(self, name: str, *words: Any, **options: Any) -> Any:  # noqa: ANN401
        """Have a method called by all ranks of the group; return the leader's answer."""
        self._send((name, words, options))
        answer, error = None, None
        try:
            answer = getattr(self._scene, name)(*words, **options)
        except Exception as problem:  # told when the others are done, too
            error = problem
        told = self._group.gather(("", 0, None), root=0)
        self._peak = max(memory for _, memory, _ in told)
        self._others = [other for _, _, other in told[1:]]
        if error is not None:
            raise error
        problems = [text for text, _, _ in told if text]
        if problems:
            raise RuntimeError(problems[0])
        return answer

    def _send(self, order: Any) -> None:  # noqa: ANN401
        for rank in range(1, self._group.size):
            self._group.send(order, dest=rank, tag=ORDER)
