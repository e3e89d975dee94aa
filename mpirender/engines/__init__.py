"""The engines: ParaView, Blender and a test pattern.

An engine is a module that satisfies the protocol :class:`base.Engine`. The suffix of the scene file selects it
(:func:`for_scene`); no other package needs to know which engine it uses.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import cast

from mpirender.engines.base import Engine
from mpirender.errors import UsageError

__all__ = ["base", "for_scene", "get", "name_for", "unforkable_program"]

MODULES = {"paraview": "paraview.engine", "blender": "blender.engine", "pattern": "pattern"}
SUFFIXES = {".pvsm": "paraview", ".py": "paraview", ".blend": "blender", ".pattern": "pattern"}


def get(name: str) -> Engine:
    """Return the engine of that name."""
    return cast(Engine, import_module(f"mpirender.engines.{MODULES[name]}"))


def for_scene(scene: Path) -> Engine:
    """Return the engine that renders this kind of file.

    :raises UsageError: no engine reads it.
    """
    return get(name_for(scene))


def name_for(scene: Path) -> str:
    """Return the name of the engine that renders this kind of file.

    :raises UsageError: no engine reads it.
    """
    name = SUFFIXES.get(scene.suffix.lower())
    if name is None:
        kinds = "a ParaView state (.pvsm, .py) or a Blender file (.blend)"
        raise UsageError(f"{scene}: unknown kind of scene; give {kinds}")
    return name


def unforkable_program() -> list[str]:
    """Return the command of the program in which this Python runs, if a fork of it could not render; else nothing.

    A Blender program has threads that a fork lacks, for which Cycles would wait for ever (pvbatch has not, nor Python).
    """
    if "bpy" not in sys.modules:
        return []
    words = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    return words[: words.index("-m")]
