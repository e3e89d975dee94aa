"""The engines: the programs that render, ParaView and Blender, and a test pattern.

An engine is a module. Nothing outside this package asks which engine it is: a scene's file suffix chooses it
(:func:`for_scene`), and everything else goes through the :class:`Engine` protocol.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from mpirender.engines.base import (
    Ability,
    Check,
    DataFile,
    Engine,
    Independent,
    Inspection,
    Layout,
    Numbers,
    Ranges,
    Rendered,
    Scene,
    is_software,
    merged,
)
from mpirender.errors import UsageError

__all__ = [
    "Ability", "Check", "DataFile", "Engine", "Independent", "Inspection", "Layout", "Numbers", "Ranges",
    "Rendered", "Scene", "for_scene", "get", "is_software", "merged", "probe_cache",
]  # fmt: skip

MODULES = {"paraview": "paraview.engine", "blender": "blender.engine", "pattern": "pattern"}
SUFFIXES = {".pvsm": "paraview", ".py": "paraview", ".blend": "blender", ".pattern": "pattern"}


def get(name: str) -> Engine:
    """Return the engine of that name."""
    return cast(Engine, import_module(f"mpirender.engines.{MODULES[name]}"))


def for_scene(scene: Path) -> Engine:
    """Return the engine that renders this kind of file.

    Raises:
        UsageError: no engine reads it.
    """
    name = SUFFIXES.get(scene.suffix.lower())
    if name is None:
        raise UsageError(
            f"{scene}: not a scene mpirender knows; give a ParaView state (.pvsm, .py) or a Blender file (.blend)"
        )
    return get(name)
