"""The compositor nodes that write files (File Output): which there are, and where they write. Runs inside Blender."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mpirender.engines.blender.sequences import BPY, composited, strips_of, visible


def nodes(scene: BPY) -> list[BPY]:
    """Return the nodes that write files when a scene is rendered."""
    return list({node.as_pointer(): node for tree in trees(scene) for node in _writing(tree)}.values())


def trees(scene: BPY, seen: frozenset[str] = frozenset()) -> Iterator[BPY]:
    """Yield the compositor's node tree of a scene, and of the scenes that its strips render."""
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)  # the first from 5.0 on
    if scene.render.use_compositing and getattr(scene, "use_nodes", True) and tree is not None:
        yield tree
    for other in others(scene) if scene.name not in seen else ():
        if other not in set(composited(scene)):
            yield from trees(other, seen | {scene.name})


def others(scene: BPY) -> list[BPY]:
    """Return the other scenes that are rendered for a scene: by its compositor and its strips."""
    found, editor = set(composited(scene)), scene.sequence_editor
    if scene.render.use_sequencer and editor is not None:
        strips = visible(strips_of(editor), editor.channels)
        found |= {strip.scene for strip in strips if strip.type == "SCENE" and strip.scene is not None}
    return sorted(found - {scene}, key=lambda other: str(other.name))


def _writing(tree: BPY) -> Iterator[BPY]:
    for node in tree.nodes:
        if node.type == "OUTPUT_FILE" and not node.mute:
            yield node
        elif node.type == "GROUP" and not node.mute and node.node_tree is not None:
            yield from _writing(node.node_tree)


class FileOutputs:
    """The nodes of a scene that write files, with the folders in which their files go, below that of the images."""

    def __init__(self, scene: BPY) -> None:
        self._nodes = [(node, folder_attribute(node)) for node in nodes(scene)]
        saved = [getattr(node, attribute) for node, attribute in self._nodes]
        taken: dict[str, str] = {}  # the path as saved, by the path below the images
        self._places = []
        for (node, _), path in zip(self._nodes, saved):
            place = below(path)
            if taken.setdefault(place, path) != path:  # two folders of the same name
                place = str(PurePosixPath(node.name.replace("/", "_")) / place) + "/" * place.endswith("/")
            self._places.append(place)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._nodes)

    def beginnings(self) -> list[str]:
        """Return where files go, below the images: their paths, without frame number and suffix, or their folder."""
        found = []
        for (node, _), place in zip(self._nodes, self._places):
            found += [place] if place else [name for name in map(name_of, slots(node)) if name]
        return list(dict.fromkeys(found))

    def write_to(self, folder: Path) -> None:
        """Let them write below this folder from now on."""
        for (node, attribute), place in zip(self._nodes, self._places):
            setattr(node, attribute, f"{folder}/{place}")


def folder_attribute(node: BPY) -> str:
    """Return the name of the property of a node that holds its folder."""
    return "base_path" if hasattr(node, "base_path") else "directory"  # from 5.0 on


def slots(node: BPY) -> list[BPY]:
    """Return the slots of a node, each a file."""
    return list(node.file_slots if hasattr(node, "file_slots") else node.file_output_items)  # from 5.0 on


def name_of(slot: BPY) -> str:
    """Return the path of a slot's files, without frame number."""
    return str(getattr(slot, "path", None) or slot.name).partition("#")[0]


def below(path: str) -> str:
    """Return where files of a path go, below the images: as relative to the Blender file, else its last folder."""
    relative, slash = path.startswith("//"), "/" * path.endswith("/")
    parts = [part for part in PurePosixPath(path.replace("\\", "/")).parts if part.strip("/.")]
    kept = "/".join(parts if relative else parts[-1:])
    return f"{kept}{slash}" if kept else ""
