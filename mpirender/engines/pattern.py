"""The test pattern: pictures with the frame number and colour bars, made without any renderer.

It ships so that a launch, a schedule, a disk or an encoder can be tried without ParaView. A scene is a JSON file that
ends in ``.pattern``: ``{"frames": 24, "seconds": 0.1}`` costs 0.1 s of simulated rendering per image; a list gives each
frame a cost of its own. ``picture`` names a file beside it that is shown for every frame, at no cost. Lists of frames
make trouble: ``fail`` reports an error, ``flaky`` does so at the first try only, ``hang`` never ends, and ``kill`` ends
the rank, ``how``: by a signal (``SIGKILL``, ``SIGSEGV``) or with an exit code (``3``).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines.base import BackendDevice, Check, DataFile, Inspection, Rendered, WithoutSurvey
from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job.outputs import Output
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BACKENDS = ()
SCENES = "test patterns"
HANG_SECONDS = 1e6
BARS = ((191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191))
# Seven-segment digits: top, upper left, upper right, middle, lower left, lower right, bottom.
SEGMENTS = (
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
)


def command(programs: Programs) -> list[str]:
    """Return the user's own Python, or that of the container: nothing else is needed."""
    return ["python3"] if programs.container else [sys.executable]


def verify(programs: Programs, *, afresh: bool = False) -> None:
    """Find nothing wrong with the Python that runs this."""


def mpiexec(programs: Programs) -> str | None:
    """Return nothing: Python brings no MPI along."""
    return None


def version(programs: Programs) -> str:
    """Return the version of the pattern."""
    return "1"


def backend_devices(programs: Programs, backend: str) -> Sequence[BackendDevice]:
    """Return nothing: numpy paints the pictures."""
    return ()


def environment(device: BackendDevice) -> Mapping[str, str]:
    """Return nothing: there is no window."""
    return {}


def _settings(scene: bytes, name: str) -> dict[str, Any]:
    try:
        settings = json.loads(scene or b"{}")
    except ValueError as error:
        raise UsageError(f"{name}: not a test pattern: {error}") from None
    if not isinstance(settings, dict) or not isinstance(settings.get("frames", 24), int):
        raise UsageError(f'{name}: not a test pattern; write {{"frames": 24, "seconds": 0.1}}')
    return settings


