"""Write a state of random sources, filters, tracks and views of this ParaView; runs in pvbatch.

``pvbatch --no-mpi make_random_scene.py STATE SEED``

The sources and filters are drawn from all that ParaView defines. One that reports an error, or makes no data, is
replaced by another. The last line printed names what the scene consists of.
"""

import random
import sys

from paraview import servermanager, simple
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_STRING
from vtkmodules.vtkCommonCore import vtkOutputWindow

state, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
manager = servermanager.ProxyManager()
# They need files, other processes or much time, or write files.
UNSUITABLE = (
    "Reader", "Writer", "Live", "Catalyst", "Temporal Parallelism", "Sleep", "Resample", "Parallelism", "Remote",
    "Tetrahedralize", "DistributePoints", "Ghost", "Programmable", "PythonAnnotation", "PlotSelection", "Export",
)  # fmt: skip
TURNING = """
from paraview.simple import *
def start_cue(self): pass
def tick(self): GetActiveCamera().Azimuth(7)
def end_cue(self): pass
"""
FRAMES, MOST_POINTS = 5, 200_000
parts = []
errors = []  # reported since the last source or filter was begun


@calldata_type(VTK_STRING)
def record(_caller, _event, text):
    """Record an error."""
    errors.append(text)


vtkOutputWindow.GetInstance().AddObserver("ErrorEvent", record)


def defined(group):
    """Return the names of the sources or filters that ParaView can make."""
    definitions = manager.NewDefinitionIterator(group)
    names = []
    for definition in definitions:
        name = definition["key"]
        if name and not any(word in name for word in UNSUITABLE):
            names.append(name)
    return sorted(set(names))


def make(group, name, inputs):
    """Return a source or a filter that makes data without errors, or None."""
    maker, prototype = getattr(getattr(servermanager, group), name, None), manager.GetPrototypeProxy(group, name)
    if maker is None or prototype is None or _needs_file(prototype):
        return None
    errors.clear()
    registered = f"{name}{len(parts)}"
    try:
        proxy = maker(Input=inputs) if inputs is not None else maker()
    except Exception:  # it takes no such input
        return None
    try:
        fits = inputs is None or proxy.SMProxy.GetProperty("Input").IsInDomains()
        if fits:
            manager.RegisterProxy("sources", registered, proxy.SMProxy)
            proxy.UpdatePipeline()
            if not errors and 0 < proxy.GetDataInformation().GetNumberOfPoints() < MOST_POINTS:
                return proxy
    except Exception:  # this proxy cannot be used here; another can
        errors.append("")
    manager.UnRegisterProxy("sources", registered, proxy.SMProxy)
    return None


def _needs_file(prototype):
    return any(
        prototype.GetProperty(name) is not None
        for name in ("FileName", "FileNames", "FilePrefix", "CaseFileName", "XMLFileName", "DirectoryName")
    )


def pick(group, inputs=None):
    """Return the first of 30 random sources or filters that makes data, or None."""
    names = defined(group)
    for name in chance.sample(names, min(30, len(names))):
        proxy = make(group, name, inputs)
        if proxy is not None:
            parts.append(name)
            return proxy
    return None


def numbers_of(proxy):
    """Return the properties of a proxy that hold one or three floating-point numbers."""
    for name in proxy.ListProperties():
        prop = proxy.SMProxy.GetProperty(name)
        if prop is not None and prop.IsA("vtkSMDoubleVectorProperty") and not prop.GetInformationOnly():
            count = prop.GetNumberOfElements()
            if count in (1, 3) and abs(prop.GetElement(0)) < 1000:
                yield name, 0 if count == 1 else chance.randrange(3), prop


def animate(proxy):
    """Let a track move a random property."""
    choices = list(numbers_of(proxy))
    if not choices:
        return
    name, index, prop = chance.choice(choices)
    value = prop.GetElement(index)
    track = simple.GetAnimationTrack(name, index=index, proxy=proxy)
    start = chance.choice([0, 0, 0.5])
    far = value * chance.uniform(0.5, 2) + chance.choice([0, 0.3])
    ends = ((start, value), (chance.choice([0.6, 1]), far))
    keys = [simple.CompositeKeyFrame(KeyTime=time, KeyValues=[number]) for time, number in ends]
    track.KeyFrames = keys
    register(*keys)
    parts.append(f"{name}[{index}]")


def register(*proxies):
    """Register key frames and tracks, which are saved only then."""
    for proxy in proxies:
        manager.RegisterProxy("animation", f"Random{proxy.SMProxy.GetGlobalIDAsString()}", proxy.SMProxy)


def orbit(view):
    """Let the camera turn around the data."""
    cue = simple.GetCameraTrack(view=view)
    cue.Mode = "Interpolate Camera"
    first = simple.CameraKeyFrame(KeyTime=0, Position=list(view.CameraPosition), FocalPoint=list(view.CameraFocalPoint))
    x, y, z = view.CameraPosition
    second = simple.CameraKeyFrame(KeyTime=1, Position=[z, y, -x], FocalPoint=list(view.CameraFocalPoint))
    cue.KeyFrames = [first, second]
    register(first, second)
    parts.append("camera")


def tick():
    """Let a Python track turn the camera at each tick."""
    cue = simple.PythonAnimationCue(Script=TURNING)
    simple.GetAnimationScene().Cues.append(cue)
    register(cue)
    parts.append("Python track")


def show(proxy, view):
    """Show a source, colored by one of its arrays, perhaps with a legend or axes."""
    display = simple.Show(proxy, view)
    arrays = [("POINTS", proxy.PointData[i].Name) for i in range(len(proxy.PointData))]
    arrays += [("CELLS", proxy.CellData[i].Name) for i in range(len(proxy.CellData))]
    if arrays and display is not None and hasattr(display, "ColorArrayName") and chance.random() < 0.8:
        simple.ColorBy(display, chance.choice(arrays))
        display.RescaleTransferFunctionToDataRange()
        if chance.random() < 0.5:
            display.SetScalarBarVisibility(view, True)
    return display


view = simple.CreateView("RenderView")
view.ViewSize = chance.choice([[400, 300], [640, 360], [333, 250]])
shown = []
for _ in range(chance.choice([1, 1, 2])):
    pipeline = [pick("sources")]
    for _ in range(chance.randrange(4)):
        made = pick("filters", pipeline[-1]) if pipeline[-1] is not None else None
        pipeline += [made] if made is not None else []
    shown += [proxy for proxy in pipeline if proxy is not None]
    if pipeline[-1] is not None:
        show(pipeline[-1], view)
view.AxesGrid.Visibility = int(chance.random() < 0.2)
view.CenterAxesVisibility = int(chance.random() < 0.2)
view.ResetCamera()
simple.Render(view)
for proxy in chance.sample(shown, min(len(shown), chance.choice([1, 1, 2]))):
    animate(proxy)
if chance.random() < 0.3:
    orbit(view)
elif chance.random() < 0.15:
    tick()
if chance.random() < 0.2:
    other = simple.CreateView("RenderView")
    layout = simple.CreateLayout("Both")
    simple.AssignViewToLayout(view=view, layout=layout, hint=0)
    layout.SplitHorizontal(0, 0.5)
    simple.AssignViewToLayout(view=other, layout=layout, hint=2)
    if shown:
        simple.Show(shown[0], other)
        other.ResetCamera()
    simple.SetActiveView(view)
    parts.append("second view")
scene = simple.GetAnimationScene()
scene.PlayMode, scene.NumberOfFrames = "Sequence", FRAMES
if shown:
    simple.SaveState(state)
print("scene:", ", ".join(parts))
