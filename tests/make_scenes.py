"""Make the scenes of the tests; runs in pvbatch: ``pvbatch --no-mpi make_scenes.py FOLDER``."""

import sys
from pathlib import Path

from paraview import servermanager
from paraview.simple import *  # noqa: F403
from vtkmodules.vtkFiltersSources import vtkSuperquadricSource
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

FOLDER = Path(sys.argv[1])


def orbit(view, frames):
    """Turn the camera around the origin; keyframes are saved only when they are registered."""
    track = GetCameraTrack(view=view)
    first, last = CameraKeyFrame(), CameraKeyFrame()
    first.KeyTime, last.KeyTime = 0.0, 1.0
    first.PositionPathPoints = [5, 0, 1, 0, 5, 1, -5, 0, 1, 0, -5, 1]
    first.FocalPathPoints = [0, 0, 0]
    first.ClosedPositionPath = 1
    for name, key in (("first", first), ("last", last)):
        servermanager.ProxyManager().RegisterProxy("animation", name, key.SMProxy)
    track.Mode = "Path-based"
    track.KeyFrames = [first, last]
    play("Sequence", frames)


def play(mode, frames=10):
    scene = GetAnimationScene()
    scene.PlayMode = mode
    scene.NumberOfFrames = frames


def save(name):
    SaveState(str(FOLDER / f"{name}.pvsm"))
    ResetSession()


def new_view(width=640, height=400):
    view = CreateView("RenderView")
    AssignViewToLayout(view=view, layout=CreateLayout("Main"))
    view.ViewSize = [width, height]
    SetActiveView(view)
    return view


def make_orbit():
    view = new_view(400, 400)
    Show(Cone(Resolution=24), view)
    orbit(view, 7)
    save("orbit")


def make_annotated():
    """Axes grid, text, colour legend, and a contour whose value is animated."""
    view = new_view()
    contour = Contour(Input=Wavelet(WholeExtent=[-6, 6, -6, 6, -6, 6]))
    contour.ContourBy = ["POINTS", "RTData"]
    contour.Isosurfaces = [140.0]
    shown = Show(contour, view)
    ColorBy(shown, ("POINTS", "RTData"))
    colours = GetColorTransferFunction("RTData")
    colours.RescaleTransferFunction(60.0, 260.0)
    colours.AutomaticRescaleRangeMode = "Never"
    bar = GetScalarBar(colours, view)
    bar.Title, bar.Visibility = "RTData", 1
    text = Text(Text="mpirender")
    Show(text, view)
    Show(AnnotateTimeFilter(Input=contour, Format="time {time:.2f}"), view).WindowLocation = "Upper Right Corner"
    view.AxesGrid.Visibility = 1
    track = GetAnimationTrack("ContourValues", index=0, proxy=contour)
    keys = [CompositeKeyFrame(KeyTime=0.0, KeyValues=[120.0]), CompositeKeyFrame(KeyTime=1.0, KeyValues=[200.0])]
    for number, key in enumerate(keys):
        servermanager.ProxyManager().RegisterProxy("animation", f"value{number}", key.SMProxy)
    track.KeyFrames = keys
    ResetCamera(view)
    play("Sequence", 6)
    save("annotated")


def make_series():
    """A time series of data files, one a timestep, uneven in time."""
    data = FOLDER / "data"
    data.mkdir()
    for step in range(6):
        source = vtkSuperquadricSource()
        source.SetThetaRoundness(0.2 + 0.3 * step)
        writer = vtkXMLPolyDataWriter()
        writer.SetFileName(str(data / f"shape_{step}.vtp"))
        writer.SetInputConnection(source.GetOutputPort())
        writer.Write()
    view = new_view()
    reader = XMLPolyDataReader(
        registrationName="shape", FileName=[str(data / f"shape_{step}.vtp") for step in range(6)]
    )
    Show(reader, view)
    Show(AnnotateTimeFilter(Input=reader, Format="step {time:.0f}"), view)
    view.AxesGrid.Visibility = 1
    ResetCamera(view)
    GetAnimationScene().UpdateAnimationUsingDataTimeSteps()
    play("Snap To TimeSteps")
    save("series")


def make_two_views():
    """Two views side by side in one layout, and a third in another."""
    left, right, other = (CreateView("RenderView") for _ in range(3))
    layout = CreateLayout("Both")
    AssignViewToLayout(view=left, layout=layout, hint=0)
    layout.SplitHorizontal(0, 0.4)
    AssignViewToLayout(view=right, layout=layout, hint=2)
    AssignViewToLayout(view=other, layout=CreateLayout("Other"))
    layout.SetSize(800, 450)
    for view, shape in ((left, Cone()), (right, Sphere()), (other, Cylinder())):
        Show(shape, view)
        ResetCamera(view)
    orbit(right, 4)
    save("two_views")


for make in (make_orbit, make_annotated, make_series, make_two_views):
    make()
