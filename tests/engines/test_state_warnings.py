"""Warn about surprising settings in a ParaView state."""

from __future__ import annotations

import pytest

from mpirender.engines.paraview.inspect import inspect_state
from mpirender.job.render_job import RenderJob
from mpirender.supervisor import preflight
from paraview_states import CLOCK, animation, collection, prop, proxy, state, warnings


def colours(mode, *, visible=1, extra=""):
    return (
        proxy(20, "lookup_tables", "PVLookupTable",
              prop("AutomaticRescaleRangeMode", mode) if mode is not None else extra)
        + collection("lookup_tables", p20="Pressure.PVLookupTable")
        + proxy(21, "representations", "GeometryRepresentation", prop("Visibility", visible),
                prop("LookupTable", proxies=[20]))
    )  # fmt: skip


def test_a_growing_color_map_in_use_is_warned_of(job):
    assert "the color map of Pressure grows" in warnings(state(CLOCK, colours(1)), job())[0]
    for mode in (-1, 0, 2, 3):
        assert warnings(state(CLOCK, colours(mode)), job()) == []
    assert warnings(state(CLOCK, colours(1, visible=0)), job()) == []


def test_a_color_map_without_mode_follows_the_general_settings(job):
    settings = proxy(22, "settings", "GeneralSettings", prop("TransferFunctionResetMode", 1))
    assert "Pressure grows" in warnings(state(CLOCK, settings, colours(None)), job())[0]
    assert warnings(state(CLOCK, settings, colours(None, extra=prop("LockScalarRange", 0))), job()) == []


def test_particles_and_trails_are_warned_of(job):
    particles = proxy(30, "filters", "StreakLine") + collection("sources", p30="Smoke")
    assert "Smoke depends on earlier frames" in warnings(state(particles), job())[0]
    trails = proxy(30, "filters", "ParticlePathLines") + collection("sources", p30="Tails")
    assert "--schedule contiguous (used here) does this once per rank" in warnings(state(trails), job())[0]
    told = warnings(state(trails), job(schedule="dynamic"))[0]
    assert "--schedule contiguous does this once per rank" in told


def test_for_them_frames_are_rendered_in_blocks_unless_another_schedule_is_asked_for(job, tmp_path):
    particles = proxy(30, "filters", "StreakLine") + collection("sources", p30="Smoke")
    for content, asked, taken in (
        (particles, "auto", "contiguous"), ("", "auto", "interleaved"), (particles, "interleaved", "interleaved"),
    ):  # fmt: skip
        path = tmp_path / "s.pvsm"
        path.write_bytes(state(content))
        wanted = RenderJob(path, schedule=asked)
        assert preflight.resolved(wanted, preflight.inspect(wanted)).schedule == taken


def cue(frames, kind="CameraAnimationCue", *more):
    keys = [str(40 + number) for number in range(frames)]
    return "".join(proxy(key, "animation_keyframes", "CameraKeyFrame") for key in keys) + proxy(
        39, "animation", kind, prop("KeyFrames", proxies=keys), *more
    )


def test_a_track_without_key_frames_is_warned_of(job):
    scene = animation(cues=["39"])
    assert "has no key frames, so the camera does not move" in warnings(state(CLOCK, cue(0), scene=scene), job())[0]
    assert "has 1 key frame, so" in warnings(state(CLOCK, cue(1), scene=scene), job())[0]
    assert warnings(state(cue(2), scene=scene), job()) == []
    assert warnings(state(CLOCK, cue(0, "CameraAnimationCue", prop("Enabled", 0)), scene=scene), job()) == []
    assert warnings(state(CLOCK, cue(0, "TimeAnimationCue"), scene=scene), job()) == []
    assert warnings(state(CLOCK, cue(0, "CameraAnimationCue", prop("Mode", 2)), scene=scene), job()) == []


def test_key_frames_that_were_not_saved_do_not_count(job):
    lost = proxy(39, "animation", "CameraAnimationCue", prop("KeyFrames", proxies=["98", "99"]))
    assert "has no key frames" in warnings(state(CLOCK, lost, scene=animation(cues=["39"])), job())[0]


def source(kind, group="sources"):
    return proxy(50, group, kind) + collection("sources", p50="It")


def test_a_scene_in_which_nothing_moves_is_warned_of(job):
    assert "all 5 frames will be identical" in warnings(state(source("ConeSource")), job())[0]
    assert warnings(state(source("ConeSource"), scene=animation(count=1)), job()) == []


@pytest.mark.parametrize(
    "kind", ["TimeSource", "ProgrammableSource", "PythonPhyllotaxis", "SpatioTemporalHarmonicsSource", "FromAPlugin"]
)
def test_a_source_that_may_have_time_is_not_called_still(job, kind):
    assert warnings(state(source(kind)), job()) == []


def test_tracks_and_timesteps_count_as_movement(job):
    still = source("ConeSource")
    (line,) = warnings(state(still, cue(0, "PythonAnimationCue"), scene=animation(cues=["39"])), job())
    assert "39 depends on earlier frames" in line
    assert warnings(state(still, scene=animation(steps=(0, 1))), job()) == []
    assert warnings(state(source("PythonAnnotation", "filters")), job()) == []


