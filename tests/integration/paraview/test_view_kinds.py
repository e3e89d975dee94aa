"""Render views of all kinds, alone and in layouts, pixel for pixel as ParaView's own SaveAnimation does."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_scripts import comparison_script
from processes import Run

pytestmark = pytest.mark.slow

LAYOUTS = """
def beside(kind):
    def make():
        view, other = simple.CreateView("RenderView"), simple.CreateView(kind)
        split_layout(view, other)
        sphere = simple.Sphere()
        for shown in (view, other):
            simple.Show(sphere, shown)
        view.ResetCamera()
        animate("EndTheta", sphere, 90, 360)
    return make
for kind in ("RenderView", "SpreadSheetView", "OrthographicSliceView", "MultiSlice", "XYChartView"):
    compare(kind, FOLDER, beside(kind), layout="Both")
"""
ALONE = """
def orthographic():
    view, sphere = simple.CreateView("OrthographicSliceView"), simple.Sphere()
    view.ViewSize = [400, 300]
    simple.Show(sphere, view)
    view.ResetCamera()
    animate("EndTheta", sphere, 90, 360)
def axes():
    view, sphere = simple.CreateView("RenderView"), simple.Sphere()
    view.ViewSize, view.AxesGrid.Visibility, view.CenterAxesVisibility = [400, 300], 1, 1
    simple.Show(sphere, view)
    view.ResetCamera()
    animate("EndTheta", sphere, 90, 360)
def comparative():
    view, sphere = simple.CreateView("ComparativeRenderView"), simple.Sphere()
    view.ViewSize, view.Dimensions = [400, 300], [2, 2]
    simple.Show(sphere, view)
    cue = simple.servermanager.animation.ComparativeAnimationCue(
        AnimatedProxy=sphere, AnimatedPropertyName="EndPhi", AnimatedElement=0
    )
    cue.SMProxy.UpdateWholeRange(60, 180)
    simple.servermanager.ProxyManager().RegisterProxy("comparative_cues", "cue", cue.SMProxy)
    view.Cues = [cue]
    animate("EndTheta", sphere, 90, 360)
compare("comparative", FOLDER, comparative, sizes=("400x300", "800x900"))
def follow():
    view, cone = simple.CreateView("RenderView"), simple.Cone()
    view.ViewSize = [400, 300]
    simple.Show(cone, view)
    view.ResetCamera()
    track = simple.GetCameraTrack(view=view)
    track.Mode, track.DataSource = "Follow-data", cone
    animate("Height", cone, 1, 3)
for make in (orthographic, axes, follow):
    compare(make.__name__, FOLDER, make)
"""


def test_layouts_of_all_kinds_of_views_are_paraviews_in_any_order_and_size(pvbatch: Run, tmp_path: Path) -> None:
    said = pvbatch(comparison_script(tmp_path, LAYOUTS)).stdout
    kinds = ("RenderView", "SpreadSheetView", "OrthographicSliceView", "MultiSlice", "XYChartView")
    assert [line for line in said.splitlines() if "View" in line or "Slice" in line] == [
        f"{kind}: same" for kind in kinds
    ]


def test_views_that_draw_around_the_data_of_the_previous_render_are_paraviews(pvbatch: Run, tmp_path: Path) -> None:
    """Before frame 0 that is the scene as it was loaded, with the properties that no track has set yet.

    A camera that follows the data needs no key frames, though ParaView reports an error in every frame.
    """
    said = pvbatch(comparison_script(tmp_path, ALONE)).stdout
    assert [line for line in said.splitlines() if ": " in line] == [
        "comparative: same", "orthographic: same", "axes: same", "follow: same",
    ]  # fmt: skip
