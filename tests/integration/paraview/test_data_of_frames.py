"""Find out which data files each frame depends on, and render again the frames whose files have changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine_scripts import comparison_script
from processes import Run, need
from repository import SUPPORT

pytestmark = pytest.mark.slow

FRAMES = """
import os
from pathlib import Path
from mpirender.engines.paraview import engine
from mpirender.job.render_job import RenderJob

for name in sys.argv[2:]:
    simple.ResetSession()
    job = RenderJob(scene=f"{sys.argv[1]}/{name}.pvsm", sizes=("160x90",))
    opened = engine.open_scene(engine.prepare(job.scene.read_bytes(), job)[0], job)
    assert opened.observes and not opened.errors, opened.errors
    for frame in (0, 2, 1, 2):
        inputs = opened.render(frame, job.outputs[0], Path("x.png")).inputs
        assert all(state.modified for state in inputs), inputs
        print(name, frame, *sorted(os.path.relpath(state.path, sys.argv[1]) for state in inputs), flush=True)
"""
MESH = [f"foam/constant/polyMesh/{name}" for name in ("boundary", "faces", "neighbour", "owner", "points")]


def step(name: str, number: int) -> list[str]:
    """Return the files of a timestep."""
    if name == "vtm":
        pieces = sorted(f"vtm/x{number}/x{number}_{piece}" for piece in ("0_0.vti", "1_0.vtp"))
        return [f"vtm/x{number}.vtm", *pieces]
    return {
        "pvd": [f"pvd/data/{number}.vtp", "pvd/run.pvd"],
        "case": [f"case/geo.{number}", f"case/p.{number}", "case/run.case"],
        "foam": [f"foam/{number}/p", *MESH],
    }[name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pvbatch: Run) -> Path:
    """Make the data, an hour ago."""
    folder = tmp_path_factory.mktemp("indexed")
    pvbatch(SUPPORT / "make_indexed_data.py", folder)
    for path in folder.rglob("*"):
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    return folder


def test_a_frame_depends_on_the_files_of_its_own_time(pvbatch: Run, folder: Path, tmp_path: Path) -> None:
    names = ("pvd", "vtm", "case", "foam", "axes", "between")
    said = pvbatch(comparison_script(tmp_path, FRAMES), folder, *names).stdout.splitlines()
    found = {name: [line.split()[1:] for line in said if line.startswith(f"{name} ")] for name in names}
    for name in ("pvd", "vtm", "case", "foam"):
        assert found[name] == [[f"{number}", *step(name, number)] for number in (0, 2, 1, 2)], name
    # Axes are drawn around the data of the frame before. What was shown before that counts as well.
    assert set(found["axes"][2]) == {"1", *_pvd(0, 1, 2)}
    # At the time of frame 1 of 7, half a timestep, two timesteps are needed; the filter may have kept others.
    assert set(found["between"][2]) >= {"1", *_pvd(0, 1)}


def _pvd(*numbers: int) -> list[str]:
    return [*(f"pvd/data/{number}.vtp" for number in numbers), "pvd/run.pvd"]


def test_where_files_cannot_be_observed_any_change_renders_all_frames_again_and_a_warning_says_so(
    folder: Path, tmp_path: Path
) -> None:
    words = ["render", folder / "pvd.pvsm", "--size", "160x90", "--ranks", 1, "--movie", "none"]
    command = " ".join(map(str, (sys.executable, "-m", "mpirender", *words, "--output", tmp_path / "out")))
    without = f"echo 0 >/proc/sys/user/max_inotify_instances && exec {command}"  # in this user namespace

    def render() -> str:
        unshare = [need("unshare"), "--user", "--map-root-user", "sh", "-c", without]
        done = subprocess.run(unshare, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    why = "the limit fs.inotify.max_user_instances or of open files of this user is reached"
    assert f"warning: this machine cannot observe which data files each frame reads ({why}), so a change" in render()
    path = folder / "pvd" / "data" / "2.vtp"
    os.utime(path, (path.stat().st_mtime + 60,) * 2)
    assert "4 images here are made with other data files; rendered again" in render()