def test_versions_that_do_not_fit_are_warned_of(job):
    def told(version, read_by):
        return warnings(state(CLOCK, version=version), job(), read_by)

    assert "use ParaView 5.13 or newer" in told("5.13.2", "5.11.0")[0]
    assert "saved by ParaView 5.11.0 but is rendered by 6.1.1" in told("5.11.0", "6.1.1")[0]
    fitting = ("5.11.2", "5.11.0"), ("5.1.2", "5.11.0"), ("5.9.0", "5.10.0"), ("5.11.0", ""), ("", "5.11.0")
    for version, read_by in fitting:
        assert told(version, read_by) == []


def legend(*props):
    kind = "ScalarBarWidgetRepresentation"
    return proxy(60, "representations", kind, prop("Title", "Pressure"), prop("Visibility", 1), *props)


def test_label_formats_of_a_newer_paraview_are_warned_of(job):
    new = legend(prop("AddRangeLabels", 1), prop("RangeLabelFormat", "{:&lt;#6.1e}"))
    assert "labels of Pressure have the format {:<#6.1e}" in warnings(state(CLOCK, new), job(), "5.11.0")[0]
    assert warnings(state(CLOCK, new), job(), "6.1.1") != warnings(state(CLOCK, new), job(), "5.11.0")
    old = legend(prop("AddRangeLabels", 1), prop("RangeLabelFormat", "%6.1e"))
    hidden = legend(prop("AutomaticLabelFormat", 1), prop("LabelFormat", "{:&lt;#6.1e}"))
    clock = proxy(61, "filters", "AnnotateTimeFilter", prop("Format", "Time: {time:f}"))
    polar = proxy(62, "representations", "PolarAxesRepresentation", prop("PolarLabelFormat", "{:&lt;#6.1e}"))
    owned = proxy(
        63, "representations", "GeometryRepresentation", prop("Visibility", 0), prop("PolarAxes", proxies=["62"])
    )
    point = proxy(
        64, "representations", "GeometryRepresentation", prop("Visibility", 1),
        prop("SelectionPointLabelFormat", "{:g}"), prop("SelectionPointLabelVisibility", 0),
    )  # fmt: skip
    assert "labels of 62" in warnings(state(CLOCK, polar), job(), "5.11.0")[0]
    for quiet in (old, hidden, clock, polar + owned, point):
        assert warnings(state(CLOCK, quiet), job(), "5.11.0") == []


def test_label_formats_that_paraview_6_1_prints_as_they_stand_are_warned_of(job):
    """ParaView 6.1 converts the old formats of the end labels of a legend, but not of the labels between them."""
    old = legend(prop("AutomaticLabelFormat", 0), prop("LabelFormat", "%6.1e"))
    told = warnings(state(CLOCK, old, version="6.1.0"), job(), "6.1.1")
    assert len(told) == 1
    assert "labels of the legend Pressure have the format %6.1e, which ParaView 6.1.1 prints literally" in told[0]
    new = legend(prop("AutomaticLabelFormat", 0), prop("LabelFormat", "{:6.1e}"))
    automatic = legend(prop("AutomaticLabelFormat", 1), prop("LabelFormat", "%6.1e"))
    ends = legend(prop("AutomaticLabelFormat", 1), prop("RangeLabelFormat", "%6.1e"))
    for quiet in (new, automatic, ends):
        assert warnings(state(CLOCK, quiet, version="6.1.0"), job(), "6.1.1") == []
    assert warnings(state(CLOCK, old), job(), "5.11.0") == []


@pytest.mark.parametrize(
    ("sides", "told"), [((640, 400), "HD in 9 passes, 4K in 36 passes; --one-pass"), ((3840, 2160), None)]
)
def test_the_advice_for_one_pass_counts_the_passes_that_it_saves(job, sides, told):
    view = proxy(3, "views", "RenderView", prop("ViewSize", *sides)) + collection("views", p3="RenderView1")
    advice = inspect_state(state(view=view), job(sizes=("HD", "4K"))).advice
    assert len(advice) == (told is not None)
    assert told is None or told in advice[0]
    assert not inspect_state(state(view=view), job(sizes=("HD", "4K"), one_pass=True)).advice


@pytest.mark.parametrize("sides", [("abc", 1), ("", ""), ("1e999", "nan"), (0, -5), ("9" * 5000, 1), ()])
def test_a_view_whose_size_is_none_gets_no_advice(job, sides):
    view = proxy(3, "views", "RenderView", prop("ViewSize", *sides)) + collection("views", p3="RenderView1")
    assert inspect_state(state(view=view), job()).advice == ()


def test_an_axes_grid_around_data_that_changes_costs_less_in_contiguous_blocks(job):
    grid = proxy(3, "views", "RenderView", prop("AxesGrid", proxies=[9])) + collection("views", p3="RenderView1")
    grid += proxy(9, "annotations", "GridAxes3DActor", prop("Visibility", 1))
    changing = state(scene=animation(mode=2, steps=(1, 2)), view=grid)
    assert any("axes grid of RenderView1" in line for line in warnings(changing, job()))
    assert not any("axes grid" in line for line in warnings(changing, job(schedule="contiguous")))
    assert not any("axes grid" in line for line in warnings(state(view=grid), job()))
