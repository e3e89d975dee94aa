"""The engines, and what each of them offers to the rest of mpirender.

An engine is a module. Nothing outside this package asks which engine it is: a scene's file suffix chooses it
(:func:`for_scene`), and everything else goes through the :class:`Engine` protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from mpirender.errors import UsageError
from mpirender.job import RenderJob, Size

SUFFIXES = {".pvsm": "paraview", ".pattern": "pattern"}


@dataclass(frozen=True)
class DataFile:
    """A file that the scene reads: as the scene names it, and where it is read from."""

    reader: str
    property: str
    saved: str
    path: str
    found: bool


@dataclass(frozen=True)
class Layout:
    """A layout (a tab of the ParaView window) and the names of the views in it."""

    name: str
    views: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What can be known of a scene without rendering it.

    Args:
        written_by: program and version that saved the scene.
        views: names of the views, the one shown first in front.
        layouts: layouts with the views in each.
        play_mode: ``Sequence``, ``Snap To TimeSteps`` or ``Real Time``.
        times: the scene time of every frame; frame ``i`` is ``times[i]``.
        data_files: the files it reads.
        warnings: what might surprise, one line each.
        mistakes: why it cannot be rendered as asked, one line each with the cure.
    """

    engine: str
    written_by: str = ""
    views: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = ()
    play_mode: str = "Sequence"
    times: tuple[float, ...] = ()
    data_files: tuple[DataFile, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    mistakes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Check:
    """One line of doctor: what was looked for, whether it is there, and the line that mends it."""

    what: str
    ok: bool
    found: str
    cure: str = ""
    required: bool = True


class Scene(Protocol):
    """A scene opened in one rank, warmed up and ready to render any frame in any order."""

    frames: int
    complaints: list[str]  # what the engine reported as errors while opening
    description: str  # program, version and renderer, for the records
    version: str  # of the program

    def render(self, frame: int, size: Size, path: Path) -> list[str]:
        """Write the image of a frame to path; return what the engine reported as errors meanwhile."""
        ...

    def notes(self) -> list[str]:
        """Return what the engine warned of since the last call, each text once."""
        ...


class Engine(Protocol):
    """What a module must offer to be an engine."""

    def command(self, job: RenderJob) -> list[str]:
        """Return the program that runs a rank (``[pvbatch, --no-mpi]``), before ``-m mpirender.rank``.

        Raises:
            ToolMissing: it is not installed.
        """
        ...

    def inspect(self, scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
        """Say what is in a scene and what would go wrong, without the engine's own program.

        Args:
            read_by: version of the program that would render it, where known.
        """
        ...

    def version(self, job: RenderJob) -> str:
        """Return the version of the program that would render, empty when there is none."""
        ...

    def prepare(self, scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
        """Return the scene as the ranks load it, data files relocated, and the files it reads; rank 0 does this once.

        Raises:
            UsageError: it is no scene, or its data files are missing.
        """
        ...

    def needs_display(self) -> bool:
        """Say, inside a rank, whether rendering needs an X server."""
        ...

    def open_scene(self, scene: bytes, job: RenderJob) -> Scene:
        """Load the scene from memory and render once, so that frames come out as the engine's own animation does."""
        ...

    def checks(self, job: RenderJob) -> Sequence[Check]:
        """Say what doctor should show for this engine."""
        ...


def get(name: str) -> Engine:
    """Return the engine of that name."""
    return cast(Engine, import_module(f"mpirender.engines.{name}"))


def for_scene(scene: Path) -> Engine:
    """Return the engine that renders this kind of file.

    Raises:
        UsageError: no engine reads it.
    """
    name = SUFFIXES.get(scene.suffix.lower())
    if name is None:
        raise UsageError(f"{scene}: not a scene mpirender knows; give a ParaView state ({', '.join(SUFFIXES)})")
    return get(name)
