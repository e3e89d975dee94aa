"""The test pattern: color bars and the frame number, drawn without a renderer.

With it, launchers, schedules, disks and encoders can be tested without ParaView. A scene is a JSON file with the suffix
``.pattern``: ``{"frames": 24, "seconds": 0.1}`` simulates 0.1 s of rendering per image; a list gives the seconds of
each frame. ``picture`` names an image file in the same folder that is shown in every frame. Lists of frames simulate
problems: ``fail`` reports an error, ``flaky`` does so only at the first attempt, ``hang`` never ends, and ``kill`` ends
the process, by a signal or exit code given by ``how`` (``SIGKILL``, ``SIGSEGV``, ``3``). ``{"kill_load": {"1": [2]}}``
ends it when rank 1 of the node opens the scene for the second time. ``grow`` is how many MiB each image leaks,
and ``say`` a text that each image prints. ``data`` names a file for each frame: the image depends on it and shows the
number that it contains instead of that of the frame. With ``"remembers": "order"`` the number shown is that of the
images drawn before, with ``"chance"`` a random number, and with ``"first"`` 1 instead of 0 if other images were drawn
before.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines import pattern_file
from mpirender.engines.base import ALL_BEFORE, Check, DataFile, FileState, Inspection, Rendered, Scene
from mpirender.engines.supersample import enlarged, reduced

# A part of the engine's interface.
from mpirender.engines.windowless import BACKENDS, backend_devices, environment, mpiexec, split_into_groups, warm_up  # noqa: F401
from mpirender.errors import OutOfOrder, UsageError
from mpirender.job import frames as framesets
from mpirender.job import paths
from mpirender.job.outputs import Output
from mpirender.job.programs import Programs
from mpirender.job.render_job import RenderJob
from mpirender.system.comm import Comm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCENES = "test patterns"
BARS = ((191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191))
# Seven-segment digits: top, upper left, upper right, middle, lower left, lower right, bottom.
SEGMENTS = (
    "1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111", "1111011",
)  # fmt: skip


def command(programs: Programs) -> list[str]:
    """Return this Python, or that of the container."""
    return ["python3"] if programs.container else [sys.executable]


def verify(programs: Programs, *, afresh: bool = False) -> None:
    """Do nothing: Python is running."""


def version(programs: Programs) -> str:
    """Return the version of the pattern."""
    return "1"


def moved(scene: bytes, job: RenderJob, folder: str) -> bytes:
    """Return the scene unchanged: its picture is named from its folder."""
    return scene


def prepare(scene: bytes, job: RenderJob) -> tuple[bytes, list[Path]]:
    """Return the scene unchanged, and its picture, if it has one."""
    shown = pattern_file.read(scene, job.scene.name).get("picture")
    if not shown:
        return scene, []
    path = job.scene.parent / shown
    if not paths.is_file(path):
        raise UsageError(f"{job.scene.name}: its picture {shown} does not exist")
    return scene, [path]


def _is_image(path: Path) -> bool:
    try:
        _picture(path)
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def _picture(path: Path) -> NDArray[np.uint8]:
    import imageio.v3 as iio

    picture: NDArray[np.uint8] = iio.imread(path, plugin="pillow")
    return picture


def inspect(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Return the frames of the pattern, and mistakes in its file."""
    settings = pattern_file.read(scene, job.scene.name)
    count = settings.get("frames", pattern_file.FRAMES)
    mistakes = []
    count = min(count, framesets.MOST + 1)
    lists = {key: settings[key] for key in ("seconds", "data") if isinstance(settings.get(key), list)}
    if count < 1:
        mistakes.append(f"{job.scene.name}: the scene has no frames")
    elif short := {key: len(values) for key, values in lists.items() if len(values) != count}:
        given = [f"{key} for {length} of {count} frames" for key, length in short.items()]
        mistakes += [f"{job.scene.name}: gives {one}; give one value per frame" for one in given]
    elif job.frames is not None:
        mistakes += filter(None, [framesets.out_of_range(job.frames, range(count))])
    shown = settings.get("picture")
    path = job.scene.parent / str(shown)
    if shown and paths.is_file(path) and not _is_image(path):
        mistakes.append(f"{job.scene.name}: its picture {shown} cannot be read; give an image such as a PNG")
    files = (DataFile("pattern", "picture", str(shown), str(path), paths.is_file(path)),) if shown else ()
    return Inspection(
        engine="pattern", written_by="mpirender", times=tuple(map(float, range(count))), data_files=files,
        mistakes=tuple(mistakes),
    )  # fmt: skip


def checks(programs: Programs) -> Sequence[Check]:
    """Return nothing: the pattern needs no program."""
    return ()


def open_scene(scene: bytes, job: RenderJob, group: Comm | None = None, local_rank: int = 0) -> PatternScene:
    """Return the pattern, ready to draw."""
    settings = pattern_file.read(scene, job.scene.name)
    if str(local_rank) in settings.get("kill_load", {}):
        with (job.folder / f"loads-{local_rank}").open("a") as count:
            count.write("x")
            if count.tell() in settings["kill_load"][str(local_rank)]:
                _die(settings)
    return PatternScene(settings, job)


