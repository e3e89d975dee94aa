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
from vtkmodules.vtkIOXML import vtkXMLImageDataWriter

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

def tried(name, suffix, make, damage):
    simple.ResetSession()
    folder = f"{FOLDER}/{name}"
    os.makedirs(folder)
    paths = [f"{folder}/step_{step}{suffix}" for step in range(3)]
    for path in paths:
        write(path)
    view, reader = simple.CreateView("RenderView"), make(folder, paths)
    view.ViewSize = [160, 90]
    shown = simple.Show(reader, view)
    shown.Representation = "Slice" if suffix == ".vti" and make is not index else "Surface"
    simple.ColorBy(shown, ("POINTS", "RTData"))
    scene = simple.GetAnimationScene()
    scene.UpdateAnimationUsingDataTimeSteps()
    scene.PlayMode = "Snap To TimeSteps"
    simple.SaveState(f"{folder}/scene.pvsm")
    simple.ResetSession()
    damage(paths[1])
    job = RenderJob(scene=f"{folder}/scene.pvsm", sizes=("160x90",))
    opened = engine.open_scene(job.scene.read_bytes(), job)
    assert opened.errors == []
    for frame in (0, 1, 2, 1):
        print(f"{name} {frame}:", opened.render(frame, job.outputs[0], Path("x.png")).errors, flush=True)

def cut(path):
    os.truncate(path, os.path.getsize(path) // 2)

tried("xml", ".vti", lambda folder, paths: simple.XMLImageDataReader(FileName=paths), cut)
tried("legacy", ".vtk", lambda folder, paths: simple.LegacyVTKReader(FileNames=paths), cut)
tried("pvd", ".vti", lambda folder, paths: index(folder), cut)
tried("grey", ".vti", lambda folder, paths: simple.XMLImageDataReader(FileName=paths), lambda p: write(p, "other"))
"""


def test_a_frame_of_incomplete_data_fails_and_names_the_file(pvbatch: Run, tmp_path: Path) -> None:
    said = pvbatch(comparison_script(tmp_path, BODY)).stdout.splitlines()
    cut = "is incomplete: it does not end with </VTKFile>"
    expected = {
        "xml": f"{tmp_path}/xml/step_1.vti {cut}",
        "legacy": f"Error reading binary data! (while reading {tmp_path}/legacy/step_1.vtk)",
        "pvd": f"{tmp_path}/pvd/step_1.vti {cut}",
        "grey": "has no array 'RTData' in this frame, so its colors are wrong",
    }
    for name, error in expected.items():
        first, second, third, again = (line for line in said if line.startswith(name))
        assert error in second, said
        assert error in again, said
        assert (first, third) == (f"{name} 0: []", f"{name} 2: []"), said
