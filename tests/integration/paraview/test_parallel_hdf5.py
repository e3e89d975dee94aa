"""Render data whose reader uses MPI where it can: Debian's XDMF reader opens a file together with all ranks it sees."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from case_scripts import GRID
from processes import Run, need
from records import records

pytestmark = pytest.mark.slow

STEPS = 5
SIZE = "160x90"
DATA = """
import sys
from paraview.simple import *
for step in range(int(sys.argv[1])):
    extent = [-4 - step, 4 + step] * 3
    SaveData(f"s{step}.xmf", Wavelet(WholeExtent=extent, Maximum=100 + 30 * step))  # the grid goes into s0.h5
"""
SCENE = """
from paraview.simple import *
reader = XDMFReader(registrationName="series", FileNames=["{folder}/run.xmf"])
reader.UpdatePipelineInformation()
view = GetActiveViewOrCreate("RenderView")
view.ViewSize = [160, 90]
display = Show(reader, view)
display.Representation = "Surface"
ColorBy(display, ("POINTS", "RTData"))
GetColorTransferFunction("RTData").AutomaticRescaleRangeMode = "Never"
GetColorTransferFunction("RTData").RescaleTransferFunction(0, 250)
view.ResetCamera()
scene = GetAnimationScene()
scene.UpdateAnimationUsingDataTimeSteps()
scene.PlayMode = "Snap To TimeSteps"
"""


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the data, one HDF5 file per step as solvers write them; return their folder."""
    folder = tmp_path_factory.mktemp("series")
    (folder / "data.py").write_text(DATA)
    subprocess.run([need("pvbatch"), "--no-mpi", "data.py", str(STEPS)], cwd=folder, check=True, capture_output=True)
    grids = [GRID.format(step=step, n=9 + 2 * step, d=8 / (8 + 2 * step)) for step in range(STEPS)]
    collection = f'<Grid GridType="Collection" CollectionType="Temporal">{"".join(grids)}</Grid>'
    (folder / "run.xmf").write_text(f'<Xdmf Version="2.0"><Domain>{collection}</Domain></Xdmf>')
    return folder


def scene_in(folder: Path) -> Path:
    scene = folder / "scene.py"
    scene.write_text(SCENE.replace("{folder}", str(folder)))
    return scene


def render(run: Run, scene: Path, output: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return run("render", scene, "--size", SIZE, "--movie", "none", "--output", output, *options)


def test_files_that_cannot_be_read_fail_their_frames_by_name_and_no_others(
    run: Run, series: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(series, folder)
    (folder / "s2.h5").unlink()
    missing = render(run, scene_in(folder), tmp_path / "out", "--ranks", 2)
    assert missing.returncode == 2
    assert "does not exist: s2.h5" in missing.stderr
    (folder / "s2.h5").write_text("no data")
    with (folder / "s3.h5").open("r+b") as cut:
        cut.truncate(4000)
    done = render(run, scene_in(folder), tmp_path / "out", "--ranks", 2)
    assert done.returncode == 4, done.stderr
    for step in (2, 3):
        assert re.search(rf"{SIZE} frames {step}: rank \d on \S+: .*\(s{step}\.h5\)", done.stderr), done.stderr
    assert sorted(record.image.frame for record in records(tmp_path / "out", "done")) == [0, 1, 4]
