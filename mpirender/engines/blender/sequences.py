"""The numbered files that each frame reads: sequences of images, volumes and caches, tiles, strips. Runs in Blender.

Blender renders without a missing file of a sequence silently: a magenta or an empty texture, the mesh of another frame.
The rules that give the number of a file are Blender's own (BKE_image_user_frame_get and its likes).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Optional

from mpirender.engines.blender.numbered_files import Sequence, extent, number_of, numbered

BPY = Any  # modules and data of Blender have no annotations
Value = Optional[float]  # of a setting, None if it cannot be known before Blender computes the frame
Settings = Callable[[str, int], Value]  # value of a setting at a frame
TILES = ("<UDIM>", "<UVTILE>")


def absolute(bpy: BPY, path: str, thing: BPY) -> str:
    """Return a path that may be relative to the file of its owner; a library's own is to the file that names it."""
    parent = thing.parent if type(thing).__name__ == "Library" else getattr(thing, "library", None)
    return os.path.normpath(str(bpy.path.abspath(path, library=parent)))


class Reader:
    """Finds the sequences of a scene, as saved, or as Blender has computed them for a frame."""

    def __init__(self, bpy: BPY, scene: BPY, graph: BPY | None = None) -> None:
        """``graph``: the dependency graph that has computed the frame; without it, animation curves are evaluated."""
        self._bpy, self._scene, self._graph = bpy, scene, graph
        render = scene.render
        self._remapped = render.frame_map_old / render.frame_map_new
        self._cycles = render.engine == "CYCLES"

    def sequences(self) -> Iterator[Sequence]:
        """Yield all sequences of images, volumes, movie clips, caches and strips, and the tiles of images."""
        yield from self._tiles()
        if any(image.source == "SEQUENCE" for image in self._bpy.data.images):
            yield from self._images()
            yield from self._geometry_images()
        yield from self._volumes()
        yield from self._caches()
        yield from self._clips()
        yield from self._strips(self._scene, lambda frame: frame, set())

    def _time(self, frame: int) -> int:
        """Return the time of animation, which differs from the frame if it is remapped."""
        return int(frame * self._remapped)

    def _absolute(self, path: str, owner: BPY) -> str:
        return absolute(self._bpy, path, owner)

    def _tiles(self) -> Iterator[Sequence]:
        for image in self._bpy.data.images:
            if image.source != "TILED" or image.packed_files or not used(image):
                continue
            for tile in image.tiles:
                path = tile_path(self._absolute(image.filepath, image), tile.number)
                yield Sequence(f"image {image.name!r}", lambda frame, path=path: path)  # type: ignore[misc]

    def _images(self) -> Iterator[Sequence]:
        for owner, tree in self._trees():
            for node in () if tree is None else tree.nodes:
                image = getattr(node, "image", None)
                if node.mute or image is None:
                    continue
                name, nested = node.name, hasattr(node, "image_user")
                prefix = f'nodes["{self._bpy.utils.escape_identifier(name)}"].{"image_user." if nested else ""}'

                def settings(now: BPY, name: str = name, nested: bool = nested) -> BPY:
                    node = (now if hasattr(now, "nodes") else tree_of(now)).nodes[name]
                    return node.image_user if nested else node

                yield from self._image(image, self._settings(owner, tree, prefix, settings))
        for texture in self._bpy.data.textures:
            if texture.type == "IMAGE" and texture.image is not None and used(texture):
                of_texture = self._settings(texture, texture, "image_user.", lambda now: now.image_user)
                yield from self._image(texture.image, of_texture)

    def _trees(self) -> Iterator[tuple[BPY, BPY]]:
        """Yield the node trees that may affect images, each with the data that it belongs to."""
        data = self._bpy.data
        for owner in (*data.materials, *data.worlds, *data.lights, *data.linestyles, *data.textures):
            if used(owner) and getattr(owner, "use_nodes", False):
                yield owner, owner.node_tree
        for group in data.node_groups:
            if used(group):
                yield group, group
        for scene in composited(self._scene):
            if scene.render.use_compositing and getattr(scene, "use_nodes", True):
                yield scene, getattr(scene, "node_tree", None)  # from 5.0 on, a node group

    def _image(self, image: BPY, setting: Settings) -> Iterator[Sequence]:
        if image.source != "SEQUENCE" or image.packed_files or not used(image):
            return
        first = self._absolute(image.filepath, image)

        def path(frame: int) -> str | None:
            number = image_number(setting, frame if self._cycles else self._time(frame), frame)
            return None if number is None else numbered(first, number)

        yield Sequence(f"image {image.name!r}", path)

    def _geometry_images(self) -> Iterator[Sequence]:
        """Yield the images of Geometry Nodes, as far as the number of the file is known: it is their socket Frame."""
        for group in filter(used, self._bpy.data.node_groups):
            for node in (
                node for node in group.nodes if node.bl_idname == "GeometryNodeImageTexture" and not node.mute
            ):
                image = image_of(node.inputs["Image"])
                if image is None or image.source != "SEQUENCE" or image.packed_files:
                    continue
                first = self._absolute(image.filepath, image)

                def path(frame: int, group: BPY = group, node: BPY = node, first: str = first) -> str | None:
                    number = self._socket_value(group, node, "Frame", frame)
                    # Blender shows nothing before the first file and after the last, as may be meant.
                    return numbered(first, int(number)) if number is not None and int(number) in extent(first) else None

                yield Sequence(f"image {image.name!r}", path)

    def _socket_value(self, tree: BPY, node: BPY, name: str, frame: int) -> Value:
        """Return the value of an input of a node, if it is set there or comes from the time of the scene, else None."""
        socket = node.inputs[name]
        if not socket.is_linked:
            names = self._bpy.utils.escape_identifier(node.name), list(node.inputs).index(socket)
            return value_at(tree, 'nodes["{}"].inputs[{}].default_value'.format(*names), frame, socket.default_value)
        link = origin(socket)
        is_time = link.from_node.bl_idname == "GeometryNodeInputSceneTime" and link.from_socket.name == "Frame"
        return self._time(frame) if is_time else None

    def _settings(self, owner: BPY, animated: BPY, prefix: str, get: Callable[[BPY], BPY]) -> Settings:
        """Return the settings of a user of an image: ``get`` returns them from the data that own them."""
        if self._graph is not None:
            now = get(owner.evaluated_get(self._graph))
            return lambda name, frame: getattr(now, name)
        saved = get(owner)
        return lambda name, frame: value_at(animated, prefix + name, frame, getattr(saved, name))

    def _volumes(self) -> Iterator[Sequence]:
        for volume in self._bpy.data.volumes:
            if volume.is_sequence and used(volume) and volume.packed_file is None:
                first = self._absolute(volume.filepath, volume)

                def path(frame: int, volume: BPY = volume, first: str = first) -> str | None:
                    number = volume_number(volume, self._time(frame))
                    return None if number is None else numbered(first, number)

                yield Sequence(f"volume {volume.name!r}", path)

    def _caches(self) -> Iterator[Sequence]:
        for cache in self._bpy.data.cache_files:
            if cache.is_sequence and used(cache):
                first = self._absolute(cache.filepath, cache)

                def path(frame: int, cache: BPY = cache, first: str = first) -> str | None:
                    shown = value_at(cache, "frame", frame, cache.frame) if cache.override_frame else self._time(frame)
                    return None if shown is None else numbered(first, int(shown))

                yield Sequence(f"cache {cache.name!r}", path)

    def _clips(self) -> Iterator[Sequence]:
        for clip in self._bpy.data.movieclips:
            first = self._absolute(clip.filepath, clip)
            start = number_of(first)
            if clip.source == "SEQUENCE" and used(clip) and start is not None:

                def path(frame: int, clip: BPY = clip, first: str = first, start: int = start) -> str | None:
                    shown = frame - clip.frame_start
                    inside = 0 <= shown < clip.frame_duration
                    return numbered(first, start + shown + clip.frame_offset) if inside else None

                yield Sequence(f"movie clip {clip.name!r}", path)

    def _strips(self, scene: BPY, time: Callable[[int], int], seen: set[str]) -> Iterator[Sequence]:
        """Yield the image strips of a scene, and of the scenes that its strips show; ``time``: the frame there."""
        editor = scene.sequence_editor
        if not scene.render.use_sequencer or editor is None or scene.name in seen:
            return
        for strip in visible(strips_of(editor), editor.channels):
            if strip.type == "IMAGE":

                def path(frame: int, strip: BPY = strip) -> str | None:
                    shown = time(frame)
                    element = strip.strip_elem_from_frame(shown) if shows(strip, shown) else None
                    return element and self._absolute(strip.directory + element.filename, scene)

                yield Sequence(f"strip {strip.name!r}", path)
            elif strip.type == "SCENE" and strip.scene is not None and strip.scene_input == "SEQUENCER":
                start = strip.scene.frame_start + strip.animation_offset_start - strip.frame_start

                def inner(frame: int, strip: BPY = strip, start: float = start) -> int:
                    return int(time(frame) + start) if shows(strip, time(frame)) else NEVER

                yield from self._strips(strip.scene, inner, seen | {scene.name})


