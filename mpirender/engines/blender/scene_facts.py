"""Collects the facts about a Blender file that must be known before rendering. Runs inside Blender.

Blender itself does not report missing files, unbaked caches, or scripts that it does not run.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
BPY = Any  # modules and data of Blender have no annotations
# Largest denominator of fps_base, which is stored with 24 bits: 1.001 for the rates of television.
MAX_DENOMINATOR = 10_000
TILE = "<UDIM>"


def open_file(path: Path, *, scripts: bool) -> BPY:
    """Open a file with factory settings; return the module bpy.

    :raises RuntimeError: Blender cannot open it, with its message.
    """
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=scripts)
    return bpy


def facts_of(bpy: BPY) -> Facts:
    """Return the facts about the open file."""
    return {
        "app": list(bpy.app.version), "version": bpy.app.version_string, "saved": list(bpy.data.version),
        "active": bpy.context.scene.name,
        "scenes": {scene.name: of_scene(bpy, scene) for scene in bpy.data.scenes},
        "missing": list(missing(bpy)), "files": sorted(set(files(bpy))),
        "scripts": bpy.app.autoexec_fail_message if bpy.app.autoexec_fail else "",
    }  # fmt: skip


def of_scene(bpy: BPY, scene: BPY) -> Facts:
    """Return the facts about one of its scenes."""
    render = scene.render
    rate = Fraction(render.fps) / Fraction(render.fps_base).limit_denominator(MAX_DENOMINATOR)
    return {
        "first": scene.frame_start, "last": scene.frame_end, "step": scene.frame_step, "rate": str(rate),
        "size": list(size_of(render)), "region": bool(render.use_border and render.use_crop_to_border),
        "engine": render.engine, "camera": scene.camera.name if scene.camera else None,
        "cameras": [thing.name for thing in scene.objects if thing.type == "CAMERA"],
        "markers": sum(marker.camera is not None for marker in scene.timeline_markers),
        "layers": {layer.name: bool(layer.use) for layer in scene.view_layers},
        "strips": bool(render.use_sequencer and scene.sequence_editor and len(_strips(scene))),
        "eyes": bool(render.use_multiview and _differs_in_size(render.image_settings)),
        "file_outputs": list(file_outputs(scene)), "stamp": bool(render.use_stamp and _changes_by_itself(render)),
        "unbaked": [list(one) for one in unbaked(bpy, scene)],
    }  # fmt: skip


def size_of(render: BPY) -> tuple[int, int]:
    """Return width and height of the image, or of the cropped region."""
    percent = render.resolution_percentage
    width, height = render.resolution_x * percent // 100, render.resolution_y * percent // 100
    if not (render.use_border and render.use_crop_to_border):
        return width, height
    import numpy as np  # Blender also rounds to 24 bits before truncating

    def extent(low: float, high: float, side: int) -> int:
        return int(np.float32(high) * np.float32(side)) - int(np.float32(low) * np.float32(side))

    across = extent(render.border_min_x, render.border_max_x, width)
    return across, extent(render.border_min_y, render.border_max_y, height)


def _strips(scene: BPY) -> BPY:
    editor = scene.sequence_editor
    return editor.strips if hasattr(editor, "strips") else editor.sequences  # before 4.4


def _differs_in_size(settings: BPY) -> bool:
    """Return whether stereo images go to several files, or side by side to a larger one."""
    stereo = settings.stereo_3d_format
    beside = stereo.display_mode in ("SIDEBYSIDE", "TOPBOTTOM") and not stereo.use_squeezed_frame
    return settings.views_format != "STEREO_3D" or beside


def _changes_by_itself(render: BPY) -> bool:
    return any(getattr(render, f"use_stamp_{what}") for what in ("date", "render_time", "memory", "hostname"))


def file_outputs(scene: BPY) -> Iterator[str]:
    """Yield the names of compositor nodes that write files."""
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)  # the first from 5.0 on
    if scene.render.use_compositing and getattr(scene, "use_nodes", True) and tree is not None:
        yield from (node.name for node in tree.nodes if node.type == "OUTPUT_FILE" and not node.mute)


def files(bpy: BPY) -> Iterator[str]:
    """Yield the existing files that the scene reads, including all files of a sequence."""
    for path in read_paths(bpy):
        pattern = glob.escape(path).replace(TILE, "*")
        numbered = re.fullmatch(r"(.*?)(\d+)(\.\w+)", Path(path).name)
        if numbered:  # the first file of a sequence
            pattern = str(Path(glob.escape(str(Path(path).parent))) / f"{glob.escape(numbered[1])}[0-9]*{numbered[3]}")
        yield from (found for found in glob.glob(pattern) if Path(found).is_file())  # noqa: PTH207 - the folder is part of the pattern
    for folder in cache_folders(bpy):
        yield from (str(path) for path in Path(folder).rglob("*") if path.is_file())


def read_paths(bpy: BPY) -> list[str]:
    """Return the paths of the files that affect images: no sounds, no scripts, and nothing unused."""
    ignored = {_absolute(bpy, sound.filepath, sound) for sound in bpy.data.sounds}
    ignored |= {_absolute(bpy, text.filepath, text) for text in bpy.data.texts if text.filepath}
    for kind in (bpy.data.images, bpy.data.movieclips, bpy.data.volumes, bpy.data.fonts):
        ignored |= {_absolute(bpy, thing.filepath, thing) for thing in kind if thing.users <= int(thing.use_fake_user)}
    paths = bpy.utils.blend_paths(absolute=True, packed=False, local=False)
    return [path for path in dict.fromkeys(paths) if path and os.path.normpath(path) not in ignored]


def missing(bpy: BPY) -> Iterator[tuple[str, str]]:
    """Yield the missing files: what uses the file, and its path."""
    kinds = {
        "image": bpy.data.images, "library": bpy.data.libraries, "cache": bpy.data.cache_files,
        "volume": bpy.data.volumes, "movie clip": bpy.data.movieclips, "font": bpy.data.fonts,
    }  # fmt: skip
    used = [(f"{kind} {thing.name!r}", thing) for kind, things in kinds.items() for thing in things]
    names = {_absolute(bpy, thing.filepath, thing): name for name, thing in used}
    reported = {path: os.path.normpath(path) for path in read_paths(bpy) if not _exists(path)}
    yield from ((names.get(normal, "file"), path) for path, normal in reported.items())
    for library in bpy.data.libraries:  # an existing library that cannot be read
        path = _absolute(bpy, library.filepath, library)
        if getattr(library, "is_missing", False) and path not in reported.values():
            yield f"library {library.name!r}", path
    yield from (("cache", folder) for folder in cache_folders(bpy) if not Path(folder).is_dir())


def _exists(path: str) -> bool:
    if TILE in path:
        return bool(glob.glob(glob.escape(path).replace(TILE, "[0-9]*")))  # noqa: PTH207 - the folder is part of the pattern
    return Path(path).exists()


def _absolute(bpy: BPY, path: str, thing: BPY) -> str:
    # A library's own path is relative to the file that names it.
    parent = thing.parent if hasattr(thing, "parent") and hasattr(thing, "filepath") else None
    library = getattr(thing, "library", None) or (parent if type(thing).__name__ == "Library" else None)
    return os.path.normpath(str(bpy.path.abspath(path, library=library)))


def cache_folders(bpy: BPY) -> Iterator[str]:
    """Yield the folders of baked physics that are stored as files."""
    beside = str(Path(bpy.data.filepath).with_name(f"blendcache_{Path(bpy.data.filepath).stem}"))
    folders = set()
    for scene in bpy.data.scenes:
        for _, cache in point_caches(scene):
            if cache.is_baked and cache.use_disk_cache:
                folders.add(_absolute(bpy, cache.filepath, cache) if cache.use_external else beside)
        for thing, modifier in modifiers(scene, "FLUID"):
            domain = getattr(modifier, "domain_settings", None)
            if modifier.fluid_type == "DOMAIN" and domain and domain.has_cache_baked_any:
                folders.add(_absolute(bpy, domain.cache_directory, thing))
    yield from sorted(folders)


def modifiers(scene: BPY, *kinds: str) -> Iterator[tuple[BPY, BPY]]:
    """Yield the rendered modifiers of these kinds, with their objects."""
    for thing in scene.objects:
        for modifier in thing.modifiers:
            if modifier.type in kinds and modifier.show_render and not thing.hide_render:
                yield thing, modifier


def point_caches(scene: BPY) -> Iterator[tuple[str, BPY]]:
    """Yield the caches of physics, with the names of their owners."""
    world = scene.rigidbody_world
    if world is not None and world.enabled and world.collection is not None and len(world.collection.objects):
        yield "rigid bodies", world.point_cache
    for thing, modifier in modifiers(scene, "CLOTH", "SOFT_BODY"):
        yield f"{modifier.type.replace('_', ' ').lower()} of {thing.name}", modifier.point_cache
    for thing, modifier in modifiers(scene, "DYNAMIC_PAINT"):
        for surface in modifier.canvas_settings.canvas_surfaces if modifier.canvas_settings else ():
            if surface.is_active:
                yield f"dynamic paint of {thing.name}", surface.point_cache
    for thing, modifier in modifiers(scene, "PARTICLE_SYSTEM"):
        system = modifier.particle_system
        emits = system.settings.type == "EMITTER" and system.settings.physics_type != "NO"
        if emits or (system.settings.type == "HAIR" and system.use_hair_dynamics):
            yield f"particles of {thing.name}", system.point_cache


def unbaked(bpy: BPY, scene: BPY) -> Iterator[tuple[str, int]]:
    """Yield unbaked physics, because of which frames depend on earlier frames, with its first frame."""
    for what, cache in point_caches(scene):
        if not cache.is_baked and not cache.use_external:
            yield what, cache.frame_start
    for thing, modifier in modifiers(scene, "FLUID"):
        domain = getattr(modifier, "domain_settings", None)
        if modifier.fluid_type == "DOMAIN" and domain and not domain.has_cache_baked_any:
            yield f"fluid of {thing.name}", domain.cache_frame_start
    for thing, modifier in modifiers(scene, "NODES"):
        if modifier.node_group is not None and _simulates(modifier.node_group) and not _on_disk(bpy, thing, modifier):
            yield f"simulation nodes of {thing.name}", scene.frame_start


def _simulates(group: BPY) -> bool:
    """Return whether geometry nodes, or groups inside them, contain a simulation."""
    if any(node.bl_idname == "GeometryNodeSimulationOutput" and not node.mute for node in group.nodes):
        return True
    return any(_simulates(node.node_tree) for node in group.nodes if getattr(node, "node_tree", None) is not None)


def _on_disk(bpy: BPY, thing: BPY, modifier: BPY) -> bool:
    """Return whether simulation nodes are baked to files; Blender does not show bakes inside the .blend file."""
    folders = []
    for bake in getattr(modifier, "bakes", ()):
        own = getattr(bake, "use_custom_path", False)
        folder = bake.directory if own else modifier.bake_directory if hasattr(modifier, "bake_directory") else ""
        folders.append(Path(_absolute(bpy, folder, thing)) / ("" if own else str(bake.bake_id)) if folder else None)
    return bool(folders) and all(folder is not None and (folder / "meta").is_dir() for folder in folders)
