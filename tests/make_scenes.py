"""Make the scenes of the tests; runs in pvbatch: ``pvbatch --no-mpi make_scenes.py FOLDER``."""

import sys
from pathlib import Path

from paraview import servermanager, simple
from vtkmodules.vtkFiltersSources import vtkSuperquadricSource
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

FOLDER = Path(sys.argv[1])


def orbit(view, frames):
    """Turn the camera around the origin; keyframes are saved only when they are registered."""
    track = simple.GetCameraTrack(view=view)
    first, last = simple.CameraKeyFrame(), simple.CameraKeyFrame()
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
    scene = simple.GetAnimationScene()
    scene.PlayMode = mode
    scene.NumberOfFrames = frames


def save(name):
    simple.SaveState(str(FOLDER / f"{name}.pvsm"))
    simple.ResetSession()


def new_view(width=640, height=400):
    view = simple.CreateView("RenderView")
    simple.AssignViewToLayout(view=view, layout=simple.CreateLayout("Main"))
    view.ViewSize = [width, height]
    simple.SetActiveView(view)
    return view


def make_orbit():
    view = new_view(400, 400)
    simple.Show(simple.Cone(Resolution=24), view)
    orbit(view, 7)
    save("orbit")


def make_annotated():
    """Axes grid, text, colour legend, and a contour whose value is animated."""
    view = new_view()
    contour = simple.Contour(Input=simple.Wavelet(WholeExtent=[-6, 6, -6, 6, -6, 6]))
    contour.ContourBy = ["POINTS", "RTData"]
    contour.Isosurfaces = [140.0]
    shown = simple.Show(contour, view)
    simple.ColorBy(shown, ("POINTS", "RTData"))
    colours = simple.GetColorTransferFunction("RTData")
    colours.RescaleTransferFunction(60.0, 260.0)
    colours.AutomaticRescaleRangeMode = "Never"
    bar = simple.GetScalarBar(colours, view)
    bar.Title, bar.Visibility = "RTData", 1
    text = simple.Text(Text="mpirender")
    simple.Show(text, view)
    simple.Show(
        simple.AnnotateTimeFilter(Input=contour, Format="time {time:.2f}"), view
    ).WindowLocation = "Upper Right Corner"
    view.AxesGrid.Visibility = 1
    track = simple.GetAnimationTrack("ContourValues", index=0, proxy=contour)
    keys = [
        simple.CompositeKeyFrame(KeyTime=0.0, KeyValues=[120.0]),
        simple.CompositeKeyFrame(KeyTime=1.0, KeyValues=[200.0]),
    ]
    for number, key in enumerate(keys):
        servermanager.ProxyManager().RegisterProxy("animation", f"value{number}", key.SMProxy)
    track.KeyFrames = keys
    simple.ResetCamera(view)
    view.CameraPosition = [14, 16, 34]  # a camera of the user's own, nearer than a reset would put it
    view.CameraFocalPoint = [0, 1, 0]
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
    reader = simple.XMLPolyDataReader(
        registrationName="shape", FileName=[str(data / f"shape_{step}.vtp") for step in range(6)]
    )
    simple.Show(reader, view)
    simple.Show(simple.AnnotateTimeFilter(Input=reader, Format="step {time:.0f}"), view)
    view.AxesGrid.Visibility = 1
    simple.ResetCamera(view)
    simple.GetAnimationScene().UpdateAnimationUsingDataTimeSteps()
    play("Snap To TimeSteps")
    save("series")


def make_two_views():
    """Two views side by side in one layout, and a third in another."""
    left, right, other = (simple.CreateView("RenderView") for _ in range(3))
    layout = simple.CreateLayout("Both")
    simple.AssignViewToLayout(view=left, layout=layout, hint=0)
    layout.SplitHorizontal(0, 0.4)
    simple.AssignViewToLayout(view=right, layout=layout, hint=2)
    simple.AssignViewToLayout(view=other, layout=simple.CreateLayout("Other"))
    layout.SetSize(800, 450)
    for view, shape in ((left, simple.Cone()), (right, simple.Sphere()), (other, simple.Cylinder())):
        simple.Show(shape, view)
        simple.ResetCamera(view)
    orbit(right, 4)
    save("two_views")


for make in (make_orbit, make_annotated, make_series, make_two_views):
    make()
