"""Create Blender files that lack numbered files of sequences, and their folders; needs bpy: make_gaps.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

FOLDER = Path(sys.argv[-1])
PARTS = FOLDER / "parts"
FRAMES = range(1, 5)
GONE = 3  # the frame whose file is missing


def begin() -> bpy.types.Scene:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.resolution_x, scene.render.resolution_y = 32, 16
    scene.render.image_settings.color_mode = "RGB"
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    scene.world = bpy.data.worlds.new("white")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (1, 1, 1, 1)
    bpy.ops.object.camera_add(location=(0, 0, 3))
    scene.camera = bpy.context.object
    return scene


def picture(path: Path, shade: float) -> None:
    path.parent.mkdir(exist_ok=True)
    image = bpy.data.images.new("made", 8, 8)
    image.pixels = [shade, 1 - shade, 0.5, 1] * 64
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def numbered_files() -> None:
    """The files of all sequences; the last line removes one of each."""
    for frame in FRAMES:
        picture(PARTS / f"wall_{frame:04}.png", frame / 4)
        picture(PARTS / f"cut_{frame:04}.png", frame / 4)
        picture(PARTS / f"leaf_{frame:04}.png", frame / 4)
        picture(PARTS / f"floor.{1000 + frame}.png", frame / 4)
        for name in (f"smoke_{frame:04}.vdb", f"sim_{frame:04}.abc"):
            (PARTS / name).write_text("no real one")
    for name in ("wall_{}.png", "cut_{}.png", "leaf_{}.png", "smoke_{}.vdb", "sim_{}.abc"):
        (PARTS / name.format("0003")).unlink()
    (PARTS / "floor.1003.png").write_text("")


def textured(name: str, first: Path, source: str) -> bpy.types.Node:
    """Add a plane whose material shows an image; return the node of the image."""
    bpy.ops.mesh.primitive_plane_add(size=4)
    plane, material = bpy.context.object, bpy.data.materials.new(name)
    plane.name, material.use_nodes = name, True
    nodes = material.node_tree.nodes
    node = nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(first))
    node.image.source, node.image.name, node.image.filepath = source, name, f"//{first.name}"
    node.image_user.frame_duration = len(FRAMES)
    material.node_tree.links.new(node.outputs[0], nodes["Principled BSDF"].inputs["Base Color"])
    plane.data.materials.append(material)
    return node


def save(path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(path), relative_remap=False)


def scattered() -> None:
    """A plane whose Geometry Nodes read the image of the time."""
    bpy.ops.mesh.primitive_plane_add()
    group = bpy.data.node_groups.new("scatter", "GeometryNodeTree")
    for direction in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    given, made = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    image, clock = group.nodes.new("GeometryNodeImageTexture"), group.nodes.new("GeometryNodeInputSceneTime")
    stored, reroute = group.nodes.new("GeometryNodeStoreNamedAttribute"), group.nodes.new("NodeReroute")
    stored.data_type = "FLOAT_COLOR"
    shown = bpy.data.images.load(str(PARTS / "leaf_0001.png"))
    shown.source, shown.name, shown.filepath = "SEQUENCE", "leaf", "//leaf_0001.png"
    image.inputs["Image"].default_value = shown
    for start, end in (
        (given.outputs[0], stored.inputs["Geometry"]), (stored.outputs[0], made.inputs[0]),
        (clock.outputs["Frame"], reroute.inputs[0]), (image.outputs["Color"], stored.inputs["Value"]),
    ):  # fmt: skip
        group.links.new(start, end)
    group.links.new(reroute.outputs[0], image.inputs["Frame"])  # the sockets of a reroute are new when it is linked
    bpy.context.object.modifiers.new("scatter", "NODES").node_group = group


def bake_cloth() -> None:
    """A cloth that is baked to files."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=3, y_subdivisions=3)
    cloth = bpy.context.object
    cloth.name = "Flag"
    cache = cloth.modifiers.new("cloth", "CLOTH").point_cache
    cache.use_disk_cache, cache.frame_end = True, FRAMES[-1]
    with bpy.context.temp_override(point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
    next(PARTS.glob("blendcache_gaps/*_000003_*")).unlink()


def gaps() -> None:
    """All kinds of sequences, each without one of its files."""
    scene = begin()
    save(PARTS / "gaps.blend")
    textured("wall", PARTS / "wall_0001.png", "SEQUENCE")
    floor = textured("floor", PARTS / "floor.1001.png", "TILED").image
    floor.filepath = "//floor.<UDIM>.png"
    for tile in (1002, 1003, 1004):
        floor.tiles.new(tile)
    scattered()
    volume = bpy.data.volumes.new("smoke")
    volume.filepath, volume.is_sequence, volume.frame_duration = "//smoke_0001.vdb", True, len(FRAMES)
    scene.collection.objects.link(bpy.data.objects.new("smoke", volume))
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.cachefile.open(filepath=str(PARTS / "sim_0001.abc"))
    cache = bpy.data.cache_files[0]
    cache.name, cache.is_sequence, cache.filepath = "sim", True, "//sim_0001.abc"
    bpy.context.object.modifiers.new("cache", "MESH_SEQUENCE_CACHE").cache_file = cache
    bake_cloth()
    strips = scene.sequence_editor_create().strips
    strip = strips.new_image("cut", str(PARTS / "cut_0001.png"), 1, FRAMES[0])
    for frame in FRAMES[1:]:
        strip.elements.append(f"cut_{frame:04}.png")
    save(PARTS / "gaps.blend")


def linked() -> None:
    """A file in another folder that links an object with such a texture; no frame of it needs a strip."""
    scene = begin()
    with bpy.data.libraries.load(str(PARTS / "gaps.blend"), link=True) as (_, here):
        here.objects = ["wall"]
    scene.collection.objects.link(here.objects[0])
    bpy.data.libraries[0].filepath = "//parts/gaps.blend"
    save(FOLDER / "linked.blend")


def driven() -> None:
    """A texture whose frame only a driver knows: frame 2 shows image 3; and one that an animation chooses."""
    begin()
    node = textured("wall", PARTS / "wall_0001.png", "SEQUENCE")
    node.image_user.use_auto_refresh = True
    driver = node.id_data.driver_add('nodes["Image Texture"].image_user.frame_offset').driver
    driver.expression = "frame == 2"
    node.image_user.frame_duration = 2
    bpy.context.scene.frame_end = 2
    save(PARTS / "driven.blend")
    begin()
    node = textured("wall", PARTS / "wall_0001.png", "SEQUENCE")
    node.image_user.use_auto_refresh, node.image_user.use_cyclic, node.image_user.frame_duration = True, True, 1
    for frame, offset in zip(FRAMES, (0, 1, 3, 3)):
        node.image_user.frame_offset = offset
        node.image_user.keyframe_insert("frame_offset", frame=frame)
    save(PARTS / "keyed.blend")


def main() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    numbered_files()
    for make in (gaps, linked, driven):
        make()


main()
