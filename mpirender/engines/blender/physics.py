"""Finds the physics and simulations of a scene that are not baked, and the files of the baked ones, inside Blender."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from mpirender.engines.blender.numbered_files import Folders, Gap
from mpirender.engines.blender.sequences import BPY, absolute

# The name of a file of a cache: its beginning, the frame, and the rest with the index of the cache, or the subframe.
NUMBERED = re.compile(r"(.*?)(\d{4,})((?:_\d\d|_\d{5})?\.[\w.]+)")
OF_FLUIDS = ("data", "mesh", "noise", "particles", "guiding")  # folders in the cache of a fluid


def cache_folders(bpy: BPY) -> list[str]:
    """Return the folders of baked physics and simulations that are stored as files."""
    folders = set()
    for scene in bpy.data.scenes:
        folders |= {point_cache_folder(bpy, owner, cache) for _, owner, cache in point_caches(scene) if on_disk(cache)}
        folders |= {absolute(bpy, domain.cache_directory, thing) for thing, domain in fluids(scene, baked=True)}
        for thing, modifier in modifiers(scene, "NODES"):
            folders |= {str(folder) for folder in bakes(bpy, thing, modifier) if folder is not None and folder.is_dir()}
    return sorted(folders)


def fluid_folders(bpy: BPY) -> Iterator[str]:
    """Yield the folders of all fluids, baked or not."""
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings:
                yield absolute(bpy, modifier.domain_settings.cache_directory, thing)


def on_disk(cache: BPY) -> bool:
    """Return whether a cache is baked to files of its own."""
    return bool(cache.is_baked and (cache.use_disk_cache or cache.use_external))


def point_cache_folder(bpy: BPY, owner: BPY, cache: BPY) -> str:
    """Return the folder of a cache on disk: that of the library if its owner is linked and it uses that."""
    if cache.use_external:
        return absolute(bpy, cache.filepath, owner)
    linked = owner.library if cache.use_library_path else None
    file = Path(absolute(bpy, linked.filepath, linked) if linked else bpy.data.filepath)
    return str(file.with_name(f"blendcache_{file.stem}"))


def gaps(bpy: BPY, scene: BPY, frames: Iterable[int]) -> Iterator[Gap]:
    """Yield the caches on disk that lack files for these frames. Blender shows another frame of the cache instead."""
    wanted, folders = sorted(frames), Folders()
    for what, owner, cache in point_caches(scene):
        if on_disk(cache) and owner.id_type == "OBJECT":
            folder = point_cache_folder(bpy, owner, cache)
            stem = cache.name or owner.name.encode().hex().upper()
            groups = {group: held for group, held in numbers(folders, folder).items() if group[0] == f"{stem}_"}
            yield from _gap(f"cache of {what}", folder, groups, keys(wanted, cache), to=cache.frame_end)
    for thing, domain in fluids(scene, baked=True):
        shift, first, last = domain.cache_frame_offset, domain.cache_frame_start, domain.cache_frame_end
        inside = [frame - shift for frame in wanted if first <= frame - shift <= last]
        for kind in OF_FLUIDS:
            folder = str(Path(absolute(bpy, domain.cache_directory, thing)) / kind)
            groups = numbers(folders, folder)
            yield from _gap(f"cache of fluid of {thing.name}", folder, groups, inside, to=last if kind == "data" else 0)
    for thing, modifier in modifiers(scene, "NODES"):
        for bake in filter(None, bakes(bpy, thing, modifier)):
            folder = str(bake / "meta")
            yield from _gap(f"cache of simulation nodes of {thing.name}", folder, numbers(folders, folder), wanted)


def keys(frames: Iterable[int], cache: BPY) -> list[int]:
    """Return the frames of a point cache that these frames need: Blender interpolates between its steps."""
    first, last, step, found = cache.frame_start, cache.frame_end, max(cache.frame_step, 1), set()
    for frame in frames:
        if first <= frame <= last:
            before = first + (frame - first) // step * step
            found |= {before} if frame == before else {before, min(before + step, last)}
    return sorted(found)


Groups = dict[tuple[str, str], dict[int, str]]


def numbers(folders: Folders, folder: str) -> Groups:
    """Return the numbered files of a folder by number, for each beginning and end of their names."""
    groups: Groups = defaultdict(dict)
    for name, size in folders.names(folder).items():
        if size and (found := NUMBERED.fullmatch(name)):
            groups[found[1], found[3]][int(found[2])] = found[2]
    return groups


def _gap(what: str, folder: str, groups: Groups, wanted: Iterable[int], to: int = 0) -> Iterator[Gap]:
    """Yield the gap in each group of files: between its first and its last, or up to the frame ``to``."""
    for (before, after), held in groups.items():
        needed = [number for number in wanted if min(held) <= number <= max([to, *held])]
        digits = len(next(iter(held.values())))
        if missing := [number for number in needed if number not in held]:
            first = Path(folder) / f"{before}{missing[0]:0{digits}}{after}"
            yield Gap(what, str(first), len(missing), len(needed))
    if to and not groups:
        yield Gap(what, folder, 1, 1)


def modifiers(scene: BPY, *kinds: str) -> Iterator[tuple[BPY, BPY]]:
    """Yield the rendered modifiers of these kinds, with their objects."""
    for thing in objects(scene.objects):
        for modifier in thing.modifiers:
            if modifier.type in kinds and modifier.show_render and not thing.hide_render:
                yield thing, modifier


def objects(some: Iterable[BPY]) -> list[BPY]:
    """Return objects, and those of the collections that they show, which may be linked."""
    found, left = {}, list(some)
    while left:
        thing = left.pop()
        if thing.as_pointer() not in found:
            found[thing.as_pointer()] = thing
            shown = thing.instance_collection if thing.instance_type == "COLLECTION" else None
            left += list(shown.all_objects) if shown else []
    return sorted(found.values(), key=lambda thing: str(thing.name_full))


def fluids(scene: BPY, *, baked: bool) -> Iterator[tuple[BPY, BPY]]:
    """Yield the fluid domains that are baked, or are not, with their objects."""
    for thing, modifier in modifiers(scene, "FLUID"):
        domain = getattr(modifier, "domain_settings", None)
        if modifier.fluid_type == "DOMAIN" and domain and domain.has_cache_baked_any == baked:
            yield thing, domain


def point_caches(scene: BPY) -> Iterator[tuple[str, BPY, BPY]]:
    """Yield the caches of physics: what uses each, and its owner."""
    world = scene.rigidbody_world
    if world is not None and world.enabled and world.collection is not None and len(world.collection.objects):
        yield "rigid bodies", scene, world.point_cache
    for thing, modifier in modifiers(scene, "CLOTH", "SOFT_BODY"):
        yield f"{modifier.type.replace('_', ' ').lower()} of {thing.name}", thing, modifier.point_cache
    for thing, modifier in modifiers(scene, "DYNAMIC_PAINT"):
        for surface in modifier.canvas_settings.canvas_surfaces if modifier.canvas_settings else ():
            if surface.is_active:
                yield f"dynamic paint of {thing.name}", thing, surface.point_cache
    for thing, modifier in modifiers(scene, "PARTICLE_SYSTEM"):
        system = modifier.particle_system
        emits = system.settings.type == "EMITTER" and system.settings.physics_type != "NO"
        if emits or (system.settings.type == "HAIR" and system.use_hair_dynamics):
            yield f"particles of {thing.name}", thing, system.point_cache


def unbaked(bpy: BPY, scene: BPY) -> Iterator[tuple[str, int]]:
    """Yield unbaked physics, because of which frames depend on earlier frames, with its first frame."""
    for what, _, cache in point_caches(scene):
        if not cache.is_baked and not cache.use_external:
            yield what, cache.frame_start
    for thing, domain in fluids(scene, baked=False):
        yield f"fluid of {thing.name}", domain.cache_frame_start
    for thing, modifier in modifiers(scene, "NODES"):
        if modifier.node_group is not None and _simulates(modifier.node_group) and not _baked(bpy, thing, modifier):
            yield f"simulation nodes of {thing.name}", scene.frame_start


def _simulates(group: BPY) -> bool:
    """Return whether geometry nodes, or groups inside them, contain a simulation."""
    if any(node.bl_idname == "GeometryNodeSimulationOutput" and not node.mute for node in group.nodes):
        return True
    return any(_simulates(node.node_tree) for node in group.nodes if getattr(node, "node_tree", None) is not None)


def bakes(bpy: BPY, thing: BPY, modifier: BPY) -> Iterator[Path | None]:
    """Yield the folder of each simulation of geometry nodes that is baked to files, None for one without a folder."""
    for bake in getattr(modifier, "bakes", ()):
        own = getattr(bake, "use_custom_path", False)
        folder = bake.directory if own else modifier.bake_directory if hasattr(modifier, "bake_directory") else ""
        yield Path(absolute(bpy, folder, thing)) / ("" if own else str(bake.bake_id)) if folder else None


def _baked(bpy: BPY, thing: BPY, modifier: BPY) -> bool:
    """Return whether simulation nodes are baked to files; Blender does not show bakes inside the .blend file."""
    folders = list(bakes(bpy, thing, modifier))
    return bool(folders) and all(folder is not None and (folder / "meta").is_dir() for folder in folders)
