"""Create the scenes of the tests; runs in pvbatch: ``pvbatch --no-mpi make_scenes.py FOLDER``.

Scenes that cannot be rendered completely are in separate folders: ``deadly/poison.pvsm`` kills its process at frame 5
of 8, ``deadly/hang.pvsm`` hangs at frame 5 of 8, ``broken/raises.pvsm`` raises an exception at frame 3 of 8, and
``broken/holed.pvsm`` (12 frames) reads ``broken/data/step_0.vtp`` to ``step_3.vtp``, each in three frames. It waits for
``broken/data/go`` at the first frame after timestep 0, so that a test can remove a file before it is read.
"""

import sys
from pathlib import Path

from paraview import servermanager, simple
from vtkmodules.vtkCommonCore import vtkDoubleArray
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersSources import vtkSphereSource, vtkSuperquadricSource
from vtkmodules.vtkIOXML import vtkXMLImageDataWriter, vtkXMLPolyDataWriter

FOLDER = Path(sys.argv[1])
# Scripts of a programmable source: its eight timesteps, and the shape at each timestep.
TIMESTEPS = """
information, executive = self.GetOutputInformation(0), self.GetExecutive()
for time in range(8):
    information.Append(executive.TIME_STEPS(), time)
for time in (0, 7):
    information.Append(executive.TIME_RANGE(), time)
"""
SHAPE = """
from vtkmodules.vtkFiltersSources import vtkSuperquadricSource
time = round(self.GetOutputInformation(0).Get(self.GetExecutive().UPDATE_TIME_STEP()))
{trouble}
source = vtkSuperquadricSource()
source.SetThetaRoundness(0.2 + 0.2 * time)
source.Update()
self.GetOutput().ShallowCopy(source.GetOutput())
"""
GATE = """
import os, time
later = self.GetOutputInformation(0).Get(self.GetExecutive().UPDATE_TIME_STEP()) > 0
while later and not os.path.exists({marker!r}):
    time.sleep(0.05)
"""


def orbit(view, frames, radius=5):
    """Move the camera around the origin. ParaView saves only registered key frames."""
    track = simple.GetCameraTrack(view=view)
    first, last = simple.CameraKeyFrame(), simple.CameraKeyFrame()
    first.KeyTime, last.KeyTime = 0.0, 1.0
    corners = ((radius, 0), (0, radius), (-radius, 0), (0, -radius))
    first.PositionPathPoints = [side for x, y in corners for side in (x, y, radius / 5)]
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


def save_state(name):  # not named save: programmable sources import all of numpy into this module
    (FOLDER / name).parent.mkdir(exist_ok=True)
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
    cone = simple.Cone(Resolution=24)
    simple.Show(cone, view)
    simple.CreateExtractor("VTP", cone)  # draws nothing
    orbit(view, 7)
    save_state("orbit")


def make_annotated():
    """An axes grid, a text, a color legend, and a contour with an animated value."""
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
    view.CameraPosition = [14, 16, 34]  # nearer than ResetCamera would place it
    view.CameraFocalPoint = [0, 1, 0]
    play("Sequence", 6)
    save_state("annotated")


def make_series():
    """A time series with one data file per timestep."""
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
    save_state("series")


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
    save_state("two_views")


def write_steps(folder, radii):
    """Write a sphere for each timestep; return the paths."""
    folder.mkdir(parents=True)
    paths = [str(folder / f"step_{step}.vtp") for step in range(len(radii))]
    for path, radius in zip(paths, radii):
        source = vtkSphereSource()
        source.SetRadius(radius)
        writer = vtkXMLPolyDataWriter()
        writer.SetFileName(path)
        writer.SetInputConnection(source.GetOutputPort())
        writer.Write()
    return paths


def make_pulse():
    """Axes around data that grow and shrink; three frames per timestep; saved at a timestep other than the first."""
    view = new_view()
    reader = simple.XMLPolyDataReader(FileName=write_steps(FOLDER / "pulse_data", (2, 4, 1, 3)))
    simple.Show(reader, view)
    view.AxesGrid.Visibility = 1
    view.CameraPosition, view.CameraFocalPoint = [10, 12, 20], [0, 0, 0]
    scene = simple.GetAnimationScene()
    scene.UpdateAnimationUsingDataTimeSteps()
    play("Snap To TimeSteps")
    scene.FramesPerTimestep = 3
    scene.AnimationTime = 3
    save_state("pulse")


def make_pieces():
    """Timesteps of two files each, which the reader distributes among ranks."""
    folder = FOLDER / "pieces_data"
    folder.mkdir()
    paths = [str(folder / f"step_{step}.pvtp") for step in range(6)]
    for step, path in enumerate(paths):
        for half in range(2):
            source = vtkSphereSource()
            source.SetRadius(1 + step / 10)
            source.SetThetaResolution(40)
            source.SetPhiResolution(40)
            source.SetStartTheta(180 * half)
            source.SetEndTheta(180 * half + 180)
            writer = vtkXMLPolyDataWriter()
            writer.SetFileName(str(folder / f"step_{step}_{half}.vtp"))
            writer.SetInputConnection(source.GetOutputPort())
            writer.Write()
        names = "".join(f'<Piece Source="step_{step}_{half}.vtp"/>' for half in range(2))
        vector = 'type="Float32" NumberOfComponents="3"'
        arrays = (
            f'<PPoints><PDataArray {vector}/></PPoints><PPointData><PDataArray {vector} Name="Normals"/></PPointData>'
        )
        Path(path).write_text(f'<VTKFile type="PPolyData"><PPolyData>{arrays}{names}</PPolyData></VTKFile>')
    view = new_view()
    simple.Show(simple.XMLPartitionedPolydataReader(FileName=paths), view)
    simple.ResetCamera(view)
    simple.GetAnimationScene().UpdateAnimationUsingDataTimeSteps()
    play("Snap To TimeSteps")
    save_state("pieces")


