"""Warn of what is known only when ParaView has opened a scene, before anything is rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_scripts import comparison_script
from processes import Run

pytestmark = pytest.mark.slow

BODY = """
from mpirender.engines.paraview import engine
from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
def opened(name, *overrides):
    simple.ResetSession()
    job = RenderJob(scene=f"{FOLDER}/scene.pvsm", sizes=("160x90",), overrides=overrides)
    try:
        print(f"{name}:", engine.open_scene(job.scene.read_bytes(), job).warnings, flush=True)
    except UsageError as error:
        print(f"{name}:", error, flush=True)
view = simple.CreateView("RenderView")
view.ViewSize = [160, 90]
simple.Show(simple.Sphere(Radius=2), view)
view.CameraPosition, view.CameraFocalPoint = [0, 0, 9], [0, 0, 0]
simple.SaveState(f"{FOLDER}/scene.pvsm")
opened("plain")
opened("inside", "RenderView1.CameraPosition=[0,0,1]")
opened("parallel", "RenderView1.CameraPosition=[0,0,1]", "RenderView1.CameraParallelProjection=1")
opened("traced", "RenderView1.EnableRayTracing=1")
opened("clock", "AnimationScene1.PlayMode=Real Time")
simple.ResetSession()
view, sphere = simple.CreateView("RenderView"), simple.Sphere(Radius=2)
view.ViewSize, view.CameraPosition = [160, 90], [0, 0, 9]
simple.Show(sphere, view)
track = simple.GetCameraTrack(view=view)
keys = [simple.CameraKeyFrame(KeyTime=time, Position=place) for time, place in ((0, [0, 0, 9]), (1, [1, 0, 0]))]
track.Mode, track.KeyFrames = "Interpolate Camera", keys
for key in keys:
    simple.servermanager.ProxyManager().RegisterProxy("animation", f"key{key.KeyTime}", key.SMProxy)
simple.SaveState(f"{FOLDER}/scene.pvsm")
opened("moving")
"""


def test_cameras_inside_the_data_and_missing_ray_tracing_are_warned_of(pvbatch: Run, tmp_path: Path) -> None:
    said = pvbatch(comparison_script(tmp_path, BODY)).stdout.splitlines()
    found = {line.partition(": ")[0]: line.partition(": ")[2] for line in said}
    assert found["plain"] == found["parallel"] == "[]"
    assert "the camera of view 'RenderView1' is inside the data at (0, 0, 1)" in found["inside"]
    assert "is inside the data at (1, 0, 0)" in found["moving"]
    assert "asks for ray tracing, which this ParaView does not have" in found["traced"]
    assert "is in Real Time mode" in found["clock"]