NEVER = -(1 << 20)  # a frame at which no strip shows anything: the first that Blender can have


def used(thing: BPY) -> bool:
    """Return whether something in the file uses it."""
    return bool(thing.users > int(thing.use_fake_user))


def origin(socket: BPY) -> BPY:
    """Return the link that gives an input its value, through reroutes."""
    link = socket.links[0]
    while link.from_node.bl_idname == "NodeReroute" and link.from_node.inputs[0].is_linked:
        link = link.from_node.inputs[0].links[0]
    return link


def image_of(socket: BPY) -> BPY | None:
    """Return the image of an input: its own, or that of an image node; None if it is not known."""
    return getattr(origin(socket).from_node, "image", None) if socket.is_linked else socket.default_value


def tree_of(owner: BPY) -> BPY:
    """Return the node tree of a material, world, light or scene."""
    return owner.node_tree


def composited(scene: BPY) -> Iterator[BPY]:
    """Yield a scene, and the other scenes of which its compositor uses the render layers."""
    yield scene
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)  # the first from 5.0 on
    if scene.render.use_compositing and getattr(scene, "use_nodes", True) and tree is not None:
        others = {node.scene for node in tree.nodes if node.type == "R_LAYERS" and not node.mute and node.scene}
        yield from sorted(others - {scene}, key=lambda other: str(other.name))


