"""Python scripts as scenes: a state saved as ``.py``, a trace, or a script written by hand.

This module only parses a script. Its scene is known only after ParaView has run it (:mod:`script_runner`).
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from mpirender.engines.base import Inspection
from mpirender.errors import UsageError, one_line
from mpirender.job.render_job import RenderJob

# Calls that mpirender replaces, or that every rank would do with the same file; skipped.
SKIPPED = (
    "SaveScreenshot", "SaveAnimation", "SaveExtracts", "SaveData", "SaveState", "WriteImage", "WriteAnimation",
    "WriteAnimationGeometry", "ExportView", "Interact",
)  # fmt: skip
RENDER = "Render"  # its first call resets the camera, so it is kept; further calls are skipped


def is_script(job: RenderJob) -> bool:
    """Return whether the scene is a Python script."""
    return job.scene.suffix.lower() == ".py"


def inspect_script(scene: bytes, job: RenderJob) -> Inspection:
    """Return which calls of a script are skipped, and its mistakes; raise UsageError if it is not Python."""
    tree = parse(scene, job.scene.name)
    from mpirender.engines.paraview import orbit_camera

    mistakes = list(orbit_camera.mistakes(job))
    if job.data_dir is not None or job.files:
        mistakes.append(
            f"{job.scene.name} is a Python script: --data-dir and --file work for states (.pvsm) only; use --set "
            "READER.FileName=PATH"
        )
    return Inspection(
        engine="paraview", written_by="a Python script (mpirender runs it)", play_mode="as the script sets it",
        frames_known=False, warnings=tuple(_skipped(tree, job.scene.name)), mistakes=tuple(mistakes),
    )  # fmt: skip


def parse(scene: bytes, name: str) -> ast.Module:
    """Return the syntax tree; raise UsageError if it is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the syntax of the user's script
            return ast.parse(scene, name)
    except SyntaxError as error:
        raise UsageError(f"{name}: line {error.lineno}: not Python ({one_line(str(error.msg))})") from None
    except ValueError as error:  # null bytes
        raise UsageError(f"{name}: not Python ({one_line(str(error))})") from None


def _skipped(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield a warning with the calls that are skipped and their lines."""
    lines: dict[str, list[int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in (*SKIPPED, RENDER):
                lines.setdefault(called, []).append(node.lineno)
    skipped = {called: sorted(at)[called == RENDER :] for called, at in lines.items()}
    calls = ", ".join(f"{called} (line {', '.join(map(str, at))})" for called, at in skipped.items() if at)
    if calls:
        yield f"every rank runs {name} without {calls}: mpirender renders and writes the images itself"
