"""Compare what mpirender reads from a state with what ParaView reads from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import fileseq
import pytest

from mpirender.engines.paraview.inspect import inspect_state
from mpirender.job.render_job import RenderJob
from mpirender.system import xvfb
from repository import REPOSITORY

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
from mpirender.engines.paraview import inspect
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
        state = inspect.State.parse(file.read(), scene)
    content, _, mistakes = inspect.relocate(state, RenderJob(scene + ".pvsm", **options))
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
    """Create states with ParaView, and write what ParaView reads from them to told.json."""
    program = shutil.which(os.environ.get("MPIRENDER_PVPYTHON", "pvpython"))
    if program is None:
        pytest.skip("pvpython (ParaView) is REQUIRED for this test: apt-get install paraview python3-paraview")
    top = tmp_path_factory.mktemp("states")
    script = top / "make.py"
    script.write_text(MAKE_STATES)
    libraries = str(Path(fileseq.__file__).parents[1])  # pure Python, appended to ParaView's sys.path
    argv = [program, str(script), str(top), str(REPOSITORY), libraries]
    with xvfb.server() as reached:  # showing a reader with several timesteps renders
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
    assert line.startswith("reader 'ball_': 3 of 3 files do not exist: Y:\\old\\run\\deep\\ball_1.vtp, ")


@pytest.mark.slow
def test_a_real_orbit_is_quiet_and_one_without_key_frames_is_not(look):
    assert look("orbit").times == (2.0, 2.5, 3.0, 3.5, 4.0)
    assert look("orbit").warnings == look("orbit").mistakes == ()
    assert "CameraAnimationCue1 has no key frames" in look("idle").warnings[0]


@pytest.mark.slow
def test_real_states_that_surprise_are_warned_of(look):
    assert [line.split(" grows")[0] for line in look("grow").warnings] == ["the color map of RTData"]
    assert "Tracer1 depends on earlier frames" in look("tracer").warnings[0]
    assert look("clock").warnings == ()
    assert "all 10 frames will be identical" in look("still").warnings[0]


@pytest.mark.slow
def test_a_state_of_megabytes_is_inspected_in_well_under_a_second(made, tmp_path):
    content = (made / "views.pvsm").read_bytes()
    proxies = content[content.index(b"<Proxy group") : content.index(b"<ProxyCollection")]
    big = content.replace(b"<ProxyCollection", proxies * (4_000_000 // len(proxies)) + b"<ProxyCollection", 1)
    start = time.process_time()
    inspect_state(big, RenderJob(tmp_path / "s.pvsm"))
    assert time.process_time() - start < 1
