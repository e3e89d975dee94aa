"""The protocols of engines and of opened scenes, and the values that they exchange with the rest of mpirender."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional, Protocol

from mpirender.errors import UsageError
from mpirender.job.outputs import Output
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system.comm import Comm
from mpirender.system.text import listed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class DataFile:
    """A file that the scene reads."""

    reader: str
    property: str
    saved: str  # path as written in the scene
    path: str  # path from which it is read now
    found: bool
    index: str = ""  # path of the reader's own file that refers to this one, directly or not; empty for its own files
    time: float | None = None  # of the only timestep at which it is read, if that is known


@dataclass(frozen=True)
class Layout:
    """A layout (a tab of the ParaView window) and the names of its views."""

    name: str
    views: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """The contents of a scene, as known before rendering; each warning, advice and mistake is one line."""

    engine: str
    written_by: str = ""  # program and version that saved the scene
    views: tuple[str, ...] = ()  # names; the view that is rendered by default comes first
    renderable_views: tuple[str, ...] = ()  # names of the views that can be rendered to an image
    layouts: tuple[Layout, ...] = ()
    play_mode: str = "Sequence"  # or "Snap To TimeSteps", "Real Time"
    times: tuple[float, ...] = ()  # scene time of every frame
    first: int = 0  # number of the first frame; frame sets and image names use these numbers
    step: int = 1  # difference between the numbers of consecutive frames
    open_ended: bool = False  # whether frames outside this range can be rendered too
    frame_rate: str = ""  # of the scene; empty if it has none
    size: tuple[int, int] | None = None  # width and height that the scene asks for, if it does
    frames_known: bool = True  # before the scene is opened; if not, times is empty
    data_files: tuple[DataFile, ...] = ()
    order_dependent: tuple[str, ...] = ()  # names of the objects because of which a frame depends on earlier frames
    beside: tuple[str, ...] = ()  # other files that come with the images: paths, or their beginnings, from their folder
    objects: tuple[tuple[str, str], ...] = ()  # name and class of each object whose properties can be set
    scripts: tuple[str, ...] = ()  # what runs as a program, with the permissions of the user, each in a few words
    scripts_run: bool = True  # whether they really run with this job
    properties: tuple[tuple[str, str], ...] = ()  # further facts about the scene, name and value
    warnings: tuple[str, ...] = ()  # unexpected behavior to know of before rendering
    advice: tuple[str, ...] = ()  # ways to render faster
    mistakes: tuple[str, ...] = ()  # reasons why the scene cannot be rendered as requested, with the fix

    @property
    def frames(self) -> range:
        """The numbers of the frames."""
        return range(self.first, self.first + self.step * len(self.times), self.step)


def refused_scripts(job: RenderJob, scripts: Sequence[str]) -> list[str]:
    """Return the mistake that a scene has scripts, if the job does not allow any."""
    if not (job.no_scripts and scripts):
        return []
    return [f"{job.scene.name}: --no-scripts refuses the scripts of this scene: {listed(scripts)}"]


@dataclass(frozen=True)
class Check:
    """One line of doctor: what was checked, the result, and how to fix a failure."""

    what: str
    ok: bool
    found: str
    fix: str = ""
    required: bool = True


SOFTWARE = re.compile(r"llvmpipe|softpipe|swrast|SWR|software", re.IGNORECASE)


@dataclass(frozen=True)
class BackendDevice:
    """A backend and device for rendering on this machine, or the reason why it cannot be used."""

    backend: str  # egl, osmesa or glx
    device: int | None = None  # EGL device index; None for the other backends
    renderer: str = ""  # OpenGL renderer string
    problem: str = ""  # why it cannot be used, with the fix; empty if it can
    not_built: bool = False  # whether the program was built without this backend
    conclusive: bool = True  # whether the result may be cached; False if the probe itself could not run

    @property
    def software(self) -> bool:
        """Whether the CPU renders."""
        return is_software(self.renderer)


def is_software(renderer: str) -> bool:
    """Return whether an OpenGL renderer string names a CPU renderer."""
    return SOFTWARE.search(renderer) is not None


class FileState(NamedTuple):
    """A file as it was when it was read; one that changed meanwhile, or did not exist, has the time 0."""

    path: str
    bytes: int
    modified: int  # time of the last change, in microseconds since the epoch


Numbers = dict[str, Optional[float]]  # measured values by name; None where there are no data


class Rendered(NamedTuple):
    """The result of rendering an image.

    ``picture`` has its rows from the top, shape (height, width, channels), and is valid until the next call.
    """

    errors: list[str]  # reported by the engine while rendering
    picture: NDArray[np.uint8] | None = None  # None if the engine wrote the file itself
    memory: int = 0  # peak so far, in bytes: of the rank with its renderer, or of any rank of the group
    measured: Numbers | None = None  # the measurements that the job asks for, if any
    beside: Sequence[str] = ()  # paths of the other files that the engine wrote for this image, in folder_beside(path)
    inputs: Sequence[FileState] = ()  # files on which the picture depends, if the scene observes them
    time: float | None = None  # animation time of the frame, None if the engine has none


def folder_beside(path: Path) -> Path:
    """Return the folder in which an engine writes other files with an image that it writes to ``path``."""
    return path.with_name(f"{path.name}.files")


def files_beside(path: Path) -> list[str]:
    """Return the files in that folder, by their paths in it."""
    folder = folder_beside(path)
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


PREVIOUS, ALL_BEFORE = "previous", "all"  # what a frame may need of the frames before it
Ranges = dict[str, tuple[float, float]]  # minimum and maximum, by array name


def merge_ranges(parts: Iterable[Ranges]) -> Ranges:
    """Return the smallest ranges that contain those of all parts."""
    ranges: Ranges = {}
    for part in parts:
        for name, (least, most) in part.items():
            before = ranges.get(name, (least, most))
            ranges[name] = (min(before[0], least), max(before[1], most))
    return ranges


class Scene(Protocol):
    """A scene opened in one rank, ready to render its frames in any order."""

    frames: Sequence[int]  # frame numbers
    open_ended: bool = False  # whether frames outside these can be rendered too
    errors: list[str]  # errors that the engine reported while opening the scene
    description: str  # program, version, backend and renderer, for the journal
    renderer: str  # OpenGL renderer string, read back from the window
    version: str  # of the program
    files: Sequence[Path] = ()  # files besides the data on which all frames depend: plugins
    data: Sequence[Path] = ()  # data files that are known only after opening
    observes: bool = False  # whether each rendered image comes with the data files on which it depends
    warnings: Sequence[str] = ()  # warnings that are known only after opening
    # The value of each property, if every rank builds the scene itself (a script): all must build the same.
    contents: Mapping[str, str] = {}
    in_order: bool = True  # whether it is known to compute whatever a frame needs of the frames before
    temporary: Path | None = None  # a folder that the program leaves behind when its process is killed

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame of an output: return the pixels if path is a png, else write the file.

        :raises OutOfOrder: the scene must be opened in another process for this frame.
        """

    def ready(self) -> str:
        """Make sure that an image can be rendered; called before each. Return why none can, empty if it can."""
        return ""

    def probe(self, frame: int) -> str:
        """Render a frame in a small size, only to compare it; return a digest of its pixels, empty if there is none."""
        return ""

    def keep_order(self, needs: str) -> Sequence[str]:
        """Render the frame before each frame first, or compute all; return the names of objects that may be the reason.

        It is called when frames were found to depend on the frames before.

        :param needs: :data:`PREVIOUS`, or :data:`ALL_BEFORE` if no frame has been rendered since the scene was opened.

        :raises UsageError: that is not possible with this job.
        """
        raise UsageError(f"frames depend on earlier frames, and {self.description} cannot compute these first")

    def frames_to_survey(self, frames: Sequence[int]) -> Sequence[int]:
        """Return the frames whose array ranges must be known before any frame is rendered; usually none."""
        return ()

    def survey(self, frame: int, *, first: bool) -> Ranges:
        """Return the array ranges of a frame without rendering it; first: it is the first frame to be rendered."""
        return {}

    def set_color_ranges(self, found: Ranges) -> None:
        """Set the color maps to the ranges over all frames; called once, before the first frame is rendered."""
        return

    def take_warnings(self) -> list[str]:
        """Return the engine's warnings since the last call, each text once."""
        return []

    def finish(self) -> None:
        """Complete the animation; called once, after the last image that this process renders."""
        return


