"""Make the Blender file shown on the documentation page on Blender: a wave runs through a field of beads.

python launch/blender_scene.py waves.blend        in a Python that has bpy
"""

from __future__ import annotations

import colorsys
import math
import sys
from pathlib import Path

import bpy

SIDE = 19  # beads along each side of the field
FRAMES = 72  # one period of the wave, so that the movie loops
SPREAD = 0.62  # between neighboring beads
HEIGHT = 0.95  # of the wave


def height(across: int, along: int, phase: float) -> float:
    """Return the height of a bead: the sum of two circular waves."""
    x, y = (place - (SIDE - 1) / 2 for place in (across, along))
    near, far = math.hypot(x + 5, y + 3), math.hypot(x - 6, y - 4)
    return HEIGHT * (math.sin(0.75 * near - phase) + math.sin(0.9 * far - phase)) / 2


def material(name: str, hue: float) -> bpy.types.Material:
    """Return a material like colored glaze."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colorsys.hsv_to_rgb(hue, 0.85, 0.75), 1)
    shader.inputs["Roughness"].default_value = 0.22
    return made


def beads() -> None:
    """Make the field of beads, with a key frame of each bead's height every four frames."""
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.27, segments=32, ring_count=16)
    bpy.ops.object.shade_smooth()
    first = bpy.context.object
    for across in range(SIDE):
        for along in range(SIDE):
            bead = first if across == along == 0 else bpy.data.objects.new("bead", first.data)
            if bead is not first:
                bpy.context.collection.objects.link(bead)
            x, y = (SPREAD * (place - (SIDE - 1) / 2) for place in (across, along))
            for frame in range(1, FRAMES + 2, 4):
                bead.location = (x, y, height(across, along, math.tau * (frame - 1) / FRAMES))
                bead.keyframe_insert("location", frame=frame)
            if not first.data.materials:
                first.data.materials.append(None)
            bead.material_slots[0].link = "OBJECT"
            bead.material_slots[0].material = MATERIALS[(across + along) * (len(MATERIALS) - 1) // (2 * SIDE - 2)]


def surroundings(scene: bpy.types.Scene) -> None:
    """Add floor, lights and a camera that turns a little around the field."""
    bpy.ops.mesh.primitive_plane_add(size=80, location=(0, 0, -1.3))
    floor = bpy.data.materials.new("floor")
    floor.use_nodes = True
    floor.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.03, 0.035, 0.05, 1)
    bpy.context.object.data.materials.append(floor)
    for place, power, size in (((-6, -7, 9), 1300, 4), ((8, 3, 6), 500, 6)):
        bpy.ops.object.light_add(type="AREA", location=place)
        light = bpy.context.object
        light.data.energy, light.data.size = power, size
        light.rotation_euler = (-light.location).to_track_quat("-Z", "Y").to_euler()
    bpy.ops.object.empty_add(location=(0, 0, -0.5))
    target = bpy.context.object
    bpy.ops.object.camera_add()
    scene.camera = bpy.context.object
    follow = scene.camera.constraints.new("TRACK_TO")
    follow.target = target
    for frame, turn in ((1, -0.95), (FRAMES + 1, -0.6)):
        scene.camera.location = (16.5 * math.cos(turn), 16.5 * math.sin(turn), 9)
        scene.camera.keyframe_insert("location", frame=frame)


def main() -> None:
    """Create and save the scene."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.fps = 24
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 1280, 720, 100
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 32, True
    scene.world = bpy.data.worlds.new("sky")
    scene.world.color = (0.02, 0.02, 0.03)
    beads()
    surroundings(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(sys.argv[-1]).absolute()))


bpy.ops.wm.read_factory_settings(use_empty=True)
MATERIALS = [material(f"glaze{step}", 0.55 + 0.48 * step / 11) for step in range(12)]
main()
