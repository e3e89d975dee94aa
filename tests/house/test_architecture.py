"""The rules of the house: imports point down the list of packages, checkers are quiet, functions are short."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from processes import need
from repository import REPOSITORY

PACKAGE = REPOSITORY / "mpirender"
LONGEST = 60
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "hosted" not in path.parts and path.stem != "__init__"]
MODULES += [PACKAGE / "engines" / "__init__.py"]


def test_imports_point_down_the_list_of_packages() -> None:
    """The contracts are in pyproject.toml: the order of the packages, and who may import what inside pvbatch."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_package_asks_which_engine_it_is() -> None:
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
