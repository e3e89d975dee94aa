"""A Blender file that is open in one rank; renders its frames in any order."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mpirender.engines.base import Rendered, Scene, files_beside, folder_beside
from mpirender.engines.blender import inspect, numbered_files, scene_facts, sequences
from mpirender.engines.blender.animation import Animation, opengl_renderer
from mpirender.engines.blender.devices import EGL, KINDS, devices, has_egl
from mpirender.engines.blender.file_outputs import FileOutputs
from mpirender.engines.blender.sequences import BPY
from mpirender.engines.supersample import enlarged, reduced
from mpirender.errors import ToolMissing, UsageError, one_line
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = {"png": "PNG", "jpg": "JPEG", "tiff": "TIFF"}
TIFF_CODECS = {"None": "NONE", "PackBits": "PACKBITS", "Deflate": "DEFLATE"}
DEEPEST_ZLIB = 9
SMALL_SIDE = 160  # pixels of the longer side
SKETCHES = ("GPENCIL", "GREASEPENCIL")  # drawn by OpenGL with every engine
_open: dict[tuple[Path, bool], BPY] = {}  # the file that this process has open
_errors: list[str] = []  # reported since the last call of _take_errors


def open_scene_file(job: RenderJob, *, afresh: bool = False) -> BPY:
    """Return the module bpy with the file of a job open; open it if it is not, or ``afresh``.

    :raises UsageError: Blender cannot open it.
    :raises ToolMissing: bpy cannot be imported.
    """
    key = (job.scene, job.allow_scripts)
    if key not in _open or afresh:
        _open.clear()
        sys.excepthook = _note_error  # called for errors in scripts, handlers and drivers of the file
        try:
            _open[key] = scene_facts.open_file(job.scene, scripts=job.allow_scripts)
        except ImportError as error:
            raise ToolMissing(
                f"bpy cannot be imported on {socket.gethostname()} ({one_line(str(error))}); run mpirender doctor there"
            ) from None
        except RuntimeError as error:
            raise UsageError(f"{job.scene.name}: Blender cannot open it ({one_line(str(error))})") from None
    return _open[key]


def _note_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.__excepthook__(kind, error, trace)  # to the log
    _errors.append(f"{kind.__name__}: {one_line(str(error))}")


def _take_errors() -> list[str]:
    """Return the errors since the last call, each text once."""
    errors = list(dict.fromkeys(_errors))
    _errors.clear()
    return errors


def _activate(bpy: BPY, name: str) -> BPY:
    """Make a scene of the open file the active one, since Blender takes the frame from the active scene; return it."""
    scene = bpy.data.scenes[name]
    if bpy.context.window is not None:
        bpy.context.window.scene = scene
    if bpy.context.scene != scene:
        problem = "this Blender can only render the active scene; activate it and save the file"
        raise UsageError(f"--scene {name!r}: {problem}")
    return scene


class BlenderScene(Scene):
    """The scene of an open file."""

    open_ended = True

    def __init__(self, bpy: BPY, job: RenderJob, local_rank: int) -> None:
        """Apply the options of the job; local_rank is the rank of this process among those on its node."""
        self._bpy, self._job = bpy, job
        self._scene = _activate(bpy, job.scene_name) if job.scene_name else bpy.context.scene
        about = scene_facts.of_scene(bpy, self._scene)
        self._unrun = {"", bpy.app.autoexec_fail_message}  # scripts that are already reported not to run
        self.frames = range(about["first"], about["last"] + 1, about["step"])
        self.version = str(bpy.app.version_string)
        # First frame of unbaked physics, which is the next one to compute.
        starts = [start for _, start in about["unbaked"]]
        self._next = min([about["first"], *starts]) if starts else None
        render = self._scene.render
        self._resolution, self._size = resolution_of(render), tuple(about["size"])
        self._region = about["region"]
        self._apply_options()
        self._animation = Animation(bpy, self._scene)
        self._outputs = FileOutputs(self._scene)
        self._writes_beside = bool(self._outputs) or job.allow_scripts
        self._plain = self._format()
        self._refuse_supersampling()
        self.renderer = self._renderer(local_rank)
        self.description = f"Blender {self.version}, {inspect.TITLES[inspect.engine_of(about, job)]}, {self.renderer}"
        self.errors = _take_errors()
        own = Path(bpy.app.tempdir)  # the folder for all programs if Blender could not make its own
        self.temporary = own if own.name.startswith("blender_") else None

    def render(self, frame: int, output: Output, path: Path) -> Rendered:
        """Render a frame as Blender's animation would; Blender encodes all images except 8-bit png."""
        beside = folder_beside(path)
        if self._writes_beside:
            beside.mkdir(exist_ok=True)
            self._outputs.write_to(beside)
        content = self._render(frame, output, beside if self._writes_beside else None)
        errors = _take_errors()
        if content is None:
            return Rendered(errors)
        picture = decoded(content)
        large = enlarged(output, self._job.supersample)
        if picture.shape[:2] != (large.height, large.width):
            raise ValueError(f"Blender rendered {picture.shape[1]}x{picture.shape[0]} pixels instead of {large}")
        picture = reduced(picture, self._job.supersample)
        if not self._plain:
            path.write_bytes(content)
        written = files_beside(path)
        if self._writes_beside and not written:
            shutil.rmtree(beside, ignore_errors=True)
        return Rendered(errors, picture if self._plain else None, beside=written)

    def small(self, output: Output) -> Output:
        """Return an output of a small size, for frames that are rendered for the sake of their order."""
        width, height = self._size if self._region else (output.width, output.height)
        scale = 1.0 if self._region else min(SMALL_SIDE / max(width, height), 1.0)
        return dataclasses.replace(output, width=max(round(width * scale), 1), height=max(round(height * scale), 1))

    def hurry(self) -> None:
        """Take one sample from now on."""
        if self._scene.render.engine != inspect.ENGINES["workbench"][0]:
            self._choose_samples(1)

    def animate(self, frames: Sequence[int], output: Output, path: Path) -> Rendered:
        """Render frames as Blender itself does, all at once; return the last one."""
        folder = folder_beside(path)
        folder.mkdir()
        self._outputs.write_to(folder)
        self._set_size(output)
        content = self._animation.render_all(frames, folder)
        return Rendered(_take_errors(), reduced(decoded(content), self._job.supersample))

    def play(self, frame: int, output: Output) -> None:
        """Render a frame at small size, so that handlers see it, and drop it."""
        with tempfile.TemporaryDirectory(prefix="played-", dir=self._bpy.app.tempdir) as folder:
            self.render(frame, self.small(output), Path(folder) / "picture")

    def take_warnings(self) -> list[str]:
        """Return the warnings since the last call, each text once."""
        unrun = "" if self._job.allow_scripts else self._bpy.app.autoexec_fail_message
        if unrun in self._unrun:
            return []
        self._unrun.add(unrun)
        return [f"a script of the file does not run ({unrun}); --allow-scripts runs it with your permissions"]

    def finish(self) -> None:
        """Let the handlers of the file know that the animation is complete."""
        self._animation.complete()

    def _refuse_supersampling(self) -> None:
        """Refuse what would not have the size that was asked for."""
        reasons = {
            "needs --image-format png, and 8 bits of depth in the file": not self._plain,
            "does not work with a cropped render region": self._region,
            "does not work with File Output nodes, whose files would be larger": bool(self._outputs),
        }
        wrong = [reason for reason, applies in reasons.items() if applies and self._job.supersample > 1]
        if wrong:
            raise UsageError([f"{self._job.scene.name}: --supersample {reason}; leave it out" for reason in wrong])

    def _apply_options(self) -> None:
        job, scene = self._job, self._scene
        scene.render.threads_mode = "FIXED"  # AUTO uses all cores, including those not available to this rank
        scene.render.threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0))
        if job.blender_engine:
            self._choose_engine(inspect.ENGINES[job.blender_engine])
        if job.camera:
            scene.camera = scene.objects[job.camera]
            for marker in scene.timeline_markers:  # they would change the camera
                marker.camera = None
        if job.view_layer:
            for layer in scene.view_layers:
                layer.use = layer.name == job.view_layer
        if job.samples:
            self._choose_samples(job.samples)
        if job.transparent_background:
            scene.render.film_transparent = True
        if not scene.render.use_stamp:  # then they are in the files only: path, date and time of rendering, host
            for name in dir(scene.render):
                if name.startswith("use_stamp_"):
                    setattr(scene.render, name, False)

    def _choose_engine(self, names: Sequence[str]) -> None:
        """Set the engine by the first identifier that this version knows."""
        for name in names:
            with contextlib.suppress(TypeError):
                self._scene.render.engine = name
                return
        asked = self._job.blender_engine
        raise UsageError(f"--blender-engine {asked} is not available in Blender {self.version}; use another one")

    def _choose_samples(self, count: int) -> None:
        scene = self._scene
        if scene.render.engine != inspect.ENGINES["cycles"][0]:
            scene.eevee.taa_render_samples = count
            return
        scene.cycles.samples = count
        for layer in scene.view_layers:
            layer.samples = 0  # use the number of the scene

    def _format(self) -> bool:
        """Set the image format; return whether it is 8-bit png, which mpirender writes itself.

        Depth and channels are those of the scene if it uses the same format.
        """
        job, settings = self._job, self._scene.render.image_settings
        requested = FORMATS[job.image_format]
        if settings.file_format != requested:
            if hasattr(settings, "media_type"):  # from 5.0 on
                settings.media_type = "IMAGE"
            settings.file_format = requested
            alpha = self._scene.render.film_transparent and requested != FORMATS["jpg"]
            settings.color_mode = "RGBA" if alpha else "RGB"
            if requested != FORMATS["jpg"]:
                settings.color_depth = "8"
        if job.transparent_background:
            settings.color_mode = "RGBA"
        if job.quality is not None:
            settings.quality = job.quality
        if job.compression is not None:
            settings.tiff_codec = TIFF_CODECS[job.compression]
        plain = requested == FORMATS["png"] and settings.color_depth == "8"
        settings.compression = 0 if plain else round(100 * job.compression_level / DEEPEST_ZLIB)
        return plain

    def _renderer(self, local_rank: int) -> str:
        """Choose the device; return its name."""
        cycles = self._scene.render.engine == inspect.ENGINES["cycles"][0]
        by_opengl = not cycles or any(thing.type in SKETCHES for thing in self._scene.objects)
        if by_opengl and not has_egl():  # Blender would end the process
            raise ToolMissing(
                f"{EGL}, which this scene needs, is not found on {socket.gethostname()}; "
                "Debian, Ubuntu: apt-get install libegl1 libgl1-mesa-dri"
            )
        if cycles:
            return self._device(local_rank)
        return opengl_renderer(self._bpy)

    def _device(self, local_rank: int) -> str:
        """Choose the device of Cycles; return its name. Blender would silently use the CPU if a GPU is missing."""
        requested, cycles, host = self._job.device, self._scene.cycles, socket.gethostname()
        wanted = requested not in (None, "cpu") or (requested is None and cycles.device == "GPU")
        kinds = KINDS if requested in (None, "gpu") else (str(requested).upper(),)
        for kind in kinds if wanted else ():
            if gpus := list(devices(self._bpy, kind)):
                chosen = gpus[local_rank % len(gpus)]
                preferences = self._bpy.context.preferences.addons["cycles"].preferences
                for device in preferences.devices:
                    device.use = device == chosen
                cycles.device = "GPU"
                if preferences.has_active_device():
                    return f"{chosen.name} ({kind})"
        if wanted and requested is not None:
            raise ToolMissing(
                f"--device {requested}: Cycles finds no such GPU on {host}; mpirender doctor lists its GPUs; use "
                "--device cpu to render without"
            )
        if wanted:
            self.warnings = [f"the scene is set to a GPU, but Cycles finds none on {host}; the CPU renders instead"]
        cycles.device = "CPU"
        return "CPU"

    def _render(self, frame: int, output: Output, folder: Path | None) -> bytes | None:
        """Render a frame; return the file, or None if Blender reported an error.

        :param folder: where handlers may write other files.
        """
        if self._next is not None:
            self._play(frame)
        self._set_size(output)
        try:
            return self._animation.render(frame, self._note_gaps, folder)
        except RuntimeError as error:
            _errors.append(str(error))
            return None

    def _set_size(self, output: Output) -> None:
        render, asked = self._scene.render, (output.width, output.height)
        # Line widths, for example, depend on the percentage, so the resolution of the file stays as it is.
        sides = self._resolution if asked == self._size else (*asked, 100)
        if (factor := self._job.supersample) > 1:
            share = sides[2] * factor
            exact = all(side * share // 100 == wanted * factor for side, wanted in zip(sides, asked))
            sides = (*sides[:2], share) if exact else (*asked, 100 * factor)
        render.resolution_x, render.resolution_y, render.resolution_percentage = sides

    def _play(self, frame: int) -> None:
        """Go to a frame through all frames before it, since physics are not baked."""
        assert self._next is not None
        for before in range(self._next, frame):
            self._scene.frame_set(before)
        self._next = max(frame + 1, self._next)
        self._scene.frame_set(frame)

    def _note_gaps(self, scene: BPY, graph: BPY) -> None:
        """Report the files that the frame needs, as Blender has just computed it, and that are missing."""
        reader = sequences.Reader(self._bpy, scene, graph)
        for gap in numbered_files.gaps(reader.sequences(), [scene.frame_current], numbered_files.Existing()):
            _errors.append(f"{gap.what}: missing or empty: {gap.first}")


def resolution_of(render: BPY) -> tuple[int, int, int]:
    """Return the resolution of a scene, and the percentage of it that is rendered."""
    return render.resolution_x, render.resolution_y, render.resolution_percentage


def decoded(content: bytes) -> NDArray[np.uint8]:
    """Return the pixels of an image, shape (height, width, channels)."""
    import imageio.v3 as iio

    try:
        picture: NDArray[np.uint8] = iio.imread(content, plugin="pillow")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"Blender wrote an incomplete image ({one_line(str(error))})") from None
    return picture if picture.ndim > 2 else picture[..., None]