def prepare(scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
    """Return the scene as it is, and the picture that it shows, if it shows one."""
    shown = _settings(scene, job.scene.name).get("picture")
    if shown and not (job.scene.parent / shown).is_file():
        raise UsageError(f"{job.scene.name}: its picture {shown} is not there")
    return scene, [job.scene.parent / shown] if shown else []


def inspect(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Say how many frames the pattern has."""
    settings = _settings(scene, job.scene.name)
    count, seconds = settings.get("frames", 24), settings.get("seconds", 0.0)
    mistakes = []
    if count < 1:
        mistakes.append(f"{job.scene.name}: the scene has no frames")
    elif isinstance(seconds, list) and len(seconds) != count:
        mistakes.append(f"{job.scene.name}: gives seconds for {len(seconds)} of {count} frames; write one for each")
    elif job.frames is not None:
        mistakes += filter(None, [framesets.out_of_range(job.frames, range(count))])
    shown = settings.get("picture")
    path = job.scene.parent / str(shown)
    files = (DataFile("pattern", "picture", str(shown), str(path), path.is_file()),) if shown else ()
    return Inspection(
        engine="pattern", written_by="mpirender", times=tuple(map(float, range(count))), data_files=files,
        mistakes=tuple(mistakes),
    )  # fmt: skip


def checks(programs: Programs) -> Sequence[Check]:
    """Return nothing: the pattern needs nothing that mpirender itself does not."""
    return ()


def split_into_groups(group: int, rank: int) -> None:
    """Do nothing: each rank of a group paints the whole picture, and that of the leader is taken."""


def open_scene(scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> PatternScene:
    """Return the pattern, ready to paint."""
    return PatternScene(_settings(scene, job.scene.name), job)


class PatternScene(WithoutSurvey):
    """A test pattern opened in one rank."""

    def __init__(self, settings: dict[str, Any], job: RenderJob) -> None:
        count: int = settings.get("frames", 24)
        self.frames: Sequence[int] = range(count)
        self.open_ended = False
        cost = settings.get("seconds", 0.0)
        self.seconds: list[float] = cost if isinstance(cost, list) else [cost] * count
        self.failing = set(settings.get("fail", ()))
        self.flaky = set(settings.get("flaky", ()))
        self.folder = job.folder
        self.killing = set(settings.get("kill", ()))
        self.how = str(settings.get("how", "SIGKILL"))
        self.hanging = set(settings.get("hang", ()))
        self.transparent = job.transparent_background
        self.picture = _read(job.scene.parent / settings["picture"]) if "picture" in settings else None
        self.errors: list[str] = []
        self.files: Sequence[Path] = ()
        self.warnings: Sequence[str] = ()
        self.version = "1"
        self.renderer = "numpy"
        self.description = "test pattern, painted by numpy"

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Paint colour bars, a band that moves with the frames, and the frame number."""
        if frame in self.killing:
            self._die()
        time.sleep(HANG_SECONDS if frame in self.hanging else self.seconds[frame])
        picture = self.picture
        if picture is None:
            picture = paint(frame, len(self.frames), output, transparent=self.transparent)
        elif picture.shape[:2] != (output.height, output.width):
            raise ValueError(f"the picture of the pattern is {picture.shape[1]}x{picture.shape[0]}, not {output}")
        errors = []
        if frame in self.failing or (frame in self.flaky and self._is_first_try(frame)):
            errors = [f"the pattern was told to fail at frame {frame}"]
        if path.suffix == ".png":
            return Rendered(errors, picture)
        import imageio.v3 as iio

        iio.imwrite(path, picture, plugin="pillow")  # the others hide that a disk is full
        return Rendered(errors)

    def _die(self) -> None:
        if self.how.isdigit():
            os._exit(int(self.how))
        os.kill(os.getpid(), signal.Signals[self.how])

    def _is_first_try(self, frame: int) -> bool:
        tried = self.folder / f"flaky-{frame}"
        first = not tried.exists()
        tried.touch()
        return first

    def take_warnings(self) -> list[str]:
        """Return nothing: numpy does not warn."""
        return []


def _read(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a picture file."""
    import imageio.v3 as iio

    picture: NDArray[np.uint8] = iio.imread(path)
    return picture


def paint(frame: int, count: int, size: Output, *, transparent: bool = False) -> NDArray[np.uint8]:
    """Return the picture, shape (height, width, 3), or 4 with the bars' upper half transparent; 8 bits a channel."""
    import numpy as np

    bars = np.array(BARS, np.uint8)[np.arange(size.width) * len(BARS) // size.width]
    picture = np.empty((size.height, size.width, 4), np.uint8)
    picture[..., :3] = bars
    picture[..., 3] = 255
    if transparent:
        picture[: size.height // 2, :, 3] = 0
    done = round(size.width * (frame + 1) / count)
    picture[-max(size.height // 10, 1) :, :done, :] = 255
    _write_number(picture, frame, height=max(size.height // 3, 7))
    return picture if transparent else picture[..., :3]


def _write_number(picture: NDArray[np.uint8], number: int, *, height: int) -> None:
    """Draw the number in black seven-segment digits into the middle of the picture."""
    width, pen = height // 2, max(height // 10, 1)
    top = (picture.shape[0] - height) // 2
    digits = f"{number:d}"
    left = (picture.shape[1] - len(digits) * (width + 2 * pen)) // 2
    middle = (height - pen) // 2
    strokes = (
        (0, 0, width, pen), (0, 0, pen, middle), (width - pen, 0, pen, middle), (0, middle, width, pen),
        (0, middle, pen, height - middle), (width - pen, middle, pen, height - middle), (0, height - pen, width, pen),
    )  # fmt: skip
    for place, digit in enumerate(digits):
        for lit, (x, y, across, down) in zip(SEGMENTS[int(digit)], strokes):
            x0 = max(left + place * (width + 2 * pen) + x, 0)
            if lit == "1":
                picture[max(top + y, 0) : top + y + down, x0 : x0 + across] = (0, 0, 0, 255)