def make_cut():
    """A constant slice and isosurface of a wavelet, for tests that change properties; the camera moves."""
    view = new_view()
    wavelet = simple.Wavelet(registrationName="can.ex2", WholeExtent=[-6, 6, -6, 6, -6, 6])
    cut = simple.Slice(registrationName="Slice1", Input=wavelet)
    contour = simple.Contour(registrationName="Contour1", Input=wavelet, Isosurfaces=[140.0])
    contour.ContourBy = ["POINTS", "RTData"]
    for source in (cut, contour):
        shown = simple.Show(source, view)
        simple.ColorBy(shown, ("POINTS", "RTData"))
    simple.GetColorTransferFunction("RTData").RescaleTransferFunction(60.0, 260.0)
    simple.ResetCamera(view)
    orbit(view, 3, radius=30)
    save_state("cut")


def make_still():
    """A box without animation."""
    view = new_view()
    simple.Show(simple.Box(), view)
    view.CameraPosition, view.CameraFocalPoint, view.CameraViewUp = [2, 1, 3], [0.2, 0, 0], [0, 1, 0.3]
    save_state("still")


def make_flow():
    """Particles in a flow that changes over time, and their trails."""
    data = FOLDER / "flow_data"
    data.mkdir()
    paths = [str(data / f"flow_{step}.vti") for step in range(8)]
    for step, path in enumerate(paths):
        image, velocity = vtkImageData(), vtkDoubleArray()
        image.SetDimensions(13, 13, 13)
        image.SetOrigin(-6, -6, -6)
        velocity.SetName("velocity")
        velocity.SetNumberOfComponents(3)
        for number in range(image.GetNumberOfPoints()):
            x, y, z = image.GetPoint(number)
            velocity.InsertNextTuple3(-y / 4, x / 4 + step / 10, 0.4 - z / 20)
        image.GetPointData().AddArray(velocity)
        writer = vtkXMLImageDataWriter()
        writer.SetFileName(path)
        writer.SetInputData(image)
        writer.Write()
    view = new_view()
    reader = simple.XMLImageDataReader(FileName=paths)
    seeds = simple.PointSource(NumberOfPoints=40, Radius=2)
    tracer = simple.ParticleTracer(registrationName="Tracer1", Input=reader, SeedSource=seeds)
    tracer.SelectInputVectors = ["POINTS", "velocity"]
    simple.Show(tracer, view).PointSize = 6
    trails = simple.TemporalParticlesToPathlines(registrationName="Trails1", Input=tracer, Selection=None)
    simple.Show(trails, view)
    view.CameraPosition, view.CameraFocalPoint, view.CameraViewUp = [12, 14, 16], [0, 0, 0], [0, 0, 1]
    simple.GetAnimationScene().UpdateAnimationUsingDataTimeSteps()
    play("Snap To TimeSteps")
    save_state("flow")


def make_scripted(name, trouble, at):
    """A scripted shape; the script misbehaves at one of eight timesteps."""
    view = new_view()
    script = SHAPE.format(trouble=f"if time == {at}:\n    {trouble}")
    source = simple.ProgrammableSource(
        registrationName="Shape", OutputDataSetType="vtkPolyData", Script=script, ScriptRequestInformation=TIMESTEPS
    )
    simple.Show(source, view)
    view.CameraPosition, view.CameraFocalPoint = [1, 1, 2], [0, 0, 0]
    simple.GetAnimationScene().UpdateAnimationUsingDataTimeSteps()
    play("Snap To TimeSteps")
    save_state(name)


def make_holed():
    """Four timesteps of a PVD file, three frames each, and a gate that waits for a file; the camera moves."""
    data = FOLDER / "broken" / "data"
    paths = write_steps(data, (0.5, 0.7, 0.9, 1.1))
    steps = (f'<DataSet timestep="{step}" file="{Path(path).name}"/>' for step, path in enumerate(paths))
    (data / "steps.pvd").write_text(f'<VTKFile type="Collection"><Collection>{"".join(steps)}</Collection></VTKFile>')
    view = new_view()
    gate = simple.ProgrammableSource(
        OutputDataSetType="vtkPolyData", Script=GATE.format(marker=str(data / "go")), ScriptRequestInformation=TIMESTEPS
    )
    simple.Show(gate, view)
    simple.Show(simple.PVDReader(FileName=str(data / "steps.pvd")), view)
    orbit(view, 12)
    scene = simple.GetAnimationScene()
    scene.StartTime, scene.EndTime = -0.6, 2.7  # the PVD reader takes the timestep at or after a time
    save_state("broken/holed")


for make in (
    make_orbit,
    make_annotated,
    make_series,
    make_two_views,
    make_pulse,
    make_pieces,
    make_cut,
    make_still,
    make_flow,
    make_holed,
):
    make()
make_scripted("deadly/poison", "import os; os.kill(os.getpid(), 9)", at=5)
make_scripted("deadly/hang", "import time as clock; clock.sleep(1e6)", at=5)
make_scripted("broken/raises", "raise ValueError('no shape today')", at=3)
