"""Create a benchmark scene in Blender's Python: ``-m benchmarks.make_blends NAME FILE FRAMES``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import bpy

SAMPLES = 8
SIDE = 3  # balls per row
START, END = (7.0, -7.0, 4.0), (-7.0, -7.0, 4.0)  # of the camera path


def balls(last: int) -> None:
    """Build glossy balls on a floor, and a camera that passes by and stays aimed at them."""
    floor = material("floor", (0.6, 0.6, 0.6, 1), roughness=0.9)
    bpy.ops.mesh.primitive_plane_add(size=40)
    bpy.context.object.data.materials.append(floor)
    for place in range(SIDE * SIDE):
        row, column = divmod(place, SIDE)
        bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, location=(2.5 * row - 2.5, 2.5 * column, 1))
        bpy.ops.object.shade_smooth()
        colour = (0.1 + 0.4 * row, 0.3, 0.9 - 0.4 * column, 1)
        bpy.context.object.data.materials.append(material(f"ball {place}", colour, roughness=0.1 * column))
    bpy.ops.object.light_add(type="SUN", rotation=(0.6, 0.3, 0))
    bpy.context.object.data.energy = 3
    pass_by(last)


def material(name: str, colour: tuple[float, ...], *, roughness: float) -> Any:  # noqa: ANN401 - bpy has no types
    """Return a new material."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"].inputs
    shader["Base Color"].default_value, shader["Roughness"].default_value = colour, roughness
    return made


def pass_by(last: int) -> None:
    """Add a camera that moves from frame 0 to the last frame."""
    bpy.ops.object.empty_add(location=(0, 2.5, 0.5))
    middle = bpy.context.object
    bpy.ops.object.camera_add()
    camera = bpy.context.scene.camera = bpy.context.object
    towards = camera.constraints.new("TRACK_TO")
    towards.target, towards.track_axis, towards.up_axis = middle, "TRACK_NEGATIVE_Z", "UP_Y"
    for frame, place in ((0, START), (max(last, 1), END)):
        camera.location = place
        camera.keyframe_insert("location", frame=frame)


MAKERS: dict[str, Callable[[int], None]] = {"balls": balls}


def make(name: str, file: str, frames: str) -> None:
    """Save a scene with the given number of frames, counted from 0."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 0, int(frames) - 1
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = SAMPLES, False, "CPU"
    scene.world = bpy.data.worlds.new("sky")
    scene.render.image_settings.color_mode = "RGB"
    MAKERS[name](scene.frame_end)
    bpy.ops.wm.save_as_mainfile(filepath=file)


if __name__ == "__main__":
    make(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)
