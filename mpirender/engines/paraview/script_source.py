"""Python scripts as scenes: a state saved as ``.py``, a trace, or a script written by hand.

This module only parses a script. Its scene is known only after ParaView has run it (:mod:`script_runner`).
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Container, Iterator

from mpirender.engines.base import Inspection, refused_scripts
from mpirender.errors import UsageError, one_line
from mpirender.job.render_job import RenderJob

SCRIPT = "the scene itself (a Python script)"
# Calls that mpirender replaces, or that every rank would do with the same file; skipped.
SKIPPED = (
    "SaveScreenshot", "SaveAnimation", "SaveExtracts", "SaveData", "SaveState", "WriteImage", "WriteAnimation",
    "WriteAnimationGeometry", "ExportView", "Interact", "Disconnect",
)  # fmt: skip
PICTURES = ("SaveScreenshot", "WriteImage")  # calls that make one picture each
ENDS = ("Delete", "Disconnect", "ResetSession", "RemoveViewsAndLayouts")  # calls that may leave nothing to render
# The first lines of a script that ParaView generated: "# state file generated using paraview version 6.0.1".
GENERATED = re.compile(r"#.*generated using paraview version (\d+\.\d+\S*)", re.IGNORECASE)
RENDER = "Render"  # its first call resets the camera, so it is kept; further calls are skipped


def is_script(job: RenderJob) -> bool:
    """Return whether the scene is a Python script."""
    return job.scene.suffix.lower() == ".py"


def inspect_script(scene: bytes, job: RenderJob, read_by: str = "") -> Inspection:
    """Return which calls of a script are skipped, and its mistakes; raise UsageError if it is not Python."""
    tree = parse(scene, job.scene.name)
    from mpirender.engines.paraview import orbit_camera, state_scripts, state_warnings

    found = (SCRIPT, *state_scripts.plugins(job))
    mistakes = [*orbit_camera.mistakes(job), *_ranks(tree, job.scene.name), *refused_scripts(job, found)]
    if job.data_dir is not None or job.files:
        mistakes.append(
            f"{job.scene.name} is a Python script: --data-dir and --file work for states (.pvsm) only; use --set "
            "READER.FileName=PATH"
        )
    return Inspection(
        engine="paraview", written_by="a Python script (mpirender runs it)", play_mode="as the script sets it",
        frames_known=False, mistakes=tuple(mistakes), scripts=found,
        warnings=(*_skipped(tree, job.scene.name), *state_warnings.versions(generated_by(scene), read_by)),
    )  # fmt: skip


def generated_by(scene: bytes) -> str:
    """Return the version of the ParaView that generated a script; empty if it names none."""
    match = GENERATED.search("\n".join(scene[:500].decode(errors="replace").splitlines()[:3]))
    return match[1] if match else ""


def lines_of(tree: ast.Module, names: Container[str]) -> list[tuple[str, int]]:
    """Return the calls of functions by name, each with its line, in order."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [(_called(node), node.lineno) for node in calls if _called(node) in names]
    return sorted(found, key=lambda call: call[1])


def _called(node: ast.Call) -> str:
    """Return the name of the function or method that is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _ranks(tree: ast.Module, name: str) -> Iterator[str]:
    """Refuse scripts that divide their work by MPI: each rank would build another scene."""
    for node in ast.walk(tree):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, (ast.Import, ast.ImportFrom)) and any(one.split(".")[0] == "mpi4py" for one in modules):
            yield (
                f"{name}: line {node.lineno}: the script uses MPI, but every rank of mpirender needs the same scene; "
                "remove what depends on the rank, and choose frames with --frames"
            )


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
    for called, line in lines_of(tree, (*SKIPPED, RENDER)):
        lines.setdefault(called, []).append(line)
    skipped = {called: at[called == RENDER :] for called, at in lines.items()}
    calls = ", ".join(f"{called} (line {', '.join(map(str, at))})" for called, at in skipped.items() if at)
    if calls:
        yield f"every rank runs {name} without {calls}: mpirender renders and writes the images itself"
