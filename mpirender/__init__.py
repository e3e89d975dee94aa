"""Render the animation of a ParaView or Blender scene to a movie, with one MPI program."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mpirender.version import __version__

if TYPE_CHECKING:
    from mpirender import pool
    from mpirender.job.render_job import RenderJob
    from mpirender.supervisor.result import RenderResult
    from mpirender.supervisor.run import render

__all__ = ["RenderJob", "RenderResult", "__version__", "pool", "render"]
MODULES = {"RenderJob": "job.render_job", "RenderResult": "supervisor.result", "render": "supervisor.run"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562 gives no narrower type
    """Import a name when it is first used, so that ``import mpirender`` is fast on a login node and inside pvbatch."""
    if name == "pool":
        return importlib.import_module("mpirender.pool")
    if name in MODULES:
        return getattr(importlib.import_module(f"mpirender.{MODULES[name]}"), name)
    raise AttributeError(f"module 'mpirender' has no attribute {name!r}")
