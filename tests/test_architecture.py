"""The house rules: imports point down the list of rooms, checkers are quiet, ranks import only what they may."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY, need

PACKAGE = REPOSITORY / "mpirender"
# From the bottom up: a room may import those before it.
ROOMS = (
    "errors", "frames", "variants", "outputs", "choices", "job", "container", "processes", "stopping", "voice",
    "world", "display", "engines", "roster", "backends", "schedule", "handout", "groups", "journal", "png", "writing",
    "orders", "lock", "ffmpeg", "readback", "movie", "gif", "cuts", "segments", "resume", "survey", "images",
    "assembly", "reference", "pooled", "rank", "slurm", "launcher", "launch", "preflight", "trial", "folder", "space",
    "memory", "flight", "fate", "spent", "result", "supervise", "lives", "progress", "tally", "work", "exchange",
    "starts", "shift", "pool", "report", "table", "study", "status", "guard", "stock", "encode", "submit", "doctor",
    "options", "asked", "shown", "cli",
)  # fmt: skip
INSIDE = ROOMS[: ROOMS.index("rank") + 1]  # these run inside pvbatch
# numpy, imageio and vtk are imported by single engines, each inside a function.
ALLOWED_INSIDE = {"mpirender", "mpi4py", "numpy", "imageio", "imageio_ffmpeg", "fileseq", "paraview", "vtkmodules"}
ALLOWED_INSIDE |= {"bpy", "gpu"}  # of Blender
LONGEST = 60
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "hosted" not in path.parts and path.stem != "__init__"]
MODULES += [PACKAGE / "engines" / "__init__.py"]


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return the dotted names a module imports, those inside functions too, type-checking blocks left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_imported(path: Path) -> set[str]:
    names = (name.split(".") for name in imported(path) if name.startswith("mpirender."))
    return {parts[1] for parts in names if parts[1] in ROOMS}


def test_every_module_is_in_the_list_of_rooms() -> None:
    assert {room(path) for path in MODULES} == set(ROOMS)


def test_the_list_of_rooms_in_contributing_is_this_one() -> None:
    table = re.findall(r"^\| (`.*?) \|", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    names = re.findall(r"`(\w+)(?:\.py|/)`", "\n".join(table))
    assert tuple(reversed(names)) == ROOMS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_the_list_of_rooms(path: Path) -> None:
    here = ROOMS.index(room(path))
    assert [name for name in rooms_imported(path) if ROOMS.index(name) > here] == []


@pytest.mark.parametrize("name", INSIDE)
def test_what_runs_inside_pvbatch_imports_only_what_a_pvbatch_can_have(name: str) -> None:
    for path in MODULES:
        if room(path) == name:
            packages = {full.split(".")[0] for full in imported(path)}
            assert packages <= set(sys.stdlib_module_names) | ALLOWED_INSIDE


def test_only_the_paraview_engine_imports_paraview() -> None:
    found = [
        path.name for path in MODULES for name in imported(path) if name.split(".")[0] in ("paraview", "vtkmodules")
    ]
    assert {name for name in found if not name.startswith("pv")} == {"paraview.py"}


def test_only_what_runs_inside_blender_imports_bpy() -> None:
    found = [path.name for path in MODULES for name in imported(path) if name.split(".")[0] in ("bpy", "gpu")]
    assert found
    assert all(name.startswith("bl") and name != "blender.py" for name in found)


def test_nothing_outside_the_engines_imports_one_of_them() -> None:
    modules = {f"mpirender.engines.{path.stem}" for path in (PACKAGE / "engines").glob("*.py")}
    for path in MODULES:
        if "engines" not in path.parts:
            assert not {".".join(name.split(".")[:3]) for name in imported(path)} & modules, path


def test_no_room_asks_which_engine_it_is() -> None:
    for path in MODULES:
        if "engines" not in path.parts:
            assert "engine ==" not in path.read_text(), path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno < LONGEST, f"{path.name}: {node.name}"


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=lambda command: " ".join(command[:2]),
)
def test_checkers_are_quiet(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shell_scripts_are_well_formed() -> None:
    scripts = [*REPOSITORY.glob("launch/*.sh"), *REPOSITORY.glob("tests/*.sh"), REPOSITORY / ".ci" / "run"]
    subprocess.run([need("shellcheck"), "--external-sources", *map(str, scripts)], check=True, cwd=REPOSITORY)


def test_ci_runs_the_tests_and_nothing_else() -> None:
    lines = [line for line in (REPOSITORY / ".ci" / "run").read_text().splitlines() if line and line[0] != "#"]
    assert "bash tests/run.sh" in lines[-1] or "tests/run.sh" in lines[-1]
    assert len(lines) <= 3


def test_nothing_committed_names_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    for path in (REPOSITORY / name for name in tracked.stdout.split()):
        if path.is_file():
            for place in (REPOSITORY, Path.home()):
                assert len(place.parts) < 2 or f"{place}/".encode() not in path.read_bytes(), path
