"""Collects the facts about a Blender file that must be known before rendering. Runs inside Blender.

Blender itself does not report missing files, unbaked caches, or scripts that it does not run.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from mpirender.engines.blender import file_outputs, numbered_files, physics, sequences
from mpirender.engines.blender.numbered_files import NUMBER, Folders, Gap
from mpirender.engines.blender.sequences import BPY, TILES, absolute, strips_of, used
from mpirender.job import frames as framesets

Facts = dict[str, Any]
# Largest denominator of fps_base, which is stored with 24 bits: 1.001 for the rates of television.
MAX_DENOMINATOR = 10_000
RANDOM = re.compile(r"\b(random|uniform|randint|gauss|choice|time|now)\w*\(")  # in a driver
_factory_handlers: dict[str, list[object]] = {}  # those of Blender itself, by event
PROBE_ENGINE = b"BLENDER_WORKBENCH"  # which every Blender has
SCENE_BYTES = 4096  # of the beginning of a scene in memory: its engine is at about 2900


def open_file(path: Path, *, scripts: bool) -> BPY:
    """Open a file with factory settings; return the module bpy.

    :raises RuntimeError: Blender cannot open it, with its message.
    """
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    _remove_handlers(bpy)
    bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=scripts)
    return bpy


def write_relative(path: Path, copy: Path) -> list[str]:
    """Write a copy of a file in which paths start from the file's own folder, unless all do; return those that do not.

    Blender cannot change the paths in a linked file.
    """
    bpy = open_file(path, scripts=False)
    if not _absolute_paths(bpy):
        return []
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True, relative_remap=False, check_existing=False)
    return _absolute_paths(bpy)


def _absolute_paths(bpy: BPY) -> list[str]:
    return sorted({found for found in bpy.utils.blend_paths() if found and not found.startswith("//")})


def _remove_handlers(bpy: BPY) -> None:
    """Remove the persistent handlers of a file that was open before, which Blender keeps."""
    lists = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    for name, handlers in lists.items():
        if isinstance(handlers, list):
            own = _factory_handlers.setdefault(name, list(handlers))
            handlers[:] = [handler for handler in handlers if handler in own]


def facts_of(bpy: BPY, name: str | None = None, frames: str | None = None) -> Facts:
    """Return the facts about the open file, and the files that are missing for these frames of a scene.

    :param name: of the scene; None for the active one.
    :param frames: a frame set; None for those of the scene.
    """
    scene = bpy.data.scenes.get(name) if name else bpy.context.scene
    engines = saved_engines(bpy)
    found = [] if scene is None else gaps(bpy, scene, framesets.parse(frames) if frames else frames_of(scene))
    python = python_drivers(bpy)
    found_scripts = list(scripts_of(bpy, python))
    return {
        "scripted": bool(found_scripts), "programs": found_scripts,
        "random": sorted({what for what, expression in python if RANDOM.search(expression)}),
        "app": list(bpy.app.version), "version": bpy.app.version_string, "saved": list(bpy.data.version),
        "active": bpy.context.scene.name,
        "scenes": {one.name: {**of_scene(bpy, one), "engine": engines[one.name]} for one in bpy.data.scenes},
        "missing": list(missing(bpy)), "gaps": [list(gap) for gap in found], "files": sorted(set(files(bpy))),
        "scripts": bpy.app.autoexec_fail_message if bpy.app.autoexec_fail else "",
    }  # fmt: skip


def frames_of(scene: BPY) -> range:
    """Return the frames of a scene."""
    return range(scene.frame_start, scene.frame_end + 1, scene.frame_step)


def of_scene(bpy: BPY, scene: BPY) -> Facts:
    """Return the facts about one of its scenes."""
    render = scene.render
    rate = Fraction(render.fps) / Fraction(render.fps_base).limit_denominator(MAX_DENOMINATOR)
    return {
        "first": scene.frame_start, "last": scene.frame_end, "step": scene.frame_step, "rate": str(rate),
        "size": list(size_of(render)), "region": bool(render.use_border and render.use_crop_to_border),
        "engine": render.engine, "others": [other.name for other in file_outputs.others(scene)],
        "camera": scene.camera.name if scene.camera else None,
        "cameras": [thing.name for thing in scene.objects if thing.type == "CAMERA"],
        "markers": sum(marker.camera is not None for marker in scene.timeline_markers),
        "layers": {layer.name: bool(layer.use) for layer in scene.view_layers},
        "strips": bool(render.use_sequencer and scene.sequence_editor and len(strips_of(scene.sequence_editor))),
        "eyes": bool(render.use_multiview and _differs_in_size(render.image_settings)),
        "beside": file_outputs.FileOutputs(scene).beginnings(),
        "stamp": bool(render.use_stamp and _changes_by_itself(render)),
        "format": render.image_settings.file_format, "sound": has_sound(scene),
        "time_limit": getattr(getattr(scene, "cycles", None), "time_limit", 0.0) if render.engine == "CYCLES" else 0.0,
        "unbaked": [list(one) for one in physics.unbaked(bpy, scene)],
    }  # fmt: skip


def has_sound(scene: BPY) -> bool:
    """Return whether Blender's own movie of a scene would have sound."""
    editor = scene.sequence_editor
    strips = sequences.visible(strips_of(editor), editor.channels) if editor is not None else ()
    speakers = (thing.data for thing in scene.objects if thing.type == "SPEAKER")
    return any(strip.type == "SOUND" for strip in strips) or any(one.sound and not one.muted for one in speakers)