class Engine(Protocol):
    """The functions and constants that a module must offer to be an engine."""

    SCENES: str  # the kind of scene in messages: "ParaView states"

    def command(self, programs: Programs) -> list[str]:
        """Return the program that runs a rank (``[pvbatch, --no-mpi]``), before ``-m mpirender.ranks``.

        If ranks share a frame, the program is started so that its ranks can work together (``[pvbatch, --sym]``).

        :raises ToolMissing: it is not installed.
        """

    def verify(self, programs: Programs, *, afresh: bool = False) -> None:
        """Check that the program runs and is the engine's; if afresh, even if an earlier result is cached.

        :raises ToolMissing: it is another program or not installed.
        """

    def mpiexec(self, programs: Programs) -> str | None:
        """Return the mpiexec that is shipped with the program; None if there is none."""

    def inspect(self, scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
        """Return the contents of a scene and its mistakes, if possible without starting the engine's program.

        ``read_by`` is the version of the program that will render it, if known.

        :raises UsageError: the file is not a scene, or the program cannot open it.
        :raises ToolMissing: the program is needed for this, and is not installed.
        """

    def version(self, programs: Programs) -> str:
        """Return the version of the program that will render; empty if there is none."""

    def moved(self, scene: bytes, job: RenderJob, folder: str) -> bytes:
        """Return the scene for another machine, on which each file that it reads is in a folder, at the path of today.

        :param folder: absolute; the file ``/data/wave.vtu`` is ``FOLDER/data/wave.vtu`` there, the scene likewise.
        :raises UsageError: it cannot be made to read its files there.
        """

    def prepare(self, scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
        """Return the scene as the ranks load it, and the files it reads. Runs once, on rank 0.

        :raises UsageError: the file is not a scene, or its data files are missing.
        """

    BACKENDS: Sequence[str]  # backends that can open the engine's window; empty if it opens no window

    def backend_devices(self, programs: Programs, backend: str) -> Sequence[BackendDevice]:
        """Return the devices of a backend on this machine, usable or not. The result is cached for a day."""

    def environment(self, device: BackendDevice) -> Mapping[str, str]:
        """Return the environment variables that select a device; they are set before the scene is opened."""

    def warm_up(self) -> None:
        """Import what opening a scene needs; called in a renderer before its job is known, and may do nothing."""

    def split_into_groups(self, group: int, rank: int) -> None:
        """Let the ranks with the same group number render together; rank: of this process within its group.

        All ranks call this before opening a scene.
        """

    def open_scene(self, scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> Scene:
        """Load the scene that prepare() returned, so that frames match the engine's own animation.

        :param group: the ranks that render together; None for a rank alone. Ranks of a group must call every method of
            the scene together.
        :param local_rank: rank of this process among those on its node.
        :raises UsageError: the scene cannot be opened, or has changed since rank 0 read it.
        :raises ToolMissing: the requested device does not exist.
        """

    def checks(self, programs: Programs) -> Sequence[Check]:
        """Return the lines of doctor about this engine."""
