"""Create the Blender files of the tests; needs bpy: make_blends.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[-1])
FRAMES = (3, 8)  # the first and the last
REGISTERED = """
import bpy
def {name}(scene, *_):
    {does}
bpy.app.handlers.frame_change_post.append({name})
"""

COUNTER = """
calls = []
bpy.app.driver_namespace["count"] = lambda: calls.append(1) or len(calls) / 8
"""
HOOKS = """
import bpy, os
def note(what):
    with open(f"{os.environ['HOOKS']}-{os.getpid()}", "a") as log:
        print(what, file=log)
def see(event):
    def handler(scene, graph=None):
        path = scene.render.frame_path(frame=scene.frame_current)
        seen = [scene.frame_start, scene.frame_end, os.path.exists(path), "/fd/" in path]
        note(f"{event} {scene.frame_current} {seen if event == 'render_write' else []}")
    return handler
for event in ("render_init", "render_pre", "frame_change_post", "render_post", "render_write", "render_complete"):
    getattr(bpy.app.handlers, event).append(see(event))
"""


def begin(engine: str = "BLENDER_WORKBENCH", frames: tuple[int, int] = FRAMES) -> bpy.types.Scene:
    """Start a scene with a moving ball on a floor, and a moving camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = frames
    scene.render.fps, scene.render.fps_base = 24, 1.001
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 320, 180, 50
    scene.render.engine = engine
    scene.render.image_settings.color_mode = "RGB"
    bpy.ops.mesh.primitive_plane_add(size=12)
    bpy.ops.mesh.primitive_uv_sphere_add(location=(-2, 0, 1))
    move(bpy.context.object, frames, (-2, 0, 1), (2, 0, 1))
    bpy.ops.object.light_add(type="SUN", location=(3, 3, 5), rotation=(0.6, 0.3, 0))
    bpy.context.object.data.energy = 3
    camera(scene, "Camera", (6, -6, 4), 0.785)
    move(scene.camera, frames, (6, -6, 4), (7, -5, 4))
    return scene


def move(thing: bpy.types.Object, frames: tuple[int, int], start: tuple, end: tuple) -> None:
    for frame, place in zip(frames, (start, end)):
        thing.location = place
        thing.keyframe_insert("location", frame=frame)


def camera(scene: bpy.types.Scene, name: str, place: tuple, turn: float) -> bpy.types.Object:
    bpy.ops.object.camera_add(location=place, rotation=(1.1, 0, turn))
    bpy.context.object.name = name
    if scene.camera is None:
        scene.camera = bpy.context.object
    return bpy.context.object


def save(name: str) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / f"{name}.blend"), relative_remap=False)


def script(name: str, does: str) -> None:
    """Add a script that runs when the file is opened."""
    text = bpy.data.texts.new(f"{name}.py")
    text.write(REGISTERED.format(name=name, does=does))
    text.use_module = True


def shot() -> None:
    """A Cycles scene with light and shadow; a marker switches to a second camera."""
    scene = begin("CYCLES")
    scene.cycles.samples, scene.cycles.device = 4, "CPU"
    other = camera(scene, "Side", (0, -8, 3), 0)
    for frame, thing in ((3, scene.camera), (7, other)):
        scene.timeline_markers.new(f"m{frame}", frame=frame).camera = thing
    save("shot")


def quick() -> None:
    """A fast scene with twelve frames: the frame step is 2."""
    scene = begin(frames=(1, 23))
    scene.frame_step = 2
    camera(scene, "Side", (0, -8, 3), 0)
    other = bpy.data.scenes.new("Other")
    other.render.engine = "BLENDER_WORKBENCH"
    other.frame_start, other.frame_end = 5, 6
    other.render.image_settings.color_mode = "RGB"
    other.camera = bpy.data.objects["Side"]
    for thing in ("Side", "Plane"):
        other.collection.objects.link(bpy.data.objects[thing])
    balls = bpy.data.collections.new("Balls")
    balls.objects.link(bpy.data.objects["Sphere"])
    other.collection.children.link(balls)
    other.view_layers.new("Second").layer_collection.children["Balls"].exclude = True
    save("quick")


def long() -> None:
    """A movie long enough to be interrupted."""
    begin(frames=(1, 20))
    save("long")


def deep() -> None:
    """Images with 16 bits per channel and transparency."""
    scene = begin(frames=(1, 2))
    scene.render.film_transparent = True
    scene.render.image_settings.color_mode, scene.render.image_settings.color_depth = "RGBA", "16"
    save("deep")


def grey() -> None:
    """Black and white images of a cropped region."""
    scene = begin(frames=(1, 2))
    render = scene.render
    render.image_settings.color_mode = "BW"
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.1, 0.63, 0.2, 0.9
    save("grey")


def falling() -> None:
    """A cube that falls, with physics that is not baked."""
    scene = begin(frames=(1, 12))
    bpy.ops.rigidbody.world_add()
    bpy.ops.mesh.primitive_cube_add(size=1, location=(1, 0, 2.5), rotation=(0.3, 0.4, 0.1))
    bpy.ops.rigidbody.object_add(type="ACTIVE")
    assert not scene.rigidbody_world.point_cache.is_baked
    save("falling")


