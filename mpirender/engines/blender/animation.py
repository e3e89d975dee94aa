"""Renders single frames as parts of one animation, so that handlers of the file see what they see in Blender's own.

Blender's operator renders an animation at once. Here it renders one frame each time, as an animation of one frame:
handlers of frames (``render_pre``, ``frame_change_*``, ``render_post``, ``render_write``) run as usual. Around the
frames, ``render_init`` runs before the first one only and ``render_complete`` after the last; the updates with which
the operator begins and ends are hidden from handlers, too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mpirender.engines.blender.sequences import BPY
from mpirender.errors import one_line

ONCE = ("render_init",)
AT_END = ("render_complete", "render_cancel")
UPDATES = ("depsgraph_update_pre", "depsgraph_update_post")
CHANGES = ("frame_change_pre", "frame_change_post")
PICTURE = "frame_"  # beginning of the name under which handlers see the image

Watch = Callable[[BPY, BPY], None]  # called with the scene and the dependency graph when a frame has been computed


class Animation:
    """Renders frames of a scene one by one."""

    def __init__(self, bpy: BPY, scene: BPY) -> None:
        self._bpy, self._scene = bpy, scene
        self._memory = os.memfd_create("picture")
        self._folder = Path(tempfile.mkdtemp(prefix="frames-", dir=bpy.app.tempdir))
        self._begun = False
        self._range = (scene.frame_start, scene.frame_end)
        render = scene.render
        render.use_overwrite, render.use_placeholder = True, False

    def render(self, frame: int, watch: Watch, folder: Path | None = None) -> bytes:
        """Render a frame; return the file that Blender writes, which is in memory, since a disk may be full.

        :param folder: where handlers see the file and may write others; a temporary one by default.
        :raises RuntimeError: Blender reports an error.
        """
        scene, folder = self._scene, folder or self._folder
        scene.render.filepath = str(folder / PICTURE)
        link = Path(scene.render.frame_path(frame=frame))
        os.ftruncate(self._memory, 0)
        link.symlink_to(f"/proc/{os.getpid()}/fd/{self._memory}")
        try:
            with self._one_frame(frame, watch):
                self._bpy.ops.render.render(animation=True, scene=scene.name)
        except RuntimeError as error:
            raise RuntimeError(one_line(str(error).strip().removeprefix("Error: "))) from None
        finally:
            link.unlink()
        content = os.pread(self._memory, os.fstat(self._memory).st_size, 0)
        if not content:
            raise RuntimeError("Blender wrote no image")
        return content

    def render_all(self, frames: Sequence[int], folder: Path) -> bytes:
        """Render frames by one run of the operator into a folder; return the file of the last one."""
        scene = self._scene
        scene.frame_start, scene.frame_end = frames[0], frames[-1]
        scene.render.filepath = str(folder / PICTURE)
        self._bpy.ops.render.render(animation=True, scene=scene.name)
        return Path(scene.render.frame_path(frame=frames[-1])).read_bytes()

    def complete(self) -> None:
        """Let the handlers know that the animation is complete; call this after the last frame."""
        if self._begun:
            for handler in list(self._bpy.app.handlers.render_complete):
                try:
                    call(handler, self._scene)
                except Exception:  # as in Blender, which prints it; all frames are rendered
                    traceback.print_exc()

    @contextlib.contextmanager
    def _one_frame(self, frame: int, watch: Watch) -> Iterator[None]:
        """Set the range to one frame, and hide from handlers what an animation of more frames would not show them."""
        scene, held = self._scene, HeldHandlers(self._bpy)

        def begin(*_: object) -> None:  # Blender has noted the frames by now; drivers and stamps see the whole range
            scene.frame_start, scene.frame_end = self._range
            held.release(*UPDATES)

        def end(*_: object) -> None:  # Blender returns to the frame before the animation
            held.hold(*UPDATES, *CHANGES)

        held.hold(*AT_END)
        if self._begun:
            held.hold(*ONCE, *UPDATES)
        self._begun = True
        held.add("render_init", begin)
        held.add("render_complete", end)
        held.add("frame_change_post", watch)
        self._range = (scene.frame_start, scene.frame_end)
        scene.frame_start = scene.frame_end = frame
        try:
            yield
        finally:
            scene.frame_start, scene.frame_end = self._range
            held.restore()


class HeldHandlers:
    """Handlers of a file that do not run for a while, and handlers of mpirender that do."""

    def __init__(self, bpy: BPY) -> None:
        self._lists = bpy.app.handlers
        self._held: dict[str, list[object]] = {}
        self._added: list[tuple[str, object]] = []

    def hold(self, *names: str) -> None:
        """Hold the handlers of these events, except those of mpirender."""
        for name in names:
            handlers, own = getattr(self._lists, name), [added for event, added in self._added if event == name]
            self._held[name] = self._held.get(name, []) + [each for each in handlers if each not in own]
            handlers[:] = own

    def release(self, *names: str) -> None:
        """Let the handlers of these events run again; those that were added meanwhile come last."""
        for name in names:
            handlers = getattr(self._lists, name)
            handlers[:] = self._held.pop(name, []) + list(handlers)

    def add(self, name: str, handler: object) -> None:
        """Add a handler of mpirender, which runs last."""
        getattr(self._lists, name).append(handler)
        self._added.append((name, handler))

    def restore(self) -> None:
        """Remove the handlers of mpirender, and let the others run again."""
        for name, handler in self._added:
            handlers = getattr(self._lists, name)
            if handler in handlers:
                handlers.remove(handler)
        self._added.clear()
        self.release(*list(self._held))


def call(handler: Callable[..., object], scene: BPY) -> None:
    """Call a handler with as many arguments as Blender gives it."""
    code = getattr(handler, "__code__", None)
    if code is not None and code.co_argcount == 1:
        handler(scene)
    else:
        handler(scene, None)


def events(bpy: BPY) -> list[str]:
    """Return the names of the events that handlers can be registered for."""
    return [name for name in dir(bpy.app.handlers) if isinstance(getattr(bpy.app.handlers, name), list)]


def opengl_renderer(bpy: BPY) -> str:
    """Return what OpenGL calls itself. Its context opens with a first render: of an empty scene, without handlers."""
    import gpu

    held, data = HeldHandlers(bpy), bpy.data
    held.hold(*events(bpy))
    scene, camera = data.scenes.new("mpirender"), data.cameras.new("mpirender")
    eye = data.objects.new("mpirender", camera)
    try:
        scene.camera, scene.render.engine = eye, "BLENDER_WORKBENCH"
        scene.render.resolution_x = scene.render.resolution_y = 16
        bpy.ops.render.render(scene=scene.name)
    finally:
        data.scenes.remove(scene)
        data.objects.remove(eye)
        data.cameras.remove(camera)
        held.restore()
    return str(gpu.platform.renderer_get())
