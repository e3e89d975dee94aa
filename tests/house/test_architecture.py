"""Check the rules of CONTRIBUTING: imports point down the list of packages, checkers are quiet, files are short."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from processes import need
from repository import REPOSITORY

PACKAGE = REPOSITORY / "mpirender"
LONGEST_FUNCTION = 50
LONGEST_FILE = 350
LONGEST_TEST_FILE = 400
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "hosted" not in path.parts]
# Packages whose modules also run inside pvbatch or Blender.
INSIDE_PVBATCH = (
    "errors.py", "version.py", "job", "system", "engines", "run_folder", "movie", "ranks", "pool/worker.py",
    "pool/function_process.py", "sessions/rank.py",
)  # fmt: skip
ALLOWED_INSIDE_PVBATCH = {
    *sys.stdlib_module_names, "mpirender", "mpi4py", "numpy", "imageio", "imageio_ffmpeg", "fileseq", "isal",
    "paraview", "vtkmodules", "bpy", "gpu",
}  # fmt: skip


def dotted(path: Path) -> str:
    """Return the dotted module name of a file."""
    name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports, at any level."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def public_names(package: Path) -> list[str]:
    """Return the ``__all__`` of a package."""
    for node in ast.parse((package / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def test_imports_point_down_the_list_of_packages() -> None:
    """pyproject.toml contains the contracts: the order of the packages and the imports allowed inside pvbatch."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_other_packages_import_only_the_public_names_of_a_package() -> None:
    packages = {dotted(path): path.parent for path in MODULES if path.name == "__init__.py" and path.parent != PACKAGE}
    wrong = []
    for path in MODULES:
        for name in imported(path):
            for package, folder in packages.items():
                part = name.removeprefix(f"{package}.").split(".")[0]
                inside = folder in path.parents
                if name.startswith(f"{package}.") and not inside and part not in public_names(folder):
                    wrong.append(f"{dotted(path)} imports {name}, but {part} is not in __all__ of {package}")
    assert wrong == []


@pytest.mark.parametrize("package", [path.parent for path in MODULES if path.name == "__init__.py"], ids=dotted)
def test_the_public_names_of_a_package_exist(package: Path) -> None:
    for name in public_names(package):
        code = (package / "__init__.py").read_text()
        assert (package / f"{name}.py").exists() or (package / name).is_dir() or code.count(name) > 1, name


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for type checking count too. A module may import itself, as the module that starts a rank does."""
    graph = grimp.build_graph("mpirender", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) - {name} for name in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]), pytrace=False)


@pytest.mark.parametrize("place", INSIDE_PVBATCH)
def test_what_runs_inside_pvbatch_imports_only_what_a_pvbatch_can_have(place: str) -> None:
    for path in MODULES:
        if path == PACKAGE / place or PACKAGE / place in path.parents:
            assert {name.split(".")[0] for name in imported(path)} <= ALLOWED_INSIDE_PVBATCH, path


def test_no_package_asks_which_engine_it_is() -> None:
    for path in MODULES:
        if "engines" not in path.parts:
            assert "engine ==" not in path.read_text(), path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno - node.lineno + 1 <= LONGEST_FUNCTION, f"{path.name}: {node.name}"


def lines(path: Path) -> int:
    """Count the lines of a file."""
    return len(path.read_text().splitlines())


def test_files_are_short() -> None:
    tests = (REPOSITORY / "tests").rglob("*.py")
    long = [path for path in MODULES if lines(path) > LONGEST_FILE]
    assert long + [path for path in tests if lines(path) > LONGEST_TEST_FILE] == []


def test_test_files_have_different_names() -> None:
    """Their folders are no packages, so pytest could not collect two of one name in one run."""
    names = Counter(path.name for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_container_image_gets_every_file_that_the_package_includes() -> None:
    project, image = ((REPOSITORY / name).read_text() for name in ("pyproject.toml", "launch/paraview.def"))
    included = re.findall(r'^"(launch/\S+)" = "mpirender/', project, re.MULTILINE)
    assert included
    assert [name for name in included if f"    {name} /opt/mpirender-source/launch/" not in image] == []


def test_tests_import_no_tests() -> None:
    """Shared code of the tests is in tests/support."""
    for path in (REPOSITORY / "tests").rglob("*.py"):
        shared = [name for name in imported(path) if name.startswith(("test_", "conftest"))]
        assert shared == [], path


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=lambda command: " ".join(command[:2]),
)
def test_checkers_are_quiet(command: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shell_scripts_are_well_formed() -> None:
    scripts = [*REPOSITORY.glob("launch/*.sh"), *REPOSITORY.glob("tests/**/*.sh"), REPOSITORY / ".ci" / "run"]
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