def saved_engines(bpy: BPY) -> dict[str, str]:
    """Return the identifier of the engine with which each scene was saved.

    Blender names another one where it lacks an engine, and tells the user only. The identifier itself is in memory:
    its place within a scene is found with the help of another scene.
    """
    probe = bpy.data.scenes.new("mpirender")
    try:
        probe.render.engine, start = PROBE_ENGINE.decode(), probe.as_pointer()
        places = range(0, SCENE_BYTES, 4)
        found = (
            place for place in places if ctypes.string_at(start + place, len(PROBE_ENGINE) + 1) == PROBE_ENGINE + b"\0"
        )
        place = next(found, None)
    finally:
        bpy.data.scenes.remove(probe)
    if place is None:  # a Blender that keeps it elsewhere
        return {scene.name: scene.render.engine for scene in bpy.data.scenes}
    return {scene.name: ctypes.string_at(scene.as_pointer() + place).decode() for scene in bpy.data.scenes}


def python_drivers(bpy: BPY) -> list[tuple[str, str]]:
    """Return the drivers that only Python can evaluate: what they drive, and their expressions."""
    found = []
    for kind in bpy.data.bl_rna.properties:
        for thing in getattr(bpy.data, kind.identifier) if kind.type == "COLLECTION" else ():
            animation = getattr(thing, "animation_data", None)
            for curve in animation.drivers if animation else ():
                if curve.driver.type == "SCRIPTED" and not curve.driver.is_simple_expression:
                    found.append((f"{curve.data_path} of {thing.name}", str(curve.driver.expression)))
    return found