def lost() -> None:
    """Missing files: an image in use, an unused image, a sound, a library and a cache."""
    begin(frames=(1, 2))
    material = bpy.data.materials.new("wood")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    bpy.data.objects["Plane"].data.materials.append(material)
    for name in ("wood", "unused"):
        image = bpy.data.images.new(name, 4, 4)
        image.source, image.filepath = "FILE", f"//textures/{name}.png"
        image.use_fake_user = name == "unused"
        node.image = image if name == "wood" else node.image
    scene = bpy.context.scene
    scene.sequence_editor_create().strips.new_sound("music", str(FOLDER / "none.wav"), 1, 1)
    scene.render.use_sequencer = False
    bpy.ops.mesh.primitive_cube_add()
    modifier = bpy.context.object.modifiers.new("cache", "MESH_SEQUENCE_CACHE")
    bpy.ops.cachefile.open(filepath=str(FOLDER / "sim.abc"))
    modifier.cache_file = bpy.data.cache_files[0]
    with bpy.data.libraries.load(str(FOLDER / "library.blend"), link=True) as (there, here):
        here.objects = there.objects[:1]
    scene.collection.objects.link(here.objects[0])
    bpy.data.libraries[0].filepath = "//library.blend"
    save("gone")


def library() -> None:
    begin()
    save("library")


def scripted() -> None:
    """Files with scripts: one fails at a frame, one fails on opening, one kills its process, one moves the ball."""
    begin(frames=(1, 4))
    script("fails", "1 / (scene.frame_current - 3)")
    save("fails")
    begin(frames=(1, 4))
    script("broken", "pass\n1 / 0")
    save("broken")
    for name, does in (
        ("kills", "import os; scene.frame_current == 3 and os.kill(os.getpid(), 9)"),
        ("moves", "bpy.data.objects['Sphere'].location.z += 3"),
        ("adds", "bpy.data.objects['Plane'].location.z += 0.3"),
        ("clock", "import time; bpy.data.objects['Plane'].location.z = time.time() % 3"),
        ("counts", "bpy.data.objects['Plane'].location.z += 0"),
    ):
        begin(frames=(1, 4))
        script(name, does)
        if name == "counts":  # each time that Blender evaluates the driver
            bpy.data.texts[0].write(COUNTER)
            bpy.data.objects["Plane"].driver_add("location", 2).driver.expression = "count()"
        save(name)


def passes() -> None:
    """A compositor that writes passes: as separate files, in a group, and as layers of one file."""
    scene = begin("CYCLES", frames=(1, 4))
    scene.cycles.samples, scene.use_nodes, scene.view_layers[0].use_pass_z = 1, True, True
    tree = scene.node_tree
    tree.nodes.clear()
    layers, shown = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("CompositorNodeComposite")
    tree.links.new(layers.outputs["Image"], shown.inputs[0])
    group = bpy.data.node_groups.new("written", "CompositorNodeTree")
    group.interface.new_socket("Depth", in_out="INPUT", socket_type="NodeSocketFloat")
    inside = group.nodes.new("CompositorNodeOutputFile")
    inside.base_path = "//passes/data"
    inside.file_slots.clear()
    inside.file_slots.new("depth")
    inside.format.file_format = "OPEN_EXR"
    group.links.new(group.nodes.new("NodeGroupInput").outputs[0], inside.inputs[0])
    instance = tree.nodes.new("CompositorNodeGroup")
    instance.node_tree = group
    tree.links.new(layers.outputs["Depth"], instance.inputs[0])
    for path, kind in (("//passes/", "PNG"), ("//passes/all_", "OPEN_EXR_MULTILAYER")):
        node = tree.nodes.new("CompositorNodeOutputFile")
        node.format.file_format, node.base_path = kind, path
        tree.links.new(layers.outputs["Image"], node.inputs[0])
    save("passes")


def hooks() -> None:
    """A file whose handlers write down what they see; the path of the image must exist when it is written."""
    begin(frames=(1, 4))
    text = bpy.data.texts.new("hooks.py")
    text.write(HOOKS)
    text.use_module = True
    save("hooks")


def lines() -> None:
    """Line art, whose width depends on the percentage of the resolution, which is 50."""
    scene = begin("CYCLES", frames=(1, 2))
    scene.cycles.samples = 1
    scene.render.use_freestyle = scene.view_layers[0].use_freestyle = True
    scene.render.line_thickness = 6
    sets = scene.view_layers[0].freestyle_settings.linesets
    for each in list(sets):
        sets.remove(each)
    sets.new("lines")
    save("lines")


def foreign() -> None:
    """Two scenes of an engine that an add-on has registered; the second is rendered by Blender, but shows the first."""

    class Foreign(bpy.types.RenderEngine):
        bl_idname, bl_label = "FOREIGN", "Foreign"

    scene = begin()
    bpy.utils.register_class(Foreign)
    scene.render.engine = "FOREIGN"
    other = bpy.data.scenes.new("Edit")
    other.sequence_editor_create().strips.new_scene("shot", scene, 1, 1)
    save("foreign")
    bpy.utils.unregister_class(Foreign)


def eyeless() -> None:
    """A scene without an active camera."""
    scene = begin(frames=(1, 2))
    scene.camera = None
    save("eyeless")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    library()
    for make in (shot, quick, long, deep, grey, falling, lost, scripted, passes, hooks, lines, foreign, eyeless):
        make()


main()
