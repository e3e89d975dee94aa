"""Load ParaView plugins, and name objects of a state that this ParaView does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_scripts import comparison_script
from processes import Run
from repository import SUPPORT

pytestmark = pytest.mark.slow

OPEN = """
from mpirender.engines.paraview import engine
from mpirender.job.render_job import RenderJob
def errors(name, *plugins):
    simple.ResetSession()
    job = RenderJob(scene=f"{FOLDER}/{name}.pvsm", sizes=("320x180",), plugins=plugins)
    scene = engine.open_scene(job.scene.read_bytes(), job)
    print("errors", name, len(plugins), scene.errors, [path.stem for path in scene.files], flush=True)
errors("hidden")
errors("shown")
errors("nowhere")
errors("plugin")
errors("plugin", "NonOrthogonalSource")
"""


def test_objects_that_paraview_does_not_know_are_named_with_their_plugin_if_they_are_shown(
    pvbatch: Run, tmp_path: Path
) -> None:
    pvbatch(SUPPORT / "make_plugin_states.py", tmp_path)
    said = pvbatch(comparison_script(tmp_path, OPEN)).stdout
    hidden, shown, nowhere, plugin, loaded = [line for line in said.splitlines() if line.startswith("errors")]
    assert hidden == "errors hidden 0 [] []"
    assert "does not know NewGridActor (NewGrid); use its plugin (--plugin PATH, or PV_PLUGIN_PATH)" in shown
    assert "does not know NobodysSource (Surface)" in nowhere
    assert plugin.endswith("does not know ShearedWavelet (Surface); use --plugin NonOrthogonalSource'] []")
    assert loaded == "errors plugin 1 [] ['NonOrthogonalSource']"


def test_a_plugin_that_cannot_be_loaded_is_one_line(run: Run, pvbatch: Run, tmp_path: Path) -> None:
    pvbatch(SUPPORT / "make_plugin_states.py", tmp_path)
    done = run("render", tmp_path / "plain.pvsm", "--plugin", "Nobodys", "--size", "320x180", "--ranks", 1)
    assert done.returncode == 2, done.stdout
    assert "--plugin Nobodys: no such file, and no such plugin of this ParaView" in done.stderr
