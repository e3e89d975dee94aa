"""Play Python tracks as SaveAnimation does, although ranks render the frames in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_scripts import comparison_script
from processes import Run

pytestmark = pytest.mark.slow

TRACKS = '''
def python_track(script):
    scene, cue = simple.GetAnimationScene(), simple.PythonAnimationCue(Script=script)
    scene.Cues.append(cue)
    scene.NumberOfFrames = 4
    simple.servermanager.ProxyManager().RegisterProxy("animation", "Track1", cue.SMProxy)
def turntable():
    view = simple.CreateView("RenderView")
    view.ViewSize = [640, 360]
    simple.Show(simple.Box(), view)
    view.ResetCamera()
    python_track("""
from paraview.simple import *
def start_cue(self): pass
def tick(self): GetActiveCamera().Azimuth(10)
def end_cue(self): pass
""")
def growth():
    view = simple.CreateView("RenderView")
    view.ViewSize, view.AxesGrid.Visibility = [400, 300], 1
    simple.Show(simple.Sphere(registrationName="Ball"), view)
    view.ResetCamera()
    python_track("""
from paraview.simple import *
count = [0, 0]
def start_cue(self): count[1] += 1
def tick(self):
    count[0] += 1
    FindSource("Ball").EndTheta = 40 + 30 * count[0] + 5 * count[1]
def end_cue(self): pass
""")
'''


def test_each_frame_has_had_one_tick_more_than_the_frame_before_in_any_order(pvbatch: Run, tmp_path: Path) -> None:
    """A rank that must go back opens the scene anew. The axes grid of ``growth`` lags behind by a frame."""
    body = (
        TRACKS + "for make in (turntable, growth):\n    compare(make.__name__, FOLDER, make, order=(1, 3, 0, 2, 2))\n"
    )
    said = pvbatch(comparison_script(tmp_path, body)).stdout.splitlines()
    assert [line for line in said if ": " in line] == ["turntable: same", "growth: same"]
