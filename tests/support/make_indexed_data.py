"""Make series of four timesteps in formats with index files, and their states: pvbatch make_indexed_data.py FOLDER."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from paraview import simple

COUNT = 4
HEAD = "FoamFile {{ version 2.0; format ascii; class {}; location x; object {}; }}\n"
ENSIGHT = """FORMAT
type: ensight gold
GEOMETRY
model: 1 geo.*
VARIABLE
scalar per node: 1 RTData p.*
TIME
time set: 1
number of steps: 4
filename start number: 0
filename increment: 1
time values: 0 1 2 3
"""


def write_foam(folder: Path) -> None:
    """Write an OpenFOAM case of one cube, with a field p at the times 0 to 3."""
    corners = [(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1)]
    faces = ["(0 4 6 2)", "(1 3 7 5)", "(0 1 5 4)", "(2 6 7 3)", "(0 2 3 1)", "(4 5 7 6)"]
    files = {
        "points": ("vectorField", len(corners), "\n".join("({} {} {})".format(*corner) for corner in corners)),
        "faces": ("faceList", len(faces), "\n".join(f"4{face}" for face in faces)),
        "owner": ("labelList", len(faces), "\n".join("0" for _ in faces)),
        "neighbour": ("labelList", 0, ""),
        "boundary": ("polyBoundaryMesh", 1, "walls { type wall; nFaces 6; startFace 0; }"),
    }
    for name, (kind, count, content) in files.items():
        path = folder / "constant" / "polyMesh" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD.format(kind, name) + f"{count}\n(\n{content}\n)\n")
    for time in range(COUNT):
        (folder / f"{time}").mkdir()
        field = f"dimensions [0 2 -2 0 0 0 0];\ninternalField uniform {10 * time};\n"
        walls = "boundaryField { walls { type zeroGradient; } }\n"
        (folder / f"{time}" / "p").write_text(HEAD.format("volScalarField", "p") + field + walls)
    control = "startTime 0; endTime 3; deltaT 1; writeControl timeStep; writeInterval 1; timeFormat general;\n"
    (folder / "system").mkdir()
    (folder / "system" / "controlDict").write_text(HEAD.format("dictionary", "controlDict") + control)
    (folder / "case.foam").touch()


def write_steps(folder: Path) -> None:
    """Write the steps as .vtp, .vtm and EnSight files, and a .pvd of the first."""
    wavelet = simple.Wavelet(WholeExtent=[-3, 3, -3, 3, -3, 3])
    for step in range(COUNT):
        contour = simple.Contour(Input=wavelet, ContourBy=["POINTS", "RTData"], Isosurfaces=[120.0 + 20 * step])
        mesh, group = simple.Tetrahedralize(Input=wavelet), simple.GroupDatasets(Input=[wavelet, contour])
        simple.SaveData(f"{folder}/pvd/data/{step}.vtp", proxy=contour)
        simple.SaveData(f"{folder}/vtm/x{step}.vtm", proxy=group)
        simple.SaveData(f"{folder}/case/made{step}.case", proxy=mesh)
        for suffix, name in ((".geo", "geo"), ("_n.RTData", "p")):
            (made,) = (folder / "case").glob(f"made{step}.*{suffix}")
            made.rename(folder / "case" / f"{name}.{step}")
    sets = "".join(f'<DataSet timestep="{step}" file="data/{step}.vtp"/>' for step in range(COUNT))
    (folder / "pvd" / "run.pvd").write_text(f'<VTKFile type="Collection"><Collection>{sets}</Collection></VTKFile>')
    (folder / "case" / "run.case").write_text(ENSIGHT)


def save(path: Path, make: Callable[[], object], *, count: int = 0, axes: bool = False) -> None:
    """Save a state that shows what ``make`` makes: all timesteps, or this many frames."""
    simple.ResetSession()
    view = simple.CreateView("RenderView")
    view.ViewSize = [160, 90]
    simple.Show(make(), view)
    view.AxesGrid.Visibility = int(axes)
    scene = simple.GetAnimationScene()
    scene.UpdateAnimationUsingDataTimeSteps()
    scene.PlayMode = "Sequence" if count else "Snap To TimeSteps"
    scene.NumberOfFrames = count or 10
    simple.ResetCamera(view)
    simple.SaveState(str(path))


def main(folder: Path) -> None:
    """Write all data and states."""
    for name in ("pvd/data", "vtm", "case", "foam"):
        os.makedirs(folder / name)  # noqa: PTH103
    write_steps(folder)
    write_foam(folder / "foam")

    def pvd() -> object:
        return simple.PVDReader(FileName=f"{folder}/pvd/run.pvd")

    save(folder / "pvd.pvsm", pvd)
    save(folder / "axes.pvsm", pvd, axes=True)
    save(folder / "between.pvsm", lambda: simple.TemporalInterpolator(Input=pvd()), count=7)
    series = [f"{folder}/vtm/x{step}.vtm" for step in range(COUNT)]
    save(folder / "vtm.pvsm", lambda: simple.XMLMultiBlockDataReader(FileName=series))
    save(folder / "case.pvsm", lambda: simple.EnSightReader(CaseFileName=f"{folder}/case/run.case"))
    foam = {"FileName": f"{folder}/foam/case.foam", "CellArrays": ["p"], "SkipZeroTime": 0}
    save(folder / "foam.pvsm", lambda: simple.OpenFOAMReader(**foam))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