def scripts_of(bpy: BPY, drivers: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what Blender runs with scripts allowed: texts, whose handlers run as well, drivers, and Freestyle's."""
    yield from (f"text {text.name!r} (registered)" for text in bpy.data.texts if text.use_module)
    yield from (f"driver of {what}" for what, _ in drivers)
    for scene in bpy.data.scenes if bpy.app.build_options.freestyle else ():
        for layer in scene.view_layers if scene.render.use_freestyle else ():
            if layer.freestyle_settings.mode == "SCRIPT":
                used = (module.script for module in layer.freestyle_settings.modules if module.use and module.script)
                yield from (f"text {text.name!r} (Freestyle of view layer {layer.name!r})" for text in used)


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


def _differs_in_size(settings: BPY) -> bool:
    """Return whether stereo images go to several files, or side by side to a larger one."""
    stereo = settings.stereo_3d_format
    beside = stereo.display_mode in ("SIDEBYSIDE", "TOPBOTTOM") and not stereo.use_squeezed_frame
    return settings.views_format != "STEREO_3D" or beside


def _changes_by_itself(render: BPY) -> bool:
    return any(getattr(render, f"use_stamp_{what}") for what in ("date", "render_time", "memory", "hostname"))


def files(bpy: BPY) -> Iterator[str]:
    """Yield the existing files that the scene reads, including all files of its sequences and caches."""
    several = set(sequence_paths(bpy))
    for path in read_paths(bpy):
        if os.path.normpath(path) in several:
            yield from siblings(path)
        elif Path(path).is_file():
            yield path
    for folder in physics.cache_folders(bpy):
        yield from (str(path) for path in Path(folder).rglob("*") if path.is_file())


def sequence_paths(bpy: BPY) -> Iterator[str]:
    """Yield the paths that stand for several files."""
    data = bpy.data
    yield from (_absolute(bpy, image) for image in data.images if image.source in ("SEQUENCE", "TILED"))
    yield from (_absolute(bpy, clip) for clip in data.movieclips if clip.source == "SEQUENCE")
    yield from (_absolute(bpy, thing) for thing in (*data.volumes, *data.cache_files) if thing.is_sequence)


def strip_paths(bpy: BPY) -> Iterator[str]:
    """Yield the paths of the images of strips."""
    for scene in bpy.data.scenes:
        if scene.sequence_editor is not None:
            for strip in sequences.images_of(strips_of(scene.sequence_editor)):
                names = (element.filename for element in strip.elements)
                yield from (absolute(bpy, strip.directory + name, scene) for name in names)


def siblings(path: str) -> Iterator[str]:
    """Yield the existing files of the sequence, or the tiles, for which a path stands."""
    folder, name = os.path.split(path)
    pattern = re.escape(name)
    for tile in TILES:
        pattern = pattern.replace(re.escape(tile), r"[uv_\d]+")
    found = NUMBER.fullmatch(Path(name).stem)
    if found is not None and pattern == re.escape(name):
        pattern = rf"{re.escape(found[1])}-?\d+{re.escape(found[3] + Path(name).suffix)}"
    names = sorted(Folders().names(folder))
    yield from (str(Path(folder) / other) for other in names if re.fullmatch(pattern, other))


def read_paths(bpy: BPY) -> list[str]:
    """Return the paths of the files that affect images: no sounds, no scripts, and nothing unused."""
    ignored = {_absolute(bpy, sound) for sound in bpy.data.sounds}
    ignored |= {_absolute(bpy, text) for text in bpy.data.texts if text.filepath}
    for kind in (bpy.data.images, bpy.data.movieclips, bpy.data.volumes, bpy.data.fonts):
        ignored |= {_absolute(bpy, thing) for thing in kind if not used(thing)}
    paths = bpy.utils.blend_paths(absolute=True, packed=False, local=False)
    return [path for path in dict.fromkeys(paths) if path and os.path.normpath(path) not in ignored]


def missing(bpy: BPY) -> Iterator[tuple[str, str]]:
    """Yield the missing files: what uses the file, and its path. Those of sequences are in :func:`gaps`."""
    kinds = {
        "image": bpy.data.images, "library": bpy.data.libraries, "cache": bpy.data.cache_files,
        "volume": bpy.data.volumes, "movie clip": bpy.data.movieclips, "font": bpy.data.fonts,
    }  # fmt: skip
    users = [(f"{kind} {thing.name!r}", thing) for kind, things in kinds.items() for thing in things]
    names = {_absolute(bpy, thing): name for name, thing in users}
    reported = {path: os.path.normpath(path) for path in read_paths(bpy)}
    several, elsewhere = set(sequence_paths(bpy)), {*strip_paths(bpy), *physics.fluid_folders(bpy)}
    reported = {
        path: normal for path, normal in reported.items()
        if normal not in elsewhere and not (any(siblings(path)) if normal in several else Path(path).exists())
    }  # fmt: skip
    yield from ((names.get(normal, "file"), path) for path, normal in reported.items())
    for library in bpy.data.libraries:  # an existing library that cannot be read
        path = _absolute(bpy, library)
        if getattr(library, "is_missing", False) and path not in reported.values():
            yield f"library {library.name!r}", path
    yield from unlinked(bpy)
    yield from (("cache", folder) for folder in physics.cache_folders(bpy) if not Path(folder).is_dir())


def unlinked(bpy: BPY) -> Iterator[tuple[str, str]]:
    """Yield the linked data that are no longer in their library: Blender puts empty ones in their place."""
    if all(getattr(library, "is_missing", False) for library in bpy.data.libraries):
        return
    for kind in bpy.data.bl_rna.properties:
        for thing in getattr(bpy.data, kind.identifier) if kind.type == "COLLECTION" else ():
            library = thing.library
            if getattr(thing, "is_missing", False) and library and not getattr(library, "is_missing", False):
                what = f"{thing.id_type.lower()} {thing.name!r}"
                yield f"{what} of library {library.name!r}", _absolute(bpy, library)


def gaps(bpy: BPY, scene: BPY, frames: Iterable[int]) -> list[Gap]:
    """Return the sequences and caches that lack files for these frames of a scene."""
    wanted = list(frames)
    found = numbered_files.gaps(sequences.Reader(bpy, scene).sequences(), wanted)
    return [*found, *physics.gaps(bpy, scene, wanted)]


def _absolute(bpy: BPY, thing: BPY) -> str:
    return absolute(bpy, thing.filepath, thing)
