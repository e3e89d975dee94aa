"""Compute the steps that must precede a frame; needs no ParaView."""

from __future__ import annotations

import dataclasses

import pytest

from mpirender.engines.paraview.save_animation_order import (
    LOADED,
    Capture,
    Compute,
    GoToFirst,
    History,
    MarkOutdated,
    Render,
    ResetColorMaps,
    ResetToLoaded,
    Restart,
    SaveAnimationOrder,
    SceneTraits,
    SetTime,
    ShowFrame,
    Step,
    TakeErrors,
    Tick,
    begins_twice,
)
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob

HD = Output("HD", 1920, 1080)
LEFT, RIGHT = dataclasses.replace(HD, eye="left"), dataclasses.replace(HD, eye="right")
SCENE = SceneTraits(times=(0.0, 1.0, 2.0, 3.0), loaded_time=0.5, views={(None, None): ("view",)})
LAGS = dataclasses.replace(SCENE, lags=True)
STEREO = dataclasses.replace(SCENE, stereo=True)
GRID_IN_STEREO = dataclasses.replace(LAGS, stereo=True)
TICKS = dataclasses.replace(SCENE, ticks=True)
ACCUMULATES = dataclasses.replace(SCENE, accumulates=True)


def render(order: SaveAnimationOrder, frame: int, output: Output = HD) -> list[Step]:
    """Record the steps before a frame and its capture; return the steps."""
    steps = order.before(frame, output)
    for step in (*steps, Capture(frame, output)):
        order.record(step)
    return steps


@pytest.mark.parametrize("frames", [(0, 1, 2), (2, 0, 3)])
def test_frames_that_depend_on_nothing_are_shown_at_once(frames: tuple[int, ...]) -> None:
    order = SaveAnimationOrder(SCENE)
    assert [render(order, frame) for frame in frames] == [[ShowFrame(frame)] for frame in frames]


def test_a_lagging_scene_in_order_renders_only_its_frames() -> None:
    order = SaveAnimationOrder(LAGS)
    frames = (0, 1, 2)
    assert [render(order, frame) for frame in frames] == [[MarkOutdated(HD), ShowFrame(frame)] for frame in frames]


def test_a_lagging_scene_renders_first_what_comes_before_the_frame() -> None:
    steps = render(SaveAnimationOrder(LAGS), 3)
    where = " (at time 2, around whose data axes are drawn)"
    assert steps == [SetTime(2.0), Render(2.0), TakeErrors(where), MarkOutdated(HD), ShowFrame(3)]


def test_frame_0_of_a_lagging_scene_follows_the_scene_as_loaded() -> None:
    order = SaveAnimationOrder(LAGS)
    render(order, 1)
    where = " (at time 0.5, around whose data axes are drawn)"
    assert render(order, 0) == [
        ResetToLoaded(), Render(LOADED), TakeErrors(where), MarkOutdated(HD), ShowFrame(0),
    ]  # fmt: skip


def test_an_error_before_a_frame_of_the_same_time_needs_no_explanation() -> None:
    still = dataclasses.replace(LAGS, times=(0.5,))
    order = SaveAnimationOrder(still)
    render(order, 0)
    assert TakeErrors("") in render(order, 0)


def test_the_same_frame_in_another_size_needs_the_previous_frame_again() -> None:
    order = SaveAnimationOrder(LAGS)
    large = dataclasses.replace(HD, name="4K", width=3840, height=2160)
    render(order, 0)
    assert render(order, 1) == [MarkOutdated(HD), ShowFrame(1)]
    assert render(order, 1, large)[:2] == [SetTime(0.0), Render(0.0)]


def test_a_view_that_has_shown_the_previous_frame_does_not_help_another_view() -> None:
    views = {("a", None): ("a",), ("b", None): ("b",)}
    first, second = (dataclasses.replace(HD, view=name) for name in "ab")
    order = SaveAnimationOrder(dataclasses.replace(LAGS, views=views))
    render(order, 1, first)
    assert render(order, 2, first) == [MarkOutdated(first), ShowFrame(2)]
    assert render(order, 2, second)[:2] == [SetTime(1.0), Render(1.0)]
    assert render(order, 2, first) == [MarkOutdated(first), ShowFrame(2)], "that render made both views show frame 1"


def test_earlier_frames_are_computed_once_as_long_as_frames_come_in_order() -> None:
    order = SaveAnimationOrder(ACCUMULATES)
    assert render(order, 2) == [Compute(0), Compute(1), TakeErrors(), ShowFrame(2)]
    assert render(order, 2) == [TakeErrors(), ShowFrame(2)]
    assert render(order, 3) == [Compute(2), TakeErrors(), ShowFrame(3)]


def test_python_tracks_tick_once_for_each_frame() -> None:
    order = SaveAnimationOrder(TICKS)
    assert render(order, 1) == [GoToFirst(), Tick(0), Tick(1), TakeErrors()]
    assert (order.can_play(1), render(order, 1)) == (True, []), "another size of the same frame"
    assert render(order, 2) == [Tick(2), TakeErrors()]
    assert not order.can_play(1)


def test_python_tracks_of_a_lagging_scene_render_the_frame_before() -> None:
    order = SaveAnimationOrder(dataclasses.replace(TICKS, lags=True))
    before = [GoToFirst(), Tick(0), MarkOutdated(HD), Tick(1), Capture(1, HD)]
    assert render(order, 2) == [*before, MarkOutdated(HD), Tick(2), TakeErrors()]
    assert not order.can_play(2), "the frame before is on display no more"


