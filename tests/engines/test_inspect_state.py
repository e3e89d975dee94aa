"""Read the frames, views and layouts of a ParaView state without ParaView."""

from __future__ import annotations

from mpirender.engines.base import Layout
from mpirender.engines.paraview.inspect import State, inspect_state
from paraview_states import CLOCK, animation, collection, prop, proxy, state, warnings


def mistakes(content, job):
    return list(inspect_state(content, job).mistakes)


def times(**options):
    return State.parse(state(scene=animation(**options)), "s").times


def test_a_sequence_divides_its_time_into_frames():
    assert times(count=5, start=0, end=8) == (0, 2, 4, 6, 8)
    assert times(count=1, start=3, end=8) == (3,)


def test_snapping_takes_each_timestep_once_in_order():
    assert times(mode=2, steps=(3, 1, 2.5, 1)) == (1, 2.5, 3)
    assert times(mode=2, steps=(2, 1), end=2, extra=prop("FramesPerTimestep", 2)) == (1, 1, 2)
    assert times(mode=2, steps=(2, 1), end=8, extra=prop("FramesPerTimestep", 2)) == (1, 1, 2, 2)


def test_real_time_is_refused_with_the_fix(job):
    (line,) = mistakes(state(scene=animation(mode=1)), job())
    assert "Real Time mode" in line and "set the mode to Sequence or Snap To TimeSteps" in line


def test_an_animation_without_frames_is_refused(job):
    assert "has no frames; set the number" in mistakes(state(scene=animation(count=0)), job())[0]
    assert "its data have no timesteps" in mistakes(state(scene=animation(mode=2)), job())[0]
    assert "contains no animation" in mistakes(state(scene=" "), job())[0]


def test_frames_that_are_not_there_are_named(job):
    assert mistakes(state(), job(frames="0-2,4-7,9")) == ["--frames 0-2,4-7,9: the scene has frames 0-4, not 5-7,9"]
    assert mistakes(state(), job(frames="0-4")) == []


def test_timesteps_of_relocated_data_are_left_to_the_engine(job, tmp_path):
    snap = state(scene=animation(mode=2, steps=(1, 2)))
    assert mistakes(snap, job(frames="2")) == ["--frames 2: the scene has frames 0-1, not 2"]
    assert mistakes(snap, job(frames="2", data_dir=tmp_path)) == []


FOUR_VIEWS = (
    proxy(3, "views", "XYChartView") + proxy(5, "views", "RenderView") + proxy(6, "views", "RenderView")
    + proxy(7, "views", "SpreadSheetView")
    + collection("views", p3="Chart", p5="Zebra", p6="Apple", p7="Sheet")
    + '<Proxy group="misc" type="ViewLayout" id="8"><Layout number_of_elements="3"><Item view="0"/><Item view="6"/>'
    '<Item view="3"/></Layout></Proxy>'
    '<Proxy group="misc" type="ViewLayout" id="9"><Layout><Item view="0"/></Layout></Proxy>'
    + collection("layouts", p8="Layout #2", p9="Empty")
)  # fmt: skip


def test_the_first_render_view_by_name_is_in_front(job):
    seen = inspect_state(state(CLOCK, view=FOUR_VIEWS), job())
    assert seen.views == ("Apple", "Chart", "Sheet", "Zebra")
    assert seen.layouts == (Layout("Empty", ()), Layout("Layout #2", ("Apple", "Chart")))


def test_of_several_views_the_warning_names_the_one_rendered(job):
    (line,) = warnings(state(CLOCK, view=FOUR_VIEWS), job())
    assert (
        "'Apple' is rendered" in line
        and "--view NAME for another view (Chart, Sheet, Zebra)" in line
        and "(Layout #2)" in line
    )
    assert warnings(state(CLOCK, view=FOUR_VIEWS), job(views=("Zebra",))) == []


def test_an_unknown_view_or_layout_names_those_there_are(job):
    scene = state(CLOCK, view=FOUR_VIEWS)
    assert mistakes(scene, job(views=("zebr",))) == [
        "--view 'zebr' is not in the scene, did you mean 'Zebra'?; it has: Apple, Chart, Sheet, Zebra"
    ]
    assert "it has: 1 'Empty', 2 'Layout #2'" in mistakes(scene, job(layouts=("3",)))[0]
    assert mistakes(scene, job(layouts=("2",))) == mistakes(scene, job(layouts=("Layout #2",))) == []
    assert "contains no view" in mistakes(scene, job(layouts=("Empty",)))[0]


def test_a_spreadsheet_view_cannot_be_rendered(job):
    assert "'Sheet' is a spreadsheet" in mistakes(state(view=FOUR_VIEWS), job(views=("Sheet",)))[0]


def test_a_state_without_view_is_refused(job):
    assert "contains no view" in mistakes(state(view=" "), job())[0]