def _die(settings: Mapping[str, Any]) -> None:
    how = str(settings.get("how", "SIGKILL"))
    if how.isdigit():
        os._exit(int(how))
    os.kill(os.getpid(), signal.Signals[how])


class PatternScene(Scene):
    """A test pattern opened in one rank."""

    renderer, version, description = "numpy", "1", "test pattern, drawn by numpy"

    def __init__(self, settings: dict[str, Any], job: RenderJob) -> None:
        count: int = settings.get("frames", pattern_file.FRAMES)
        self.frames = range(count)
        self.errors = []
        cost = settings.get("seconds", 0.0)
        self.seconds: list[float] = cost if isinstance(cost, list) else [cost] * count
        kinds = ("fail", "flaky", "kill", "hang")
        self.failing, self.flaky, self.killing, self.hanging = (set(settings.get(kind, ())) for kind in kinds)
        self.settings, self.leaked = settings, list[bytes]()
        self.in_order = "remembers" not in settings
        self._keeps_order, self._drawn, self._output = False, 0, job.outputs[0]  # images drawn
        self.supersample = job.supersample
        self.folder, self.transparent = job.folder, job.transparent_background
        self.files_of_frames = [job.scene.parent / name for name in settings.get("data", ())]
        self.observes = bool(self.files_of_frames)
        self.picture: NDArray[np.uint8] | None = None
        if "picture" in settings:
            self.picture = _picture(job.scene.parent / settings["picture"])

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Draw color bars, a progress bar, and the frame number."""
        if "say" in self.settings:
            print(self.settings["say"], frame)  # noqa: T201
        if frame in self.killing:
            _die(self.settings)
        self.leaked.append(b"x" * (self.settings.get("grow", 0) << 20))
        time.sleep(pattern_file.LONGEST_SECONDS if frame in self.hanging else self.seconds[frame])
        picture = self.picture
        number, inputs = self._read(frame)
        if picture is None:
            large = enlarged(output, self.supersample)
            picture = reduced(draw(number, len(self.frames), large, transparent=self.transparent), self.supersample)
        elif picture.shape[:2] != (output.height, output.width):
            raise ValueError(f"the picture of the pattern is {picture.shape[1]}x{picture.shape[0]}, not {output}")
        fails = frame in self.failing or (frame in self.flaky and self._is_first_attempt(frame))
        errors = [f"the pattern is set to fail at frame {frame}"] if fails else []
        if path.suffix == ".png":
            return Rendered(errors, picture, inputs=inputs, time=float(frame))
        import imageio.v3 as iio

        iio.imwrite(path, picture, plugin="pillow")  # other plugins ignore a full disk
        return Rendered(errors, inputs=inputs, time=float(frame))

    def _read(self, frame: int) -> tuple[int, list[FileState]]:
        """Return the number that the image of a frame shows, and the files from which it is."""
        if not self.files_of_frames:
            return self._number(frame), []
        path = self.files_of_frames[frame]
        state = path.stat()
        return int(path.read_text()), [FileState(str(path), state.st_size, state.st_mtime_ns // 1000)]

    def probe(self, frame: int) -> str:
        """Draw a small image."""
        picture = self.render(frame, replace(self._output, width=80, height=50), Path("probe.png")).picture
        return "" if picture is None else hashlib.blake2b(picture.tobytes()).hexdigest()

    def keep_order(self, needs: str) -> Sequence[str]:
        """Draw, as it were, the images before each one."""
        self._keeps_order = needs == ALL_BEFORE
        return ["the pattern"]

    def _number(self, frame: int) -> int:
        """Return the number that the image of a frame shows."""
        remembers = self.settings.get("remembers")
        if remembers == "chance":
            return random.randrange(1000)
        if remembers == "first" and not self._keeps_order:
            self._drawn += 1
            return max(frame, int(self._drawn > 1))
        if remembers not in ("order", "first"):
            return frame
        if self._keeps_order and frame < self._drawn - 1:
            raise OutOfOrder(f"frame {frame} cannot follow frame {self._drawn - 1}")
        self._drawn = frame + 1 if self._keeps_order else self._drawn + 1
        return self._drawn - 1

    def _is_first_attempt(self, frame: int) -> bool:
        tried = self.folder / f"flaky-{frame}"
        first = not tried.exists()
        tried.touch()
        return first


def draw(frame: int, count: int, size: Output, *, transparent: bool = False) -> NDArray[np.uint8]:
    """Return the image, uint8, shape (height, width, 3), or (height, width, 4) with the upper half transparent."""
    import numpy as np

    picture = np.full((size.height, size.width, 4), 255, np.uint8)
    picture[..., :3] = np.array(BARS)[np.arange(size.width) * len(BARS) // size.width]
    if transparent:
        picture[: size.height // 2, :, 3] = 0
    done = round(size.width * (frame + 1) / count)
    picture[-max(size.height // 10, 1) :, :done, :] = 255
    _write_number(picture, frame, height=max(size.height // 3, 7))
    return picture if transparent else picture[..., :3]


def _write_number(picture: NDArray[np.uint8], number: int, *, height: int) -> None:
    """Draw the number in black seven-segment digits in the middle of the image."""
    width, pen = height // 2, max(height // 10, 1)
    top = (picture.shape[0] - height) // 2
    digits = str(number)
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
