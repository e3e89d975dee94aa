"""Write scripts that use the ParaView engine inside pvbatch."""

from __future__ import annotations

from pathlib import Path

from mpirender.launcher.environment import PACKAGES_OF_RANKS, package_folders
from repository import REPOSITORY, SUPPORT


def engine_script(folder: Path, state: Path, body: str) -> Path:
    """Write a pvbatch script that opens a state as a rank does and then runs body, which can use scene and job."""
    script = folder / "script.py"
    script.write_text(
        f"""
import sys
sys.path += {[str(REPOSITORY), *package_folders(PACKAGES_OF_RANKS)]!r}
from mpirender.engines.paraview import engine as paraview
from mpirender.job.render_job import RenderJob
job = RenderJob(scene={str(state)!r}, sizes=("640x360",))
scene = paraview.open_scene(paraview.prepare(job.scene.read_bytes(), job)[0], job)
{body}"""
    )
    return script


def comparison_script(folder: Path, body: str) -> Path:
    """Write a pvbatch script that compares frames of the engine with ParaView's own; see compare_frames.py."""
    script = folder / "compare.py"
    script.write_text(
        f"""
import sys
sys.path += {[str(REPOSITORY), str(SUPPORT), *package_folders(PACKAGES_OF_RANKS)]!r}
from paraview import simple
from compare_frames import animate, compare, split_layout
FOLDER = {str(folder)!r}
{body}"""
    )
    return script
