"""A Blender file for another machine: its paths start from its own folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from images import pixels
from mpirender.engines.blender import engine
from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from processes import Run

pytestmark = pytest.mark.slow
MAKE = """
import bpy, sys
folder = sys.argv[-1]
bpy.ops.wm.read_factory_settings(use_empty=True)
image = bpy.data.images.load(f"{folder}/textures/wood.png")
bpy.ops.mesh.primitive_plane_add(size=4)
plane = bpy.context.object
material = bpy.data.materials.new("wood")
material.use_nodes = True
node = material.node_tree.nodes.new("ShaderNodeTexImage")
node.image = image
emission = material.node_tree.nodes.new("ShaderNodeEmission")
material.node_tree.links.new(node.outputs[0], emission.inputs[0])
material.node_tree.links.new(emission.outputs[0], material.node_tree.nodes["Material Output"].inputs[0])
plane.data.materials.append(material)
bpy.ops.object.camera_add(location=(0, 0, 6))
scene = bpy.context.scene
scene.camera = bpy.context.object
scene.frame_start, scene.frame_end = 1, 2
scene.render.engine, scene.cycles.samples = "CYCLES", 4
scene.render.resolution_x, scene.render.resolution_y = 64, 64
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/shot.blend", relative_remap=False)
bpy.ops.wm.read_factory_settings(use_empty=True)
with bpy.data.libraries.load(f"{folder}/shot.blend", link=True) as (there, here):
    here.objects = there.objects
for thing in here.objects:
    bpy.context.collection.objects.link(thing)
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/linking.blend", relative_remap=True)
"""


@pytest.fixture
def folder(need_bpy: None, blends: object, tmp_path: Path) -> Path:
    """Make shot.blend with an absolute path to a texture, and linking.blend, which links it."""
    place = tmp_path / "work"
    (place / "textures").mkdir(parents=True)
    make = "import numpy, imageio; imageio.imwrite('wood.png', numpy.tile(numpy.uint8([200, 90, 30]), (8, 8, 1)))"
    subprocess.run([sys.executable, "-c", make], cwd=place / "textures", check=True)
    done = subprocess.run([sys.executable, "-c", MAKE, place], capture_output=True, text=True, check=False)
    assert (place / "linking.blend").exists(), done.stdout + done.stderr
    return place


def test_absolute_paths_become_relative_and_the_picture_stays(folder: Path, run: Run, tmp_path: Path) -> None:
    job = RenderJob(str(folder / "shot.blend"))
    moved = engine.moved(job.scene.read_bytes(), job, "/shared/job")
    assert moved != job.scene.read_bytes()
    there = tmp_path / "there"
    shutil.copytree(folder, there)
    (there / "shot.blend").write_bytes(moved)
    assert run("render", folder / "shot.blend", "--frames", 1, "--output", "here").returncode == 0
    shutil.rmtree(folder / "textures")
    done = run("render", there / "shot.blend", "--frames", 1, "--output", "moved")
    assert done.returncode == 0, done.stderr
    (before,), (after,) = (list((tmp_path / name).glob("*/*.png")) for name in ("here", "moved"))
    assert np.array_equal(pixels(before), pixels(after))
    again = RenderJob(str(there / "shot.blend"))
    assert engine.moved(moved, again, "/shared/job") == moved


def test_absolute_paths_of_a_linked_file_are_named(folder: Path) -> None:
    job = RenderJob(str(folder / "linking.blend"))
    with pytest.raises(UsageError, match=rf"linked files have absolute paths.*{folder}/textures/wood.png; make them"):
        engine.moved(job.scene.read_bytes(), job, "/shared/job")
