"""Run ranks in a container: check the command line, and build and use the real image once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line, launch_plan
from mpirender.supervisor import preflight
from mpirender.system.apptainer import mount_field
from mpirender.system.apptainer import words as container_words
from processes import Pattern, Run, need


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "an image.sif"
    path.touch()
    return path


def command_of(job: RenderJob) -> list[str]:
    plan = launch_plan.of_job(job, preflight.inspect(job), images=100)
    return plan.command(*command_line.rank_words(job))


def test_each_rank_runs_in_a_container_of_its_own(apptainer: Path, image: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.pattern").touch()
    job = RenderJob(tmp_path / "elsewhere" / "x.pattern", tmp_path / "data", container=str(image), ranks=2)
    words = command_of(job)
    assert words[1:6] == ["-n", "2", str(apptainer), "--quiet", "exec"]
    assert words[-7:] == ["--pwd", "/", str(image), "python3", "-m", "mpirender.ranks", f"{job.folder}/job.json"]
    mounts = [word for option, word in zip(words, words[1:]) if option == "--mount"]
    seen = [tmp_path / "data", tmp_path / "elsewhere"]
    assert mounts == [f'type=bind,"source={folder}","destination={folder}"' for folder in seen]


def test_folders_of_data_are_seen_in_it_also_where_they_are_links(
    apptainer: Path, image: Path, tmp_path: Path, scene_with_data: Path
) -> None:
    job = RenderJob(scene_with_data, tmp_path / "out", container=str(image))
    told = " ".join(command_of(job))
    for folder in ("link", "real"):
        assert f'"source={tmp_path}/{folder}"' in told
    assert " pvbatch --no-mpi -m mpirender.ranks " in told, "pvbatch must be the one in the image, called by name"


@pytest.fixture
def scene_with_data(tmp_path: Path) -> Path:
    """Write a state that reads a file through a symbolic link to its folder."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.vtp").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "scenes").mkdir()
    state = tmp_path / "scenes" / "s.pvsm"
    state.write_text(
        f"""<ParaView><ServerManagerState version="5.11.0">
        <Proxy group="sources" type="XMLPolyDataReader" id="1" servers="1">
        <Property name="FileName" id="1.FileName" number_of_elements="1">
        <Element index="0" value="{tmp_path}/link/a.vtp"/><Domain name="files" id="1.files"/></Property></Proxy>
        <ProxyCollection name="sources"><Item id="1" name="a.vtp"/></ProxyCollection>
        </ServerManagerState></ParaView>"""
    )
    return state


def test_a_scene_at_the_top_hides_no_other_folder(apptainer: Path, image: Path, tmp_path: Path) -> None:
    words = container_words(str(image), [Path("/"), tmp_path])
    assert [word for word in words if word.startswith("type=bind")] == [
        f'type=bind,"source={tmp_path}","destination={tmp_path}"'
    ]


def test_names_that_mean_something_to_apptainer_survive() -> None:
    assert mount_field("source", Path('/a, "b":c')) == '"source=/a, ""b"":c"'


def test_an_image_that_is_not_there_and_a_missing_apptainer_are_reported(
    run: Run, pattern: Pattern, image: Path
) -> None:
    done = run("render", pattern(), "--container", "none.sif")
    assert done.returncode == 2
    assert "none.sif: no such image; build one: apptainer build paraview.sif launch/paraview.def" in done.stderr
    nothing = {**os.environ, "PATH": str(Path(need("mpiexec")).parent / "nowhere")}
    done = run("render", pattern(), "--container", image, "--mpiexec", need("mpiexec"), env=nothing)
    assert done.returncode == 3
    assert "apptainer is not found" in done.stderr


def test_a_site_can_name_the_image_once_and_for_all(run: Run, pattern: Pattern, image: Path) -> None:
    shown = run("submit", pattern(), "--print", env={**os.environ, "MPIRENDER_CONTAINER": str(image)})
    assert f"--container '{image}'" in shown.stdout


def test_the_ranks_are_started_through_it(apptainer: Path, run: Run, pattern: Pattern, image: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    words = ("--size", "80x50", "--ranks", 2, "--container", image)
    done = run("render", pattern(), *words, env=environment)
    assert done.returncode == 0, done.stderr
    assert (apptainer.parents[1] / "called").read_text().count("--pwd\n/\n") == 2


def test_a_container_with_another_mpirender_is_reported(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    job = RenderJob(pattern(), tmp_path / "out")
    job.folder.mkdir(parents=True)
    (job.folder / "job.json").write_text(json.dumps({**json.loads(job.to_json()), "sparkle": True}))
    words = [sys.executable, "-m", "mpirender.ranks", str(job.folder / "job.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "written by another version of mpirender" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_image_is_built_and_ranks_render_through_it(container_image: str) -> None:
    """container.sh does the checks. It takes some minutes, in the background."""
    assert "the image is sound" in container_image
    assert container_image.count("are the same") == 3
