"""A Python script as a scene: a state saved as ``.py``, a trace, or one that somebody wrote; read, never run here.

What it contains is known when ParaView has run it; until then, only what its text tells.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from mpirender.engines.base import Inspection
from mpirender.errors import UsageError, one_line
from mpirender.job.render_job import RenderJob

# What a script does that mpirender does itself, or that every rank would do to the same file; left out.
LEFT_OUT = (
    "SaveScreenshot", "SaveAnimation", "SaveExtracts", "SaveData", "SaveState", "WriteImage", "WriteAnimation",
    "WriteAnimationGeometry", "ExportView", "Interact",
)  # fmt: skip
ONCE = "Render"  # its first call resets the camera, which is in the picture; the others are left out


def is_script(job: RenderJob) -> bool:
    """Say whether the scene is Python that has to be run."""
    return job.scene.suffix.lower() == ".py"


def inspect_script(scene: bytes, job: RenderJob) -> Inspection:
    """Say what a script does that is left out, and why it cannot be rendered as asked.

    Raises:
        UsageError: it is not Python.
    """
    tree = parse(scene, job.scene.name)
    from mpirender.engines.paraview import turntable

    wrong = list(turntable.mistakes(job))
    if job.data_dir is not None or job.files:
        wrong.append(
            f"{job.scene.name} is a script, which names its data itself: --data-dir and --file are for states (.pvsm); "
            "for a script there is --set READER.FileName=PATH"
        )
    return Inspection(
        engine="paraview", written_by="a Python script, which is run", play_mode="as the script sets it",
        frames_known=False, warnings=tuple(_left_out(tree, job.scene.name)), mistakes=tuple(wrong),
    )  # fmt: skip


def parse(scene: bytes, name: str) -> ast.Module:
    """Return the syntax tree.

    Raises:
        UsageError: it is not Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its syntax: it is somebody's script
            return ast.parse(scene, name)
    except SyntaxError as error:
        raise UsageError(f"{name}: line {error.lineno}: not Python ({one_line(str(error.msg))})") from None
    except ValueError as error:  # null bytes
        raise UsageError(f"{name}: not Python ({one_line(str(error))})") from None


def _left_out(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield what is left out of the script, with the lines."""
    lines: dict[str, list[int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in (*LEFT_OUT, ONCE):
                lines.setdefault(called, []).append(node.lineno)
    told = {called: sorted(at)[called == ONCE :] for called, at in lines.items()}
    calls = ", ".join(f"{called} (line {', '.join(map(str, at))})" for called, at in told.items() if at)
    if calls:
        yield f"{name} is run by every rank, without its {calls}: mpirender renders and writes the images itself"
