"""What mpirender tells of a ParaView state without ParaView, and that ParaView agrees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import fileseq
import pytest

from mpirender.engines import Layout
from mpirender.engines.paraview.inspect import State, inspect_state, relocate
from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from mpirender.supervisor import preflight
from mpirender.system import xvfb

REPOSITORY = Path(__file__).parents[2]

# ---- small states, written by hand -----------------------------------------------------------------------------------


def prop(name, *values, proxies=(), files=False):
    elements = "".join(f'<Element index="{i}" value="{value}"/>' for i, value in enumerate(values))
    elements += "".join(f'<Proxy value="{proxy}"/>' for proxy in proxies)
    domain = '<Domain name="files" id="x"/>' if files else ""
    return f'<Property name="{name}" number_of_elements="{len(values) or len(proxies)}">{elements}{domain}</Property>'


def proxy(id_, group, type_, *props):
    return f'<Proxy group="{group}" type="{type_}" id="{id_}">{"".join(props)}</Proxy>'


def collection(name, **items):
    listed = "".join(f'<Item id="{key.lstrip("p")}" name="{value}"/>' for key, value in items.items())
    return f'<ProxyCollection name="{name}">{listed}</ProxyCollection>'


def animation(*, mode=0, count=5, start=0, end=8, cues=(), extra="", steps=()):
    return proxy(
        1, "animation", "AnimationScene", prop("PlayMode", mode), prop("NumberOfFrames", count),
        prop("StartTime", start), prop("EndTime", end), prop("TimeKeeper", proxies=[2]), prop("Cues", proxies=cues),
        extra,
    ) + proxy(2, "misc", "TimeKeeper", prop("TimestepValues", *steps))  # fmt: skip


VIEW = proxy(3, "views", "RenderView") + collection("views", p3="RenderView1")
CLOCK = proxy(4, "filters", "AnnotateTimeFilter") + collection("sources", p4="Clock")
ROOT = '<ParaView><ServerManagerState version="{}">{}</ServerManagerState></ParaView>'


def state(*parts, scene=None, view=VIEW, version="5.11.0"):
    return ROOT.format(version, "".join([scene or animation(), view, *parts])).encode()


def reader(*files, id_=10, name="data.vtu", extra=""):
    one = proxy(id_, "sources", "XMLUnstructuredGridReader", prop("FileName", *files, files=True), extra)
    return one + collection("sources", **{f"p{id_}": name})


@pytest.fixture
def job(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def make(**options):
        return RenderJob(tmp_path / "scenes" / "scene.pvsm", **options)

    return make


def mistakes(content, job):
    return list(inspect_state(content, job).mistakes)


def warnings(content, job, read_by=""):
    return list(inspect_state(content, job, read_by).warnings)


def refusal(content):
    with pytest.raises(UsageError) as error:
        State.parse(content, "s.pvsm")
    assert len(error.value.mistakes) == 1 and "\n" not in str(error.value)
    return str(error.value)


# ---- what is no state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\0" * 100])
def test_an_empty_file_is_called_empty(content):
    assert "s.pvsm: the file is empty" in refusal(content)


def test_a_state_cut_short_says_at_which_line():
    lines = state().replace(b"><", b">\n<").split(b"\n")
    assert f"breaks off at line {len(lines) - 3}" in refusal(b"\n".join(lines[:-3]))
    assert "save it again from ParaView" in refusal(b"\n".join(lines[:10])[:-4])


def test_every_cut_of_a_state_is_refused_in_one_line():
    whole = state()
    for end in range(len(whole)):
        refusal(whole[:end])


def test_a_damaged_state_says_at_which_line():
    assert "line 2 is not XML" in refusal(state().replace(b"><", b">\n<\x01", 1))


def test_other_xml_is_named_by_its_outermost_element():
    assert "not a ParaView state but XML of another kind (<html>)" in refusal(b"<html><body/></html>")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"PK\x03\x04" + bytes(range(256)), b"hello"])
def test_what_is_not_xml_is_called_so(content):
    assert "not a ParaView state but not XML" in refusal(content)


def test_a_python_state_is_recognised():
    assert "a Python script; give the .pvsm file" in refusal(b"# state file\nimport paraview\nfrom paraview import x\n")


def test_a_bare_manager_state_and_a_byte_order_mark_are_read():
    bare = ET.tostring(State.parse(state(), "s").root)
    assert State.parse(b"\xef\xbb\xbf" + bare, "s").version == "5.11.0"


# ---- frames ----------------------------------------------------------------------------------------------------------


def times(**options):
    return State.parse(state(scene=animation(**options)), "s").times


def test_a_sequence_divides_its_time_into_frames():
    assert times(count=5, start=0, end=8) == (0, 2, 4, 6, 8)
    assert times(count=1, start=3, end=8) == (3,)


def test_snapping_takes_each_timestep_once_in_order():
    assert times(mode=2, steps=(3, 1, 2.5, 1)) == (1, 2.5, 3)
    assert times(mode=2, steps=(2, 1), end=2, extra=prop("FramesPerTimestep", 2)) == (1, 1, 2)
    assert times(mode=2, steps=(2, 1), end=8, extra=prop("FramesPerTimestep", 2)) == (1, 1, 2, 2)


def test_real_time_is_refused_with_the_cure(job):
    (line,) = mistakes(state(scene=animation(mode=1)), job())
    assert "Real Time mode" in line and "set the mode to Sequence or Snap To TimeSteps" in line


def test_an_animation_without_frames_is_refused(job):
    assert "has no frames; set the number" in mistakes(state(scene=animation(count=0)), job())[0]
    assert "its data has no timesteps" in mistakes(state(scene=animation(mode=2)), job())[0]
    assert "holds no animation" in mistakes(state(scene=" "), job())[0]


def test_frames_that_are_not_there_are_named(job):
    assert mistakes(state(), job(frames="0-2,4-7,9")) == [
        "--frames 0-2,4-7,9: the scene has frames 0-4; 5-7,9 are not there"
    ]
    assert mistakes(state(), job(frames="0-4")) == []


def test_timesteps_of_relocated_data_are_left_to_the_engine(job, tmp_path):
    snap = state(scene=animation(mode=2, steps=(1, 2)))
    assert mistakes(snap, job(frames="2")) == ["--frames 2: the scene has frames 0-1; 2 is not there"]
    assert mistakes(snap, job(frames="2", data_dir=tmp_path)) == []


# ---- views and layouts -----------------------------------------------------------------------------------------------

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


def test_several_views_are_told_with_the_one_rendered(job):
    (line,) = warnings(state(CLOCK, view=FOUR_VIEWS), job())
    assert "'Apple' is rendered" in line and "--view NAME (Chart, Sheet, Zebra)" in line and "(Layout #2)" in line
    assert warnings(state(CLOCK, view=FOUR_VIEWS), job(views=("Zebra",))) == []


def test_an_unknown_view_or_layout_names_those_there_are(job):
    scene = state(CLOCK, view=FOUR_VIEWS)
    assert mistakes(scene, job(views=("zebr",))) == [
        "--view 'zebr' is not in the scene, did you mean 'Zebra'?; it has: Apple, Chart, Sheet, Zebra"
    ]
    assert "it has: 1 'Empty', 2 'Layout #2'" in mistakes(scene, job(layouts=("3",)))[0]
    assert mistakes(scene, job(layouts=("2",))) == mistakes(scene, job(layouts=("Layout #2",))) == []
    assert "no view is in this layout" in mistakes(scene, job(layouts=("Empty",)))[0]


def test_a_spreadsheet_is_no_picture(job):
    assert "'Sheet' is a spreadsheet" in mistakes(state(view=FOUR_VIEWS), job(views=("Sheet",)))[0]


def test_a_state_without_view_is_refused(job):
    assert "holds no view" in mistakes(state(view=" "), job())[0]


# ---- data files ------------------------------------------------------------------------------------------------------


def relocated(content, job):
    """Return paths in the relocated state, the data files and the mistakes."""
    out, files, wrong = relocate(State.parse(content, "s"), job)
    again = State.parse(out, "s")
    found = [element.get("value") for element in again.root.iterfind("Proxy/Property[@name='FileName']/Element")]
    return found, files, wrong


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_a_state_whose_files_are_there_stays_as_it_is_to_the_byte(job, tmp_path):
    touch(tmp_path / "data.vtu")
    content = state(reader(tmp_path / "data.vtu", ""))
    out, files, wrong = relocate(State.parse(content, "s"), job())
    assert (out, wrong) == (content, [])
    assert [(file.path, file.found) for file in files] == [(str(tmp_path / "data.vtu"), True)]


def test_a_missing_file_says_which_reader_and_both_cures(job):
    (line,) = relocated(state(reader("Y:\\Data\\data.vtu")), job())[2]
    assert line.startswith("reader 'data.vtu' reads Y:\\Data\\data.vtu, which is not here; ")
    assert line.endswith("say where it is with --data-dir FOLDER or --file data.vtu=PATH")


def test_a_file_beside_the_scene_is_hinted_at(job, tmp_path):
    touch(tmp_path / "scenes" / "data.vtu")
    for saved in ("Y:\\Data\\data.vtu", "data.vtu", "/no/where/data.vtu"):
        line = relocated(state(reader(saved)), job())[2][0]
        assert f"it is beside the scene: --data-dir {tmp_path / 'scenes'}" in line


def test_a_relative_path_is_taken_from_where_one_stands(job, tmp_path):
    touch(tmp_path / "here" / "data.vtu")
    found, (file,), wrong = relocated(state(reader("data.vtu")), job())
    assert (found, file.path, wrong) == (["data.vtu"], str(tmp_path / "here" / "data.vtu"), [])


@pytest.mark.parametrize(
    "saved", ["Y:\\run\\deep\\data.vtu", "/gone/run/deep/data.vtu", "\\\\host\\run\\deep\\data.vtu"]
)
@pytest.mark.parametrize("place", ["data.vtu", "deep/data.vtu", "run/deep/data.vtu"])
def test_the_data_folder_is_searched_with_longer_and_longer_parts_of_the_old_path(job, tmp_path, saved, place):
    touch(tmp_path / "new" / place)
    found, (file,), wrong = relocated(state(reader(saved)), job(data_dir=tmp_path / "new"))
    assert (found, file.found, wrong) == ([str(tmp_path / "new" / place)], True, [])


def test_what_is_not_in_the_data_folder_stays_where_it_was_saved(job, tmp_path):
    touch(tmp_path / "old" / "data.vtu")
    (tmp_path / "new").mkdir()
    saved = str(tmp_path / "old" / "data.vtu")
    assert relocated(state(reader(saved)), job(data_dir=tmp_path / "new"))[0] == [saved]


def test_every_file_of_a_series_is_looked_for(job, tmp_path):
    touch(*(tmp_path / "new" / f"d_{step}.vtu" for step in range(30)))
    series = state(reader(*(f"/gone/d_{step}.vtu" for step in range(40))))
    (line,) = relocated(series, job(data_dir=tmp_path / "new"))[2]
    assert f"reads 40 files, 10 of them neither there nor in {tmp_path / 'new'}, first /gone/d_30.vtu, " in line


def test_a_data_folder_that_is_not_there_is_refused(job, tmp_path):
    wrong = relocated(state(reader("/gone/a.vtu")), job(data_dir=tmp_path / "no"))[2]
    assert wrong[0] == f"--data-dir {tmp_path / 'no'}: no such folder"


def test_a_variable_at_the_start_of_a_path_is_replaced(job, tmp_path, monkeypatch):
    touch(tmp_path / "data.vtu")
    scene = state(reader("$SOME_DATA/data.vtu"))
    assert "variable SOME_DATA is not set" in relocated(scene, job())[2][0]
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    assert relocated(scene, job())[::2] == ([str(tmp_path / "data.vtu")], [])


def test_a_chosen_file_replaces_the_readers(job, tmp_path):
    touch(tmp_path / "big.vtu")
    found, (file,), wrong = relocated(state(reader("/gone/a.vtu")), job(files={"data.vtu": "../big.vtu"}))
    assert (found, file.saved, wrong) == ([str(tmp_path / "big.vtu")], "/gone/a.vtu", [])


def test_a_pattern_replaces_a_series_in_the_order_of_its_numbers(job, tmp_path):
    touch(*(tmp_path / f"big_{step}.vtu" for step in (1, 10, 2, 9)))
    files = {"data.vtu": f"{tmp_path}/big_*.vtu"}
    found, _, wrong = relocated(state(reader("/gone/a0.vtu", "/gone/a1.vtu")), job(files=files))
    assert [Path(path).name for path in found] == ["big_1.vtu", "big_2.vtu", "big_9.vtu", "big_10.vtu"] and not wrong
    assert "the reader reads one; name one" in relocated(state(reader("/gone/a.vtu")), job(files=files))[2][0]


def test_wrong_choices_of_files_are_told_together(job, tmp_path):
    files = {"data.vt": "/gone/a.vtu", "data.vtu": "/gone/b.vtu"}
    assert relocated(state(reader("/gone/a.vtu")), job(files=files))[2] == [
        "--file data.vt=/gone/a.vtu: the scene has no reader of that name, did you mean 'data.vtu'?; it has: data.vtu",
        "--file data.vtu=/gone/b.vtu: no such file",
    ]
    pattern = relocated(state(reader("/gone/a", "/gone/b")), job(files={"data.vtu": "/gone/*.x"}))[2]
    assert pattern == ["--file data.vtu=/gone/*.x: no file is called like that"]


def test_one_file_in_place_of_a_series_is_warned_of(job, tmp_path):
    touch(tmp_path / "a.vtu")
    (line,) = warnings(state(reader("/gone/a", "/gone/b")), job(files={"data.vtu": f"{tmp_path}/a.vtu"}))
    assert "one file in place of the 2 that 'data.vtu' reads" in line


def test_signs_that_xml_escapes_survive_relocation(job, tmp_path):
    touch(tmp_path / "new" / "a & <b> ü.vtu")
    code = proxy(11, "filters", "ProgrammableFilter", prop("Script", "if a &lt; b:&#10;&#9;print(&quot;ü&amp;&quot;)"))
    content = state(reader("/gone/a &amp; &lt;b&gt; ü.vtu"), code)
    out, (file,), wrong = relocate(State.parse(content, "s"), job(data_dir=tmp_path / "new"))
    assert file.found and not wrong
    assert State.parse(out, "s").by_id["11"].values("Script") == ['if a < b:\n\tprint("ü&")']


def test_a_prefix_follows_its_files(job, tmp_path):
    touch(tmp_path / "new" / "can.ex2")
    extra = prop("FilePrefix", "/gone/can") + prop("FilePattern", "%s")
    content = state(reader("/gone/can.ex2", extra=extra))
    out, files, _ = relocate(State.parse(content, "s"), job(data_dir=tmp_path / "new"))
    assert State.parse(out, "s").by_id["10"].values("FilePrefix") == [str(tmp_path / "new" / "can")]
    assert len(files) == 1


# ---- what might surprise ---------------------------------------------------------------------------------------------


def colours(mode, *, visible=1, extra=""):
    return (
        proxy(20, "lookup_tables", "PVLookupTable",
              prop("AutomaticRescaleRangeMode", mode) if mode is not None else extra)
        + collection("lookup_tables", p20="Pressure.PVLookupTable")
        + proxy(21, "representations", "GeometryRepresentation", prop("Visibility", visible),
                prop("LookupTable", proxies=[20]))
    )  # fmt: skip


def test_a_growing_colour_map_in_use_is_warned_of(job):
    assert "the colour map of Pressure grows" in warnings(state(CLOCK, colours(1)), job())[0]
    for mode in (-1, 0, 2, 3):
        assert warnings(state(CLOCK, colours(mode)), job()) == []
    assert warnings(state(CLOCK, colours(1, visible=0)), job()) == []


def test_a_colour_map_without_mode_follows_the_general_settings(job):
    settings = proxy(22, "settings", "GeneralSettings", prop("TransferFunctionResetMode", 1))
    assert "Pressure grows" in warnings(state(CLOCK, settings, colours(None)), job())[0]
    assert warnings(state(CLOCK, settings, colours(None, extra=prop("LockScalarRange", 0))), job()) == []


def test_particles_and_trails_are_warned_of(job):
    particles = proxy(30, "filters", "StreakLine") + collection("sources", p30="Smoke")
    assert "Smoke carries something on from frame to frame" in warnings(state(particles), job())[0]
    trails = proxy(30, "filters", "ParticlePathLines") + collection("sources", p30="Tails")
    assert "in blocks (--schedule contiguous) it does so once" in warnings(state(trails), job())[0]
    told = warnings(state(trails), job(schedule="dynamic"))[0]
    assert "with --schedule contiguous it does so once" in told


def test_for_them_frames_are_rendered_in_blocks_unless_another_schedule_is_asked_for(job, tmp_path):
    particles = proxy(30, "filters", "StreakLine") + collection("sources", p30="Smoke")
    for content, asked, taken in (
        (particles, "auto", "contiguous"), ("", "auto", "interleaved"), (particles, "interleaved", "interleaved"),
    ):  # fmt: skip
        path = tmp_path / "s.pvsm"
        path.write_bytes(state(content))
        assert preflight.resolved(RenderJob(path, schedule=asked)).schedule == taken


def cue(frames, kind="CameraAnimationCue", *more):
    keys = [str(40 + number) for number in range(frames)]
    return "".join(proxy(key, "animation_keyframes", "CameraKeyFrame") for key in keys) + proxy(
        39, "animation", kind, prop("KeyFrames", proxies=keys), *more
    )


def test_a_track_without_key_frames_is_warned_of(job):
    scene = animation(cues=["39"])
    assert "has no key frames, so the camera stands still" in warnings(state(CLOCK, cue(0), scene=scene), job())[0]
    assert "has 1 key frame, so" in warnings(state(CLOCK, cue(1), scene=scene), job())[0]
    assert warnings(state(cue(2), scene=scene), job()) == []
    assert warnings(state(CLOCK, cue(0, "CameraAnimationCue", prop("Enabled", 0)), scene=scene), job()) == []
    assert warnings(state(CLOCK, cue(0, "TimeAnimationCue"), scene=scene), job()) == []
    assert "--on-error warn" in warnings(state(cue(0, "CameraAnimationCue", prop("Mode", 2)), scene=scene), job())[0]


def test_key_frames_that_were_not_saved_do_not_count(job):
    lost = proxy(39, "animation", "CameraAnimationCue", prop("KeyFrames", proxies=["98", "99"]))
    assert "has no key frames" in warnings(state(CLOCK, lost, scene=animation(cues=["39"])), job())[0]


def source(kind, group="sources"):
    return proxy(50, group, kind) + collection("sources", p50="It")


def test_a_scene_in_which_nothing_moves_is_warned_of(job):
    assert "all 5 frames will be equal" in warnings(state(source("ConeSource")), job())[0]
    assert warnings(state(source("ConeSource"), scene=animation(count=1)), job()) == []


@pytest.mark.parametrize(
    "kind", ["TimeSource", "ProgrammableSource", "PythonPhyllotaxis", "SpatioTemporalHarmonicsSource", "FromAPlugin"]
)
def test_a_source_that_may_have_time_is_not_called_still(job, kind):
    assert warnings(state(source(kind)), job()) == []


def test_tracks_and_timesteps_count_as_movement(job):
    still = source("ConeSource")
    assert warnings(state(still, cue(0, "PythonAnimationCue"), scene=animation(cues=["39"])), job()) == []
    assert warnings(state(still, scene=animation(steps=(0, 1))), job()) == []
    assert warnings(state(source("PythonAnnotation", "filters")), job()) == []


def test_versions_that_do_not_fit_are_warned_of(job):
    def told(version, read_by):
        return warnings(state(CLOCK, version=version), job(), read_by)

    assert "take ParaView 5.13 or newer" in told("5.13.2", "5.11.0")[0]
    assert "saved by ParaView 5.11.0 and is rendered by 6.1.1" in told("5.11.0", "6.1.1")[0]
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
    for quiet in (old, hidden, clock):
        assert warnings(state(CLOCK, quiet), job(), "5.11.0") == []


def test_label_formats_that_paraview_6_1_prints_as_they_stand_are_warned_of(job):
    """Seen: it converts the old formats of the legend's ends, but not that of the labels between them."""
    old = legend(prop("AutomaticLabelFormat", 0), prop("LabelFormat", "%6.1e"))
    told = warnings(state(CLOCK, old, version="6.1.0"), job(), "6.1.1")
    assert len(told) == 1
    assert "labels of the legend Pressure have the format %6.1e, which ParaView 6.1.1 prints as it stands" in told[0]
    new = legend(prop("AutomaticLabelFormat", 0), prop("LabelFormat", "{:6.1e}"))
    automatic = legend(prop("AutomaticLabelFormat", 1), prop("LabelFormat", "%6.1e"))
    ends = legend(prop("AutomaticLabelFormat", 1), prop("RangeLabelFormat", "%6.1e"))
    for quiet in (new, automatic, ends):
        assert warnings(state(CLOCK, quiet, version="6.1.0"), job(), "6.1.1") == []
    assert warnings(state(CLOCK, old), job(), "5.11.0") == []


