"""Fail the frames whose data are incomplete, although ParaView draws them without an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine_scripts import comparison_script
from processes import Run

pytestmark = pytest.mark.slow

BODY = """
import os
from pathlib import Path
from mpirender.engines.paraview import engine
from mpirender.job.render_job import RenderJob
from vtkmodules.vtkImagingCore import vtkRTAnalyticSource
from vtkmodules.vtkIOLegacy import vtkStructuredPointsWriter
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersSources import vtkSphereSource
from vtkmodules.vtkIOXML import vtkXMLImageDataWriter, vtkXMLPolyDataWriter

def write(path, array="RTData"):
    source = vtkRTAnalyticSource()
    source.SetWholeExtent(-5, 5, -5, 5, -5, 5)
    source.Update()
    source.GetOutput().GetPointData().GetArray(0).SetName(array)
    writer = vtkXMLImageDataWriter() if path.endswith(".vti") else vtkStructuredPointsWriter()
    writer.SetFileName(path)
    writer.SetInputData(source.GetOutput())
    if path.endswith(".vti"):
        writer.EncodeAppendedDataOff()
        writer.SetCompressorTypeToNone()
    else:
        writer.SetFileTypeToBinary()
    writer.Write()

def index(folder):
    sets = "".join(f'<DataSet timestep="{step}" file="step_{step}.vti"/>' for step in range(3))
    text = f'<VTKFile type="Collection"><Collection>{sets}</Collection></VTKFile>'
    Path(f"{folder}/run.pvd").write_text(text)
    return simple.PVDReader(FileName=f"{folder}/run.pvd")

def tried(name, suffix, make, damage, write=write, array="RTData"):
    simple.ResetSession()
    folder = f"{FOLDER}/{name}"
    os.makedirs(folder)
    paths = [f"{folder}/step_{step}{suffix}" for step in range(3)]
    for path in paths:
        write(path)
    view, reader = simple.CreateView("RenderView"), make(folder, paths)
    view.ViewSize, view.OrientationAxesVisibility = [160, 90], 0
    view.UseColorPaletteForBackground, view.BackgroundColorMode = 0, "Gradient"
    shown = simple.Show(reader, view)
    shown.Representation = "Slice" if suffix == ".vti" and make is not index else "Surface"
    if array:
        simple.ColorBy(shown, ("POINTS", array))
    scene = simple.GetAnimationScene()
    scene.UpdateAnimationUsingDataTimeSteps()
    scene.PlayMode = "Snap To TimeSteps"
    simple.SaveState(f"{folder}/scene.pvsm")
    simple.ResetSession()
    damage(paths)
    job = RenderJob(scene=f"{folder}/scene.pvsm", sizes=("160x90",))
    opened = engine.open_scene(job.scene.read_bytes(), job)
    assert opened.errors == []
    for frame in (0, 1, 2, 1):
        errors = opened.render(frame, job.outputs[0], Path("x.png")).errors
        print(f"{name} {frame}:", errors + opened.take_warnings(), flush=True)

def cut(paths):
    os.truncate(paths[1], os.path.getsize(paths[1]) // 2)

def image(folder, paths):
    return simple.XMLImageDataReader(FileName=paths)

tried("xml", ".vti", image, cut)
tried("legacy", ".vtk", lambda folder, paths: simple.LegacyVTKReader(FileNames=paths), cut)
tried("pvd", ".vti", lambda folder, paths: index(folder), cut)
tried("grey", ".vti", image, lambda paths: write(paths[1], "other"))
tried("first", ".vti", image, lambda paths: write(paths[0], "other"))

def table(path):
    Path(path).write_text("x,y,z\\n" + "".join(f"{number},{number % 5},0\\n" for number in range(50)))

def points(folder, paths):
    return simple.TableToPoints(Input=simple.CSVReader(FileName=paths), XColumn="x", YColumn="y", ZColumn="z")

tried("table", ".csv", points, lambda paths: os.truncate(paths[1], os.path.getsize(paths[1]) - 5), table, array=None)

def surface(path, radius=1, x=0):
    sphere = vtkSphereSource()
    sphere.SetCenter(x, 0, 0)
    sphere.SetRadius(radius)
    writer = vtkXMLPolyDataWriter()
    writer.SetFileName(path)
    writer.SetInputConnection(sphere.GetOutputPort())
    if not radius:
        empty = vtkPolyData()
        empty.SetPoints(vtkPoints())
        writer.SetInputDataObject(empty)
    writer.Write()

def polygons(folder, paths):
    return simple.XMLPolyDataReader(FileName=paths)

tried("empty", ".vtp", polygons, lambda paths: surface(paths[1], 0), surface, array=None)
tried("away", ".vtp", polygons, lambda paths: surface(paths[1], x=99), surface, array=None)
tried("whole", ".vtp", polygons, lambda paths: None, surface, array=None)
"""


def test_a_frame_of_incomplete_data_fails_and_names_the_file(pvbatch: Run, tmp_path: Path) -> None:
    said = pvbatch(comparison_script(tmp_path, BODY)).stdout.splitlines()
    cut = "is incomplete: it does not end with </VTKFile>"
    grey = "XMLImageDataReader1 has no array 'RTData' in this frame, so its colors are wrong"
    nothing = "frame 1 shows nothing but the background, also when rendered once more"
    expected = {
        "xml": f"{tmp_path}/xml/step_1.vti {cut}",
        "legacy": f"Error reading binary data! (while reading {tmp_path}/legacy/step_1.vtk)",
        "pvd": f"{tmp_path}/pvd/step_1.vti {cut}",
        "grey": f"{grey} ({tmp_path}/grey/step_1.vti)",
        "table": f"{tmp_path}/table/step_1.csv is incomplete: its last line lacks 2 fields",
    }
    for name, error in expected.items():
        first, second, third, again = (line for line in said if line.startswith(name))
        assert error in second, said
        assert error in again, said
        assert (first, third) == (f"{name} 0: []", f"{name} 2: []"), said
    first, *others = (line for line in said if line.startswith("first"))
    assert f"{grey} ({tmp_path}/first/step_0.vti)" in first, said
    assert all(line.endswith(": []") for line in others), said
    warnings = {
        "empty": f"{nothing}: XMLPolyDataReader1 ({tmp_path}/empty/step_1.vtp) has no data at this time",
        "away": f"{nothing}: its data are not empty, so check the camera",
    }
    for name, warning in warnings.items():
        lines = [line for line in said if line.startswith(name)]
        assert lines == [f"{name} 0: []", f"{name} 1: {[warning]}", f"{name} 2: []", f"{name} 1: []"], said
    assert [line for line in said if line.startswith("whole") and not line.endswith(": []")] == [], said