def test_earlier_frames_can_be_replayed_to_find_out_whether_anything_accumulates() -> None:
    order = SaveAnimationOrder(SCENE)
    order.record(Restart())
    assert order.replay(2) == [ResetColorMaps(), ResetToLoaded(), Render(LOADED), Compute(0), Compute(1), TakeErrors()]


def test_going_back_starts_from_the_first_frame() -> None:
    order = SaveAnimationOrder(ACCUMULATES)
    render(order, 2)
    as_loaded = [ResetToLoaded(), Render(LOADED)]
    assert render(order, 1) == [Restart(), ResetColorMaps(), *as_loaded, Compute(0), TakeErrors(), ShowFrame(1)]


def test_after_a_restart_earlier_frames_are_computed_again_without_another_restart() -> None:
    order = SaveAnimationOrder(ACCUMULATES)
    render(order, 1)
    order.record(Restart())
    as_loaded = [ResetToLoaded(), Render(LOADED)]
    assert render(order, 1) == [ResetColorMaps(), *as_loaded, Compute(0), TakeErrors(), ShowFrame(1)]


def test_a_restart_forgets_what_is_on_display() -> None:
    history = History().after([Capture(1, HD)], SCENE)
    assert (history.shown, history.is_latest(["view"], 1, HD)) == ({"view": 1.0}, True)
    assert history.after([Restart()], SCENE) == History(computed=None, latest=1)


def test_in_a_lagging_scene_that_accumulates_the_previous_frame_is_rendered_after_the_replay() -> None:
    order = SaveAnimationOrder(dataclasses.replace(LAGS, accumulates=True))
    steps = render(order, 2)
    assert steps[:4] == [Compute(0), Compute(1), TakeErrors(), SetTime(1.0)]
    steps = render(order, 1)
    assert Render(0.0) in steps[steps.index(Compute(0)) :], "the replay rendered another time"


def test_in_stereo_the_first_image_is_captured_twice() -> None:
    order = SaveAnimationOrder(STEREO)
    assert render(order, 1) == [ShowFrame(1), Capture(1, HD), ShowFrame(1)]
    assert render(order, 3) == [ShowFrame(3)]


def test_each_eye_follows_the_other() -> None:
    order = SaveAnimationOrder(STEREO)
    assert render(order, 0, LEFT) == [ShowFrame(0)]
    assert render(order, 0, RIGHT) == []
    assert render(order, 2, RIGHT) == [ShowFrame(2), Capture(2, LEFT)]


def test_a_right_eye_alone_gets_both_eyes_before() -> None:
    steps = render(SaveAnimationOrder(STEREO), 2, RIGHT)
    assert steps == [ShowFrame(2), Capture(2, RIGHT), ShowFrame(2), Capture(2, LEFT)]


def test_frame_0_in_stereo_begins_as_save_animation_does() -> None:
    order = SaveAnimationOrder(dataclasses.replace(STEREO, begins_twice=True))
    first = [ShowFrame(0), Capture(0, LEFT), ShowFrame(0)]
    assert render(order, 0, LEFT) == first
    again = render(order, 0, LEFT)
    assert again[:3] == [ResetToLoaded(), Render(LOADED), Render(LOADED)]
    assert again[-3:] == first


def test_in_stereo_a_lagging_scene_needs_the_last_image_of_the_previous_frame() -> None:
    order = SaveAnimationOrder(GRID_IN_STEREO)
    where = " (at time 1, around whose data axes are drawn)"
    before = [ShowFrame(1), Capture(1, RIGHT), TakeErrors(where)]
    assert render(order, 2, LEFT) == [*before, MarkOutdated(LEFT), ShowFrame(2)]
    assert render(order, 2, RIGHT) == []
    assert render(order, 3, LEFT) == [MarkOutdated(LEFT), ShowFrame(3)]


@pytest.mark.parametrize(
    ("mode", "times", "twice"),
    [
        ("Both Eyes", (0.0, 0.0), False),
        ("Both Eyes", (0.5, 0.0), True),
        ("Left Eye Only", (0.5, 0.0), False),
        ("Red-Blue", (0.0, 0.0), True),
    ],
)
def test_what_save_animation_renders_before_frame_0_may_change_it(
    mode: str, times: tuple[float, float], *, twice: bool
) -> None:
    assert begins_twice(RenderJob("x.pvsm", stereo_mode=mode), times) == twice


def test_a_kept_order_plays_and_computes_all_frames_before() -> None:
    order = SaveAnimationOrder(SCENE)
    order.keep()
    assert render(order, 2) == [GoToFirst(), Tick(0), Compute(0), Tick(1), Capture(1, HD), Tick(2), TakeErrors()]
    assert (order.can_play(2), order.can_play(1), render(order, 2)) == (True, False, [])


def test_stereo_cannot_go_back_even_if_nothing_is_on_display_any_more() -> None:
    order = SaveAnimationOrder(dataclasses.replace(SCENE, stereo=True))
    order.record(Capture(2, HD))
    order.record(Render())
    assert (order.goes_back(1), order.goes_back(2), order.goes_back(3)) == (True, False, False)
