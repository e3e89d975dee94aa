"""The protocols of engines and of opened scenes, and the values that they exchange with the rest of mpirender."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Protocol

from mpirender.job.outputs import Output
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
        pictures: those of them of which a picture can be made.
        layouts: layouts with the views in each.
        play_mode: ``Sequence``, ``Snap To TimeSteps`` or ``Real Time``.
        times: the scene time of every frame.
        first: number of the first frame, by which it is asked for and its images are named.
        step: by which these numbers grow from frame to frame.
        open_ended: whether frames of other numbers can be rendered, too.
        frame_rate: that of the scene, empty where it has none.
        size: width and height that the scene asks for, None where it does not.
        frames_known: whether these are known before the scene is opened; else ``times`` is empty.
        data_files: the files it reads.
        in_order: names of what makes a frame depend on the frames before it.
        objects: name and class of each object whose properties can be set.
        properties: what else there is to know of the scene, name and value.
        warnings: what might surprise, one line each.
        advice: what might make it faster, one line each.
        mistakes: why it cannot be rendered as asked, one line each with the cure.
    """

    engine: str
    written_by: str = ""
    views: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = ()
    play_mode: str = "Sequence"
    times: tuple[float, ...] = ()
    first: int = 0
    step: int = 1
    open_ended: bool = False
    frame_rate: str = ""
    size: tuple[int, int] | None = None
    frames_known: bool = True
    data_files: tuple[DataFile, ...] = ()
    in_order: tuple[str, ...] = ()
    objects: tuple[tuple[str, str], ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = field(default=())
    advice: tuple[str, ...] = field(default=())
    mistakes: tuple[str, ...] = field(default=())

    @property
    def frames(self) -> range:
        """The numbers of the frames."""
        return range(self.first, self.first + self.step * len(self.times), self.step)


@dataclass(frozen=True)
class Check:
    """One line of doctor: what was looked for, whether it is there, and the line that mends it."""

    what: str
    ok: bool
    found: str
    cure: str = ""
    required: bool = True


SOFTWARE = re.compile(r"llvmpipe|softpipe|swrast|SWR|software", re.IGNORECASE)


@dataclass(frozen=True)
class Ability:
    """A way to render on a machine: a window backend, on a device, or why it is impossible.

    Args:
        backend: ``egl``, ``osmesa`` or ``glx``.
        device: number of the EGL device, None for the other backends.
        renderer: what OpenGL calls its renderer.
        problem: why it cannot be used, with the cure; empty when it can.
        never: whether that is because the program was built without it.
        sure: whether it is worth remembering; not if the program was kept from answering.
    """

    backend: str
    device: int | None = None
    renderer: str = ""
    problem: str = ""
    never: bool = False
    sure: bool = True

    @property
    def software(self) -> bool:
        """Whether the CPU renders."""
        return is_software(self.renderer)


def is_software(renderer: str) -> bool:
    """Say whether what OpenGL calls its renderer runs on the CPU."""
    return SOFTWARE.search(renderer) is not None


Numbers = dict[str, Optional[float]]  # what was measured, by name; None where there are no data


class Rendered(NamedTuple):
    """What has come of rendering an image.

    Args:
        complaints: what the engine reported as errors meanwhile.
        picture: rows from the top, shape (height, width, channels), 8 bits a channel; valid until the next call. None
            where the engine has written the file itself.
        memory: the most that a rank of the group has taken so far, in bytes; 0 where a rank renders alone.
        measured: the numbers about the data that the job asks for; None where it asks for none.
    """

    complaints: list[str]
    picture: NDArray[np.uint8] | None = None
    memory: int = 0
    measured: Numbers | None = None


Ranges = dict[str, tuple[float, float]]  # least and greatest value, by the name of an array


def merged(parts: Iterable[Ranges]) -> Ranges:
    """Return the ranges that hold those of all parts."""
    ranges: Ranges = {}
    for part in parts:
        for name, (least, most) in part.items():
            before = ranges.get(name, (least, most))
            ranges[name] = (min(before[0], least), max(before[1], most))
    return ranges


class Scene(Protocol):
    """A scene opened in one rank, warmed up and ready to render any frame in any order."""

    frames: Sequence[int]  # their numbers
    open_ended: bool  # whether frames of other numbers can be rendered, too
    complaints: list[str]  # what the engine reported as errors while opening
    description: str  # program, version, backend and renderer, for the records
    renderer: str  # what OpenGL calls it, read back from the window
    version: str  # of the program
    files: Sequence[Path]  # that it reads, beside those that the engine's prepare() has told
    warnings: Sequence[str]  # what might surprise and is known only now

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame of an output: return its picture where path is a png, else write the file."""
        ...

    def to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return those of the frames that must be looked at before any of them is rendered; none as a rule."""
        ...

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Look at a frame without rendering it; say whether it is the first."""
        ...

    def settle(self, found: Ranges) -> None:
        """Take in what was found in all of the frames; called once, before the first is rendered."""
        ...

    def notes(self) -> list[str]:
        """Return what the engine warned of since the last call, each text once."""
        ...


class Independent:
    """The part of a scene that has nothing to find out before its frames are rendered: each is known from itself."""

    def to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return nothing."""
        return ()

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Return nothing."""
        return {}

    def settle(self, found: Ranges) -> None:
        """Take in nothing."""


class Engine(Protocol):
    """What a module must offer to be an engine."""

    OPTIONS: Collection[str]  # which of the job's OF_ENGINES it takes
    SCENES: str  # what it renders, for people: "ParaView states"

    def command(self, programs: Programs) -> list[str]:
        """Return the program that runs a rank (``[pvbatch, --no-mpi]``), before ``-m mpirender.ranks``.

        Where ranks share a frame it is one whose ranks can (``[pvbatch, --sym]``).

        Raises:
            ToolMissing: it is not installed.
        """
        ...

    def verify(self, programs: Programs, *, afresh: bool = False) -> None:
        """Make sure that this program is what it should be.

        Args:
            afresh: ask it also where its answer is remembered.

        Raises:
            ToolMissing: it is not, or it is not installed.
        """
        ...

    def mpiexec(self, programs: Programs) -> str | None:
        """Return the mpiexec that came along with the program, None where there is no such thing."""
        ...

    def inspect(self, scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
        """Say what is in a scene and what would go wrong, without the engine's own program.

        Args:
            read_by: version of the program that would render it, where known.
        """
        ...

    def version(self, programs: Programs) -> str:
        """Return the version of the program that would render, empty when there is none."""
        ...

    def prepare(self, scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
        """Return the scene as the ranks load it, and the files it reads; rank 0 does this once, in its program.

        Raises:
            UsageError: it is no scene, or its data files are missing.
        """
        ...

    BACKENDS: Sequence[str]  # the window backends that its scenes may be rendered with; none if it opens no window

    def abilities(self, programs: Programs, backend: str) -> Sequence[Ability]:
        """Return what can be rendered with a backend on this machine, device by device; remembered for a while."""
        ...

    def settings(self, ability: Ability) -> Mapping[str, str]:
        """Return the environment in which the engine renders so, set before the scene is opened."""
        ...

    def divide(self, group: int, rank: int) -> None:
        """Make ranks that have the same number of a group render together; all processes call it, before a scene opens.

        Args:
            rank: number of this process within its group.
        """
        ...

    def open_scene(self, scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> Scene:
        """Load the scene that prepare() gave, so that frames come out as in the engine's own animation.

        Args:
            local_rank: number of this rank among those on its node.
            group: mpi4py communicator of the ranks that do this together, and all that they do with the scene; None for
                a rank alone.
        """
        ...

    def checks(self, programs: Programs) -> Sequence[Check]:
        """Say what doctor should show for this engine."""
        ...
