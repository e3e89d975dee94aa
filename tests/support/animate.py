"""Render a Blender file with Blender's own animation operator: animate.py FILE FOLDER WIDTH HEIGHT OPTIONS

OPTIONS is a JSON object of scene properties by their paths (``render.film_transparent``). Its other keys: ``scene``,
``scripts`` (allow scripts in the file), and ``played`` (step through the frames as the timeline does, and render each).
"""

from __future__ import annotations

import json
import os
import sys

import bpy

file, folder, width, height, text = sys.argv[1:]
options = json.loads(text)
bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=bool(options.pop("scripts", False)))
scene = bpy.data.scenes[options.pop("scene", bpy.context.scene.name)]
played = options.pop("played", False)
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = int(width), int(height), 100
for path, value in options.items():
    owners, _, name = path.rpartition(".")
    owner = scene.path_resolve(owners) if owners else scene
    setattr(owner, name, bpy.data.objects[value] if name == "camera" else value)
scene.render.filepath = f"{folder}/"
if played:
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        scene.render.filepath = f"{folder}/{frame:04d}.png"
        bpy.ops.render.render(write_still=True, scene=scene.name)
else:
    bpy.ops.render.render(animation=True, scene=scene.name)
sys.stdout.flush()
os._exit(0)