# ---- the real ParaView -----------------------------------------------------------------------------------------------

MAKE_STATES = """
import json, os, shutil, sys

sys.path += sys.argv[2:]
from paraview import servermanager, simple
from paraview.simple import *
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter
try:
    from paraview.modules.vtkPVCommon import vtkPVXMLParser
except ImportError:
    from paraview.modules.vtkPVVTKExtensionsCore import vtkPVXMLParser
from mpirender.engines import pvsm
from mpirender.job.render_job import RenderJob

for name in ("_add_functions", "_remove_functions"):  # a new session looks up all documentation, a second each time
    if hasattr(simple, name):
        setattr(simple, name, lambda where: None)
os.chdir(sys.argv[1])
told = {}


def name_of(group, proxy):
    return servermanager.ProxyManager().GetProxyName(group, proxy.SMProxy)


def save(name):
    SaveState(name + ".pvsm")
    ResetSession()


# Two render views, a chart and a table in two layouts.
zebra, apple = (CreateView("RenderView", registrationName=name) for name in ("Zebra", "Apple"))
chart = CreateView("XYChartView", registrationName="Chart")
table = CreateView("SpreadSheetView", registrationName="Sheet")
left, right = CreateLayout("Pictures"), CreateLayout("Numbers")
AssignViewToLayout(zebra, left)
left.SplitHorizontal(0, 0.5)
left.AssignView(2, apple)
AssignViewToLayout(table, right)
right.SplitVertical(0, 0.5)
right.AssignView(2, chart)
Show(Sphere(registrationName="Ball"), zebra)
save("views")
LoadState("views.pvsm")
told["render views"] = [name_of("views", view) for view in GetRenderViews()]
told["views"] = [name_of("views", view) for view in GetViews()]
told["layouts"] = {key[0]: sorted(name_of("views", view) for view in GetViewsInLayout(layout))
                   for key, layout in GetLayouts().items()}
told["active"] = name_of("views", GetActiveView())
ResetSession()

# A series of three files two folders deep, and copies of it elsewhere.
names = ["ball_%d.vtp" % step for step in (1, 2, 10)]
os.makedirs("old/run/deep")
for step, name in enumerate(names):
    source = vtkSphereSource()
    source.SetRadius(1 + step)
    writer = vtkXMLPolyDataWriter()
    writer.SetFileName("old/run/deep/" + name)
    writer.SetInputConnection(source.GetOutputPort())
    writer.Write()
old = os.path.abspath("old/run/deep")
reader = XMLPolyDataReader(registrationName="ball_", FileName=[old + "/" + name for name in names])
Show(reader, CreateView("RenderView"))
GetAnimationScene().UpdateAnimationUsingDataTimeSteps()
GetAnimationScene().PlayMode = "Snap To TimeSteps"
save("series")
with open("series.pvsm") as file, open("windows.pvsm", "w") as copy:
    copy.write(file.read().replace(old + "/", "Y:\\\\old\\\\run\\\\deep\\\\"))
places = {"flat": names, "deeper/run/deep": names, "partly": names[:1],
          "both": names, "both/deep": names}
for place, copied in places.items():
    os.makedirs(place, exist_ok=True)
    for name in copied:
        shutil.copy(old + "/" + name, place)


def read_files():
    reader = FindSource("ball_")
    found = list(reader.FileName)
    steps = list(GetAnimationScene().TimeKeeper.TimestepValues)
    ResetSession()
    return found, steps


def ours(scene, **options):
    with open(scene + ".pvsm", "rb") as file:
        state = pvsm.State.parse(file.read(), scene)
    content, _, mistakes = pvsm.relocate(state, RenderJob(scene + ".pvsm", **options))
    assert not mistakes, mistakes
    parser = vtkPVXMLParser()
    assert parser.Parse(content.decode())
    servermanager.ProxyManager().SMProxyManager.LoadXMLState(parser.GetRootElement())
    return read_files()


told["relocated"] = {}
for scene, place in (("series", "partly"), ("series", "both"), ("windows", "flat"), ("windows", "deeper")):
    LoadState(scene + ".pvsm", data_directory=os.path.abspath(place))
    told["relocated"][scene + " " + place] = [read_files(), ours(scene, data_dir=place)]
told["chosen"] = ours("series", files={"ball_": "flat/ball_*.vtp"})

# A camera on an orbit with key frames that are registered, and one whose key frames are not saved.
for name in ("orbit", "idle"):
    Show(Cone(), CreateView("RenderView"))
    cue = CameraAnimationCue(AnimatedProxy=GetActiveView(), Mode="Path-based")
    for number in range(2):
        frame = CameraKeyFrame(KeyTime=number)
        if name == "orbit":
            servermanager.ProxyManager().RegisterProxy("animation", "Key%d" % number, frame.SMProxy)
        cue.KeyFrames = list(cue.KeyFrames) + [frame]
    scene = GetAnimationScene()
    scene.Cues = list(scene.Cues) + [cue]
    servermanager.ProxyManager().RegisterProxy("animation", "Camera1", cue.SMProxy)
    scene.NumberOfFrames, scene.StartTime, scene.EndTime = 5, 2.0, 4.0
    save(name)

# A colour map that grows, another that nothing shows; particles; a clock; nothing at all.
shown = Show(Wavelet(), CreateView("RenderView"))
ColorBy(shown, ("POINTS", "RTData"))
for array in ("RTData", "unused"):
    GetColorTransferFunction(array).AutomaticRescaleRangeMode = "Grow and update every timestep"
AnnotateTimeFilter(Sphere())
save("grow")
CreateView("RenderView")
ParticleTracer(registrationName="Tracer1", Input=Wavelet(), SeedSource=Sphere())
save("tracer")
Show(AnnotateTimeFilter(Sphere()), CreateView("RenderView"))
save("clock")
Show(Elevation(Wavelet()), CreateView("RenderView"))
GetAnimationScene().NumberOfFrames = 10  # 1 in ParaView 6
save("still")
with open("told.json", "w") as file:
    json.dump(told, file)
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """States made by the real ParaView, and what it says of them (told.json)."""
    program = shutil.which(os.environ.get("MPIRENDER_PVPYTHON", "pvpython"))
    if program is None:
        pytest.skip("pvpython (ParaView) is REQUIRED for this test: apt-get install paraview python3-paraview")
    top = tmp_path_factory.mktemp("states")
    script = top / "make.py"
    script.write_text(MAKE_STATES)
    libraries = str(Path(fileseq.__file__).parents[1])  # pure Python, at the end of ParaView's own path
    argv = [program, str(script), str(top), str(REPOSITORY), libraries]
    with xvfb.server() as reached:  # a reader of several timesteps renders when it is shown
        environment = {**os.environ, **reached, "PYTHONPATH": ""}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert (top / "told.json").exists(), done.stdout + done.stderr
    return top


@pytest.fixture
def look(made, monkeypatch):
    monkeypatch.chdir(made)
    return lambda name: inspect_state((made / f"{name}.pvsm").read_bytes(), RenderJob(f"{name}.pvsm"))


def told(made):
    return json.loads((made / "told.json").read_text())


@pytest.mark.slow
def test_views_and_layouts_are_those_of_paraview(made, look):
    seen, paraview = look("views"), told(made)
    assert seen.views[0] == paraview["render views"][0] == paraview["active"] == "Apple"
    assert set(seen.views) == set(paraview["views"])
    assert {layout.name: sorted(layout.views) for layout in seen.layouts} == paraview["layouts"]
    assert [layout.name for layout in seen.layouts] == list(paraview["layouts"])


@pytest.mark.slow
def test_relocated_states_load_in_paraview_with_the_files_its_own_loadstate_finds(made):
    for case, (theirs, ours) in told(made)["relocated"].items():
        assert [os.path.normpath(path) for path in ours[0]] == [os.path.normpath(path) for path in theirs[0]], case
        assert ours[1] == theirs[1] and len(ours[1]) == 3, case


@pytest.mark.slow
def test_a_chosen_series_loads_in_paraview(made):
    files, steps = told(made)["chosen"]
    assert files == [str(made / "flat" / f"ball_{step}.vtp") for step in (1, 2, 10)] and len(steps) == 3


@pytest.mark.slow
def test_a_real_series_has_its_timesteps_and_files(look):
    seen = look("series")
    assert (seen.play_mode, len(seen.times)) == ("Snap To TimeSteps", 3)
    assert [(file.reader, file.found) for file in seen.data_files] == [("ball_", True)] * 3
    assert seen.warnings == seen.mistakes == ()


@pytest.mark.slow
def test_a_real_windows_series_is_one_mistake(look):
    (line,) = look("windows").mistakes
    assert line.startswith("reader 'ball_' reads 3 files, 3 of them not here, first Y:\\old\\run\\deep\\ball_1.vtp, ")


@pytest.mark.slow
def test_a_real_orbit_is_quiet_and_one_without_key_frames_is_not(look):
    assert look("orbit").times == (2.0, 2.5, 3.0, 3.5, 4.0)
    assert look("orbit").warnings == look("orbit").mistakes == ()
    assert "CameraAnimationCue1 has no key frames" in look("idle").warnings[0]


@pytest.mark.slow
def test_real_states_that_surprise_are_warned_of(look):
    assert [line.split(" grows")[0] for line in look("grow").warnings] == ["the colour map of RTData"]
    assert "Tracer1 carries something on from frame to frame" in look("tracer").warnings[0]
    assert look("clock").warnings == ()
    assert "all 10 frames will be equal" in look("still").warnings[0]


@pytest.mark.slow
def test_a_state_of_megabytes_is_inspected_in_well_under_a_second(made, tmp_path):
    content = (made / "views.pvsm").read_bytes()
    proxies = content[content.index(b"<Proxy group") : content.index(b"<ProxyCollection")]
    big = content.replace(b"<ProxyCollection", proxies * (4_000_000 // len(proxies)) + b"<ProxyCollection", 1)
    start = time.process_time()
    inspect_state(big, RenderJob(tmp_path / "s.pvsm"))
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("sides", "told"), [((640, 400), "HD in 9 passes, 4K in 36 passes; --one-pass"), ((3840, 2160), None)]
)
def test_passes_that_one_pass_would_save_are_told(job, sides, told):
    view = proxy(3, "views", "RenderView", prop("ViewSize", *sides)) + collection("views", p3="RenderView1")
    advice = inspect_state(state(view=view), job(sizes=("HD", "4K"))).advice
    assert len(advice) == (told is not None)
    assert told is None or told in advice[0]
    assert not inspect_state(state(view=view), job(sizes=("HD", "4K"), one_pass=True)).advice


def test_an_axes_grid_around_data_that_changes_costs_less_in_contiguous_blocks(job):
    grid = proxy(3, "views", "RenderView", prop("AxesGrid", proxies=[9])) + collection("views", p3="RenderView1")
    grid += proxy(9, "annotations", "GridAxes3DActor", prop("Visibility", 1))
    changing = state(scene=animation(mode=2, steps=(1, 2)), view=grid)
    assert any("axes grid of RenderView1" in line for line in warnings(changing, job()))
    assert not any("axes grid" in line for line in warnings(changing, job(schedule="contiguous")))
    assert not any("axes grid" in line for line in warnings(state(view=grid), job()))
