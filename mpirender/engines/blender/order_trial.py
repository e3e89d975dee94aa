"""Finds out by a trial whether scripts of a file keep something from frame to frame, and renders such frames in order.

The trial renders a frame at small size in separate Blender processes: in Blender's own animation, and directly. A rank
then renders the frames before its own at small size, so that handlers see all frames in the order of the animation.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mpirender.engines.base import Rendered, Scene
from mpirender.engines.blender import physics
from mpirender.engines.blender.scene import BlenderScene, decoded, open_scene_file
from mpirender.engines.blender.scene_facts import frames_of, python_drivers
from mpirender.engines.blender.sequences import BPY
from mpirender.errors import UsageError
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob

TRIED = 3  # frames: late enough to distinguish state from two frames from state from one
IN_ORDER, CHANGING, UNKNOWN, INDEPENDENT = "in order", "changing", "unknown", ""
ANIMATION, FRAMES = "animation", "frames"  # ways to render
TRIAL_SECONDS = 500.0  # of one process: a renderer that does nothing for 10 minutes is ended
CHANGED = (
    "scripts of the file are not reproducible: frame {frame} differs from one try to the next, so images depend on "
    "ranks and restarts; seed random numbers, and use no clock"
)
KEPT = (
    "scripts of the file keep something from frame to frame, so each rank also renders the frames before its own, at "
    "small size; --ranks 1 avoids this"
)
UNLIKE = (
    "scripts of the file make frame {frame} depend on how often Blender computes the scene, so it would not be "
    "the one of Blender's animation; let them depend on the number of the frame, or bake what they move"
)
SEVERAL = (
    "scripts of the file keep something from frame to frame, so that only one size at a time can be rendered; "
    "give one --size"
)


def order_of(job: RenderJob, query: Callable[..., Mapping[str, Any]]) -> str:
    """Return whether frames depend on those before them, which a trial shows if scripts are allowed to run.

    :param query: asks another Blender process; see :mod:`mpirender.engines.blender.query`.
    """
    bpy = open_scene_file(job)
    if not job.allow_scripts or not runs_scripts(bpy):
        return INDEPENDENT
    scene = bpy.data.scenes[job.scene_name] if job.scene_name else bpy.context.scene

    frames, played = frames_of(scene)[:TRIED], any(True for _ in physics.unbaked(bpy, scene))

    def picture(how: str, some: Sequence[int]) -> str:
        with tempfile.TemporaryDirectory(prefix="mpirender-") as folder:
            asked = Path(folder) / "job.json"
            asked.write_text(job.to_json())
            way = FRAMES if played else how  # Blender's own animation leaves out physics that are not baked
            words = ("--picture", str(asked), way, ",".join(map(str, some)))
            try:
                return str(query(*words, timeout=TRIAL_SECONDS)["picture"])
            except (UsageError, TimeoutError):  # the frames themselves show what is wrong
                return ""

    found = order(picture, frames)
    if found == UNKNOWN:
        raise UsageError(f"{job.scene.name}: {UNLIKE.format(frame=frames[-1])}")
    return found


def open_scene(order: str, job: RenderJob, local_rank: int) -> Scene:
    """Open a file whose frames have this order; see :func:`mpirender.engines.base.Engine.open_scene`."""
    if order == IN_ORDER:
        return OrderedScene(job, local_rank)
    scene = BlenderScene(open_scene_file(job), job, local_rank)
    if order == CHANGING:
        scene.warnings = [*scene.warnings, CHANGED.format(frame=scene.frames[:TRIED][-1])]
    return scene


def runs_scripts(bpy: BPY) -> bool:
    """Return whether the file has scripts that run when it is opened, or drivers that are Python programs."""
    if any(text.use_module for text in bpy.data.texts):
        return True
    return bool(python_drivers(bpy))


def order(picture: Callable[[str, Sequence[int]], str], frames: Sequence[int]) -> str:
    """Return whether the picture of a frame depends on the frames before it.

    :param picture: renders frames in a process of its own, in one of the ways of :func:`picture`; returns a digest of
        the last one, empty if that failed.
    :param frames: the first frames of the scene.
    """
    if len(frames) < 2:
        return INDEPENDENT
    own, alone = picture(ANIMATION, frames), picture(FRAMES, frames[-1:])
    if not own or not alone or own == alone:
        return INDEPENDENT
    if picture(FRAMES, frames) == own:
        return IN_ORDER
    return UNKNOWN if picture(ANIMATION, frames) == own else CHANGING


def picture(job: RenderJob, how: str, frames: Sequence[int]) -> str:
    """Render frames in this process at small size; return a digest of the last one, empty if it has errors.

    :param how: by one run of Blender's operator (``animation``), or one by one (``frames``).
    """
    scene = BlenderScene(open_scene_file(job), job, 0)
    scene.hurry()
    output, rendered = scene.small(job.outputs[0]), None
    with tempfile.TemporaryDirectory(prefix="mpirender-") as folder:
        part = Path(folder) / "picture"
        if how == ANIMATION:
            rendered = scene.animate(frames, output, part)
        else:
            for frame in frames:
                rendered = scene.render(frame, output, part)
        if rendered is None or rendered.errors:
            return ""
        pixels = decoded(part.read_bytes()) if rendered.picture is None else rendered.picture
        return hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()


class OrderedScene(Scene):
    """The scene of a file whose scripts keep something from frame to frame."""

    open_ended = True

    def __init__(self, job: RenderJob, local_rank: int) -> None:
        """Open the file; parameters as those of :class:`BlenderScene`."""
        if len(job.outputs) > 1:
            raise UsageError(f"{job.scene.name}: {SEVERAL}")
        self._job, self._local_rank = job, local_rank
        self._begin()
        opened = self._scene
        self.frames, self.version, self.renderer = opened.frames, opened.version, opened.renderer
        self.temporary = opened.temporary
        self.description, self.errors, self.warnings = opened.description, opened.errors, [*opened.warnings, KEPT]

    def _begin(self, *, afresh: bool = False) -> None:
        self._scene = BlenderScene(open_scene_file(self._job, afresh=afresh), self._job, self._local_rank)
        self._played: list[int] = []

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame after those before it, which are played; begin again to go back."""
        before = [number for number in self._scene.frames if number < frame]
        if self._played != before[: len(self._played)]:
            self._begin(afresh=True)
        for number in before[len(self._played) :]:
            self._scene.play(number, output)
        self._played = [*before, frame]
        return self._scene.render(frame, output, path)

    def take_warnings(self) -> list[str]:
        """Return the warnings since the last call."""
        return self._scene.take_warnings()

    def finish(self) -> None:
        """Complete the animation."""
        self._scene.finish()
