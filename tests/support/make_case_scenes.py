"""Make a scene of case_rows.py, and its data, in FOLDER/NAME: pvbatch --no-mpi make_case_scenes.py FOLDER NAME

The script of a scene (``SCRIPTS``) saves its own pictures with SaveAnimation; where the scene is a state
(``scene.pvsm``), save_animation.py makes them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from paraview import simple

import make_indexed_data
from case_scripts import BEHIND, CHANGES, GRID, SCRIPTS

VIEW_SIZE = [320, 240]
STEPS = make_indexed_data.COUNT


def view_of(*shown: object) -> object:
    """Create a view that shows sources, and reset its camera."""
    view = simple.CreateView("RenderView")
    view.ViewSize = VIEW_SIZE
    for source in shown:
        simple.Show(source, view)
    simple.ResetCamera(view)
    return view


def animate(name: str, proxy: object, first: float, last: float, frames: int = 7) -> None:
    """Let a track move a property from one value to another."""
    track = simple.GetAnimationTrack(name, index=0, proxy=proxy)
    keys = [simple.CompositeKeyFrame(KeyTime=time, KeyValues=[value]) for time, value in ((0, first), (1, last))]
    track.KeyFrames = keys
    for key in keys:
        simple.servermanager.ProxyManager().RegisterProxy("animation", f"{name}{key.KeyTime}", key.SMProxy)
    simple.GetAnimationScene().NumberOfFrames = frames


def in_timesteps() -> None:
    """Let each frame show a timestep of the data."""
    scene = simple.GetAnimationScene()
    scene.UpdateAnimationUsingDataTimeSteps()
    scene.PlayMode = "Snap To TimeSteps"


def colored(source: object, array: str, *, by: str = "POINTS", span: tuple[float, float] = (0, 250)) -> object:
    """Show a source colored by an array, with the same colors in all frames."""
    view = view_of(source)
    display = simple.GetDisplayProperties(source, view)
    display.Representation = "Surface"
    simple.ColorBy(display, (by, array))
    colors = simple.GetColorTransferFunction(array)
    colors.AutomaticRescaleRangeMode = "Never"
    colors.RescaleTransferFunction(*span)
    in_timesteps()
    return view


def orbit(folder: Path) -> None:
    """Turn the camera around a cone."""
    view = view_of(simple.Cone(Resolution=9))
    track = simple.GetCameraTrack(view=view)
    points = [5, 0, 1, 0, 5, 1, -5, 0, 1, 0, -5, 1]
    keys = [simple.CameraKeyFrame(KeyTime=0, PositionPathPoints=points, ClosedPositionPath=1)]
    keys += [simple.CameraKeyFrame(KeyTime=1)]
    track.Mode, track.KeyFrames = "Path-based", keys
    for key in keys:
        simple.servermanager.ProxyManager().RegisterProxy("animation", f"key{key.KeyTime}", key.SMProxy)
    scene = simple.GetAnimationScene()
    scene.NumberOfFrames, scene.EndTime = 7, 1000


def track_of_state(folder: Path) -> None:
    """Turn the active camera by a Python track."""
    simple.SetActiveView(view_of(simple.Box()))
    cue = simple.PythonAnimationCue(
        Script="from paraview.simple import *\ndef start_cue(self): pass\n"
        "def tick(self): GetActiveCamera().Azimuth(10)\ndef end_cue(self): pass\n"
    )
    scene = simple.GetAnimationScene()
    scene.Cues.append(cue)
    scene.NumberOfFrames = 7
    simple.servermanager.ProxyManager().RegisterProxy("animation", "Track1", cue.SMProxy)


def write_steps(folder: Path) -> None:
    """Write the steps of make_indexed_data.py."""
    for name in ("pvd/data", "vtm", "case"):
        (folder / name).mkdir(parents=True)
    make_indexed_data.write_steps(folder)


def pvd(folder: Path) -> object:
    """Show a .pvd of files that differ."""
    write_steps(folder)
    reader = simple.PVDReader(FileName=f"{folder}/pvd/run.pvd")
    view_of(reader)
    in_timesteps()
    return reader


def view_time(folder: Path) -> None:
    """Show the time of such a scene, and leave the view at another time than the scene."""
    simple.Show(simple.AnnotateTimeFilter(Input=pvd(folder)), simple.GetActiveView())
    simple.SaveState(f"{folder}/straight.pvsm")
    simple.GetActiveView().ViewTime = STEPS - 1
    simple.Render()


def case(folder: Path) -> None:
    """Show an EnSight case."""
    write_steps(folder)
    colored(simple.EnSightReader(CaseFileName=f"{folder}/case/run.case"), "RTData")


def foam(folder: Path) -> None:
    """Show an OpenFOAM case."""
    make_indexed_data.write_foam(folder / "foam")
    reader = simple.OpenFOAMReader(FileName=f"{folder}/foam/case.foam", CellArrays=["p"], SkipZeroTime=0)
    colored(reader, "p", by="CELLS", span=(0, 10 * STEPS))


def images(folder: Path) -> None:
    """Show a series of .vti files without compression."""
    for step in range(STEPS):
        made = simple.Wavelet(WholeExtent=[-3, 3, -3, 3, -3, 3], Maximum=100.0 + 40 * step)
        simple.SaveData(f"{folder}/step_{step}.vti", proxy=made, DataMode="Appended", CompressorType="None")
    colored(simple.XMLImageDataReader(FileName=[f"{folder}/step_{step}.vti" for step in range(STEPS)]), "RTData")


def surfaces(folder: Path) -> None:
    """Show a series of .ply files."""
    files = [f"{folder}/step_{step}.ply" for step in range(STEPS)]
    for step, file in enumerate(files):
        simple.SaveData(file, proxy=simple.Sphere(ThetaResolution=8 + 8 * step))
    view_of(simple.PLYReader(FileNames=files))
    in_timesteps()


def xdmf(folder: Path) -> None:
    """Show an XDMF series with an HDF5 file for each step."""
    grids = []
    for step in range(STEPS):
        width = 4 + step
        data = simple.Wavelet(WholeExtent=[-width, width] * 3, Maximum=100.0 + 30 * step)
        simple.SaveData(f"{folder}/s{step}.xmf", proxy=data)  # the grid goes into s0.h5
        grids.append(GRID.format(step=step, n=2 * width + 1, d=4 / width))
    collection = f'<Grid GridType="Collection" CollectionType="Temporal">{"".join(grids)}</Grid>'
    (folder / "run.xmf").write_text(f'<Xdmf Version="2.0"><Domain>{collection}</Domain></Xdmf>')
    reader = simple.XDMFReader(FileNames=[f"{folder}/run.xmf"])
    reader.UpdatePipelineInformation()
    colored(reader, "RTData")


def exodus(folder: Path) -> None:
    """Show a family of two Exodus files."""
    for number in range(2):
        extent = [-3 + 3 * number, 3 * number, -3, 3, -3, 3]
        part = simple.Tetrahedralize(Input=simple.Wavelet(WholeExtent=extent))
        simple.SaveData(f"{folder}/part{number}.e", proxy=part)
        (folder / f"part{number}.e").rename(folder / f"run.e.2.{number}")
    reader = simple.OpenDataFile(f"{folder}/run.e.2.0")
    animate("CameraViewAngle", view_of(reader), 20, 40)


def indexes(folder: Path) -> None:
    """Show a series in each format of an index, side by side, with two timesteps for each format."""
    shown = []
    count = 2 * len(CHANGES)
    for number, kind in enumerate(BEHIND):
        for step in range(count):
            extent, center = [-2 + 6 * number, 2 + 6 * number, -2, 2, -2, 2], [6.0 * number, 0, 0]
            data = simple.Wavelet(WholeExtent=extent, Center=center, Maximum=60 + 15 * step)
            if kind == "pvtu":
                data = simple.Tetrahedralize(Input=data)
            elif kind == "pvtp":
                data = simple.ExtractSurface(Input=data)
            elif kind in ("vtm", "vtpc"):
                data = simple.GroupDatasets(Input=[data])
            if kind == "vtpc":
                data = simple.ConvertToPartitionedDataSetCollection(Input=data)
            simple.SaveData(f"{folder}/{kind}_{step}.{kind}", proxy=data)
        files = [f"{folder}/{kind}_{step}.{kind}" for step in range(count)]
        if kind == "vtk":
            entries = [{"name": Path(file).name, "time": step} for step, file in enumerate(files)]
            files = [f"{folder}/run.vtk.series"]
            Path(files[0]).write_text(json.dumps({"file-series-version": "1.0", "files": entries}))
        shown.append(simple.OpenDataFile(files))
    view = colored(shown[0], "RTData")
    for source in shown[1:]:
        display = simple.Show(source, view)
        display.Representation = "Surface"
        simple.ColorBy(display, ("POINTS", "RTData"))
    in_timesteps()
    simple.ResetCamera(view)


def indexes_changed(folder: Path) -> None:
    """Show them with a changed file of each format."""
    indexes(folder)
    for one, other in CHANGES:
        shutil.copyfile(folder / one, folder / other)


def table(folder: Path) -> None:
    """Show a table with an axes grid, whose labels settle after the first render."""
    lines = [f"{x},{x * x / 9},{x % 3}" for x in range(20)]
    (folder / "data.csv").write_text("\n".join(["x,y,z", *lines, ""]))
    reader = simple.CSVReader(FileName=[f"{folder}/data.csv"])
    points = simple.TableToPoints(Input=reader, XColumn="x", YColumn="y", ZColumn="z")
    view = view_of(points)
    view.AxesGrid.Visibility = 1
    animate("CameraViewAngle", view, 20, 40)


def beside(kind: str) -> None:
    """Show a sphere in a 3D view beside another view."""
    sphere = simple.Sphere()
    view, other = view_of(sphere), simple.CreateView(kind)
    layout = simple.CreateLayout("Both")
    simple.AssignViewToLayout(view=view, layout=layout, hint=0)
    layout.SplitHorizontal(0, 0.5)
    simple.AssignViewToLayout(view=other, layout=layout, hint=2)
    simple.Show(sphere, other)
    animate("EndTheta", sphere, 90, 360)
    simple.SetActiveView(view)


def spreadsheet(folder: Path) -> None:
    """Show a sphere beside a table of its points."""
    beside("SpreadSheetView")


def orthographic(folder: Path) -> None:
    """Show a sphere beside its orthographic slices."""
    beside("OrthographicSliceView")


def traced(folder: Path) -> None:
    """Ask for ray tracing."""
    sphere = simple.Sphere()
    view_of(sphere).EnableRayTracing = 1
    animate("EndTheta", sphere, 90, 360, frames=3)


STATES = {
    make.__name__: make
    for make in (
        orbit, track_of_state, pvd, view_time, case, foam, images, surfaces, xdmf, exodus, table, spreadsheet,
        orthographic, traced, indexes, indexes_changed,
    )
}  # fmt: skip


def main(folder: Path, name: str) -> None:
    """Make a scene."""
    folder = folder / name
    folder.mkdir()
    if name in SCRIPTS:
        (folder / "own").mkdir()
        (folder / "scene.py").write_text(SCRIPTS[name])
    else:
        STATES[name](folder)
        simple.SaveState(f"{folder}/scene.pvsm")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