def strips_of(editor: BPY) -> BPY:
    """Return the strips of an editor or a meta strip."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences  # before 4.4


def images_of(strips: BPY) -> Iterator[BPY]:
    """Yield the image strips, including those in meta strips."""
    for strip in strips:
        if strip.type == "IMAGE":
            yield strip
        elif strip.type == "META":
            yield from images_of(strips_of(strip))


def visible(strips: BPY, channels: BPY) -> Iterator[BPY]:
    """Yield the strips that are not muted, including those in meta strips."""
    for strip in strips:
        if strip.mute or channels[strip.channel].mute:
            continue
        yield strip
        if strip.type == "META":
            yield from visible(strips_of(strip), strip.channels)


def shows(strip: BPY, frame: int) -> bool:
    """Return whether a strip, and the meta strips around it, show something at a frame."""
    outer = strip.parent_meta() if hasattr(strip, "parent_meta") else None
    return bool(strip.frame_final_start <= frame < strip.frame_final_end) and (outer is None or shows(outer, frame))


def tile_path(path: str, number: int) -> str:
    """Return the path of a tile; its number is 1001 + its column + 10 times its row."""
    row, column = divmod(number - 1001, 10)
    return path.replace(TILES[0], str(number)).replace(TILES[1], f"u{column + 1}_v{row + 1}")


def image_number(setting: Settings, time: int, frame: int) -> int | None:
    """Return the number of the image that a user of a sequence shows; None if it is not known."""
    names = ("frame_duration", "frame_start", "frame_offset")
    duration, start, offset = (setting(name, frame) for name in names)
    if duration is None or start is None or offset is None or not duration:
        return None
    shown, length = time - int(start) + 1, int(duration)
    shown = (shown - 1) % length + 1 if setting("use_cyclic", frame) else min(max(shown, 0), length)
    return shown + int(offset)


def volume_number(volume: BPY, time: int) -> int | None:
    """Return the number of the file of a volume; None if it shows none."""
    shown, length = time - volume.frame_start + 1, volume.frame_duration
    if length == 0 or (volume.sequence_mode == "CLIP" and not 1 <= shown <= length):
        return None
    if volume.sequence_mode == "EXTEND":
        shown = min(max(shown, 1), length)
    elif volume.sequence_mode == "REPEAT":
        shown = (shown - 1) % length + 1
    elif volume.sequence_mode == "PING_PONG":
        period = max(2 * length - 2, 1)
        shown = (shown - 1) % period + 1
        shown = shown if shown <= length else 2 * length - shown
    return int(shown + volume.frame_offset)


def value_at(owner: BPY, path: str, frame: int, saved: float) -> Value:
    """Return a setting at a frame: as saved, or by its animation curve; None if a driver or the NLA computes it."""
    animation = owner.animation_data
    if animation is None:
        return saved
    if len(animation.nla_tracks) or any(driver.data_path == path for driver in animation.drivers):
        return None
    curves = [curve for curve in curves_of(animation) if curve.data_path == path and not curve.mute]
    return curves[0].evaluate(frame) if curves else saved


def curves_of(animation: BPY) -> Iterator[BPY]:
    """Yield the curves of the active action."""
    action = animation.action
    if action is None:
        return
    if hasattr(action, "fcurves"):
        yield from action.fcurves
        return
    for layer in action.layers:  # from 5.0 on
        for strip in layer.strips:
            yield from (
                curve for bag in strip.channelbags if bag.slot == animation.action_slot for curve in bag.fcurves
            )
