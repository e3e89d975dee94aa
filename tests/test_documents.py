"""README and the other documents are true: links, options, exit codes, and the commands they show."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import compare
from conftest import REPOSITORY, Run, need
from mpirender import errors
from mpirender.cli import cli
from mpirender.job.outputs import SIZE_NAMES

README = (REPOSITORY / "README.md").read_text()
DOCUMENTS = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("benchmarks/*.md")]


def shown_commands(program: str) -> list[str]:
    """Return the lines of README's code blocks that start with this program."""
    lines = [line for block in README.split("```")[1::2] for line in block.splitlines()]
    return [line for line in lines if line.split(" ")[0] == program]


@pytest.fixture
def folder(scenes: SimpleNamespace, tmp_path: Path) -> Path:
    """Give README's scenes their names: an orbit of 1000 frames, and a state whose data has moved."""
    orbit = scenes.state("orbit").read_text()
    longer = re.sub(r'(name="NumberOfFrames"[^>]*>\s*<Element index="0" value=)"\d+"', r'\1"1000"', orbit)
    assert longer != orbit
    (tmp_path / "orbit.pvsm").write_text(longer)
    series = scenes.state("series").read_text().replace(f"{scenes.folder}/data/", "C:\\somewhere\\")
    (tmp_path / "moved.pvsm").write_text(series)
    shutil.copytree(scenes.folder / "data", tmp_path / "data")
    shutil.copy(scenes.state("cut"), tmp_path / "wave.pvsm")
    (tmp_path / "cone.py").write_text("from paraview.simple import *\nShow(Cone())\n")
    (tmp_path / "paraview.sif").touch()
    return tmp_path


def bring_blend(request: pytest.FixtureRequest, folder: Path, text: str) -> None:
    """Bring the Blender file of README along where a text needs it: not every Python can make it."""
    if ".blend" in text:
        shutil.copy(request.getfixturevalue("blends").file("shot"), folder)


ALL = shown_commands("mpirender")
OF_A_RUN = [command for command in ALL if command.split()[1] in ("status", "encode")]


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in ALL if command not in OF_A_RUN])
def test_the_commands_of_readme_are_accepted(
    request: pytest.FixtureRequest, run: Run, folder: Path, apptainer: Path, command: str
) -> None:
    """Rendering is checked as far as --dry-run goes: scene, data, options, programs; submitting as far as --print.

    container.sh makes the real image and renders through it.
    """
    bring_blend(request, folder, command)
    words = shlex.split(command, comments=True)[1:]
    dry = {"render": "--dry-run", "study": "--dry-run", "submit": "--print"}.get(words[0])
    if dry and dry not in words:
        words.insert(1, dry)
    done = run(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
def test_the_commands_of_readme_about_a_run_work_on_one(run: Run, folder: Path) -> None:
    assert run("render", "orbit.pvsm", "--frames", "0-2", "--size", "480p", cwd=folder).returncode == 0
    for command in OF_A_RUN:
        done = run(*shlex.split(command, comments=True)[1:], cwd=folder)
        assert done.returncode == 0, command + done.stderr
        assert done.stdout


PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("script", PYTHON, ids=lambda script: script.strip().splitlines()[-1].strip())
def test_the_python_of_readme_runs(request: pytest.FixtureRequest, folder: Path, script: str) -> None:
    bring_blend(request, folder, script)
    (folder / "example.py").write_text(script)
    done = subprocess.run([sys.executable, "example.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Error" not in done.stdout


@pytest.mark.slow
def test_the_folder_that_readme_shows_is_what_a_run_leaves(run: Run, folder: Path) -> None:
    assert run("render", "orbit.pvsm", "--frames", "0-1", cwd=folder).returncode == 0
    for name in ("HD/frame_000000.png", "orbit_HD.mp4", "contact_sheet.png", ".mpirender"):
        assert (folder / "orbit_renders" / name).exists()
        assert name.split("/")[0] in README


@pytest.mark.slow
def test_the_mpiexec_line_of_readme_is_the_one_that_is_run(run: Run, folder: Path) -> None:
    (line,) = shown_commands("mpiexec")
    shown = run("render", "orbit.pvsm", "--ranks", 8, "--dry-run", cwd=folder).stdout.splitlines()[-1]
    words = [word for word in shlex.split(shown)[1:] if not re.match(r"[A-Z_0-9a-z]+=", word)]
    assert [Path(word).name for word in words] == [Path(word).name for word in line.split()]
    assert words[-1] == str(folder / line.split()[-1])


def test_readme_names_only_options_that_exist(tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text("ClusterName=x\nSlurmctldHost=localhost\n")
    environment = {**os.environ, "SLURM_CONF": str(tmp_path / "slurm.conf")}
    of_sbatch = subprocess.run([need("sbatch"), "--help"], env=environment, capture_output=True, text=True, check=True)
    known = {name for command in cli.commands.values() for parameter in command.params for name in parameter.opts}
    known |= {name for action in compare.parser()._actions for name in action.option_strings}
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - {
        "--no-mpi",
        "--fast",
        "--help",
        "--open-mode",
        "--mpi",
        "--sym",
    }
    assert used - set(re.findall(r"--[a-z][a-z-]+", of_sbatch.stdout)) <= known


def test_readme_names_every_exit_code() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)}
    assert table == {0, *errors.BY_EXIT_CODE}


def test_the_sizes_that_help_names_exist(run: Run) -> None:
    text = " ".join(run("render", "--help").stdout.split())
    named = re.search(r"Image resolution in pixels: (.*?) …", text)[1].split(", ")
    assert set(named) <= set(SIZE_NAMES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in link:
            assert (document.parent / link).exists(), link


@pytest.mark.parametrize("name", ["demo.sh", "run.sh"])
def test_the_two_commands_of_readme_exist(name: str) -> None:
    (path,) = re.findall(rf"bash (\S+/{re.escape(name)})", README)
    assert (REPOSITORY / path).is_file()
