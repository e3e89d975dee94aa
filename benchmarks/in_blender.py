"""Actions of the comparison in Blender's Python: ``-m benchmarks.in_blender ACTION ARGUMENT…``.

They follow the usual scripts for such renders. Sizes are given as ``NAME=WxH``; OMP_NUM_THREADS, if set, limits the
threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from mpirender.job.outputs import Size


def one_frame(file: str, frame: str, folder: str, *sizes: str) -> None:
    """Render one frame at every size, like one task of a job array."""
    scene = opened(file)
    scene.frame_set(int(frame))
    for size in map(Size.parse, sizes):
        resize(scene.render, size)
        scene.render.filepath = str(Path(folder, size.name, f"frame_{int(frame):06d}.png"))
        bpy.ops.render.render(write_still=True)


def save_animation(file: str, first: str, last: str, folder: str, *sizes: str) -> None:
    """Render frames with Blender's own animation, once per size."""
    scene = opened(file)
    scene.frame_start, scene.frame_end, scene.frame_step = int(first), int(last), 1
    for size in map(Size.parse, sizes):
        resize(scene.render, size)
        scene.render.filepath = str(Path(folder, size.name, "frame_######"))
        bpy.ops.render.render(animation=True)


def opened(file: str) -> Any:  # noqa: ANN401 - Blender's modules have no types
    """Open a file and return its scene, set to write PNG with the file's color depth and channels."""
    bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=False)
    scene = bpy.context.scene
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    scene.render.threads_mode = "FIXED" if threads else "AUTO"
    if threads:
        scene.render.threads = threads
    settings = scene.render.image_settings
    if settings.file_format != "PNG":  # as mpirender does, so that the images are comparable
        settings.file_format = "PNG"
        settings.color_mode, settings.color_depth = "RGBA" if scene.render.film_transparent else "RGB", "8"
    return scene


def resize(render: Any, size: Size) -> None:  # noqa: ANN401
    """Set the resolution of the image, unless the file crops it to a render region."""
    if not (render.use_border and render.use_crop_to_border):
        render.resolution_x, render.resolution_y, render.resolution_percentage = size.width, size.height, 100


ACTIONS: dict[str, Callable[..., None]] = {"one-frame": one_frame, "save-animation": save_animation}

if __name__ == "__main__":
    ACTIONS[sys.argv[1]](*sys.argv[2:])
    sys.stdout.flush()
    os._exit(0)  # skip Blender's clean-up, which hangs if a script left a handler
