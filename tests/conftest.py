"""Shared fixtures: the command line as users run it, real ParaView scenes, and ParaView's own frames of them."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from background import COMMANDS, Background
from images import SIZE
from mpirender.launcher.environment import variables
from mpirender.movie import ffmpeg
from mpirender.system import signals, xvfb
from paraview_scripts import SCRIPT
from processes import Run, need
from repository import SUPPORT
from second_root import PROGRAMS, SCENES_OF_SECOND_ROOT, WINDOWS, WITH_OSMESA, Root, made


def pytest_configure() -> None:
    """Let programs that tests start receive the stop signals, of which nohup and shells in the background ignore some.

    A program inherits that a signal is ignored, but not a handler. The tests themselves still ignore it.
    """
    for number in signals.SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


def pytest_report_header() -> list[str]:
    """Report which installed tools the tests use."""
    return [
        f"{tool}: {shutil.which(tool) or 'NOT FOUND'}" for tool in ("pvbatch", "blender", "mpiexec", "Xvfb", "tmux")
    ]


BACKGROUND = Background()


def waits_for(item: pytest.Item) -> set[str]:
    """Return which of the fixtures built in the background a test needs."""
    names = set(getattr(item, "fixturenames", ()))
    if "callspec" in vars(item) and item.callspec.params.get("paraview") == "6.1":
        names.add("second_root")
    return names & COMMANDS.keys()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that need a background build last."""
    items.sort(key=lambda item: bool(waits_for(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the background builds that the selected tests need."""
    if not session.config.option.collectonly:
        for item in session.items:
            for name in waits_for(item):
                BACKGROUND.start(name)


def pytest_sessionfinish() -> None:
    """Stop the background builds."""
    BACKGROUND.end()


@pytest.fixture(scope="session")
def second_root() -> Root:
    """Return a second Debian installation, with ParaView 6.1."""
    for program in PROGRAMS:
        need(program)
    BACKGROUND.need("second_root")
    return made()


@pytest.fixture(scope="session")
def scenes_of_second_root(second_root: Root, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Create states with ParaView 6.1, and its own SaveAnimation frames of some, for both backends."""
    folder = tmp_path_factory.mktemp("scenes61")
    pvbatch = ("pvbatch", "--no-mpi", "--opengl-window-backend")
    make = (*pvbatch, "EGL", SUPPORT / "make_scenes.py", folder)
    if second_root.run(*make).returncode:  # ParaView 6.1 sometimes crashes meanwhile
        second_root.need(*make)
    for name in SCENES_OF_SECOND_ROOT:
        for backend, window in WINDOWS.items():
            words = [SUPPORT / "save_animation.py", folder / f"{name}.pvsm", folder / f"{name}-{backend}", SIZE]
            second_root.need(*pvbatch, window, *words, **WITH_OSMESA)
    return SimpleNamespace(
        folder=folder, state=lambda name: folder / f"{name}.pvsm",
        frames=lambda name, backend: folder / f"{name}-{backend}",
    )  # fmt: skip


@pytest.fixture(scope="session")
def container_image() -> str:
    """Build and test the container image; return the output of that script."""
    return BACKGROUND.need("container_image")


@pytest.fixture(autouse=True)
def without_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent tests from using the display of the user who runs them."""
    monkeypatch.delenv("DISPLAY", raising=False)


@pytest.fixture(scope="session", autouse=True)
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use an empty cache folder, so that the tests probe pvbatch themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run mpirender as a user does, in the test's folder; the result has returncode, stdout and stderr."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mpirender", *map(str, arguments)]
        settings = {"cwd": tmp_path, "timeout": 300, **options}
        return subprocess.run(command, capture_output=True, text=True, check=False, **settings)

    return run


@pytest.fixture
def pattern(tmp_path: Path) -> Callable[..., Path]:
    """Write a test pattern scene and return its path."""

    def write(content: str = '{"frames": 6}', name: str = "test.pattern") -> Path:
        path = tmp_path / name
        path.write_text(content)
        return path

    return write


@pytest.fixture(scope="session")
def rendered_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render six frames of the test pattern once for all tests; return the folder with scene and output."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "test.pattern").write_text('{"frames": 6}')
    command = [
        sys.executable,
        "-m",
        "mpirender",
        "render",
        "test.pattern",
        "--size",
        "160x90",
        "--ranks",
        "2",
        "--quiet",
    ]
    subprocess.run(command, cwd=folder, check=True)
    return folder


@pytest.fixture
def rendered(rendered_once: Path, tmp_path: Path) -> Path:
    """Give each test a copy of the six frames beside its scene, as if ``run`` had rendered ``pattern()``."""
    shutil.copy(rendered_once / "test.pattern", tmp_path)
    return Path(shutil.copytree(rendered_once / "test_renders", tmp_path / "test_renders"))


@pytest.fixture
def poor_ffmpeg(tmp_path: Path) -> Path:
    """Return a working ffmpeg that lists only one encoder, libx264."""
    fake = tmp_path / "ffmpeg"
    fake.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"if '-encoders' in sys.argv:\n    print(' V....D libx264   H.264')\n"
        f"else:\n    os.execv({ffmpeg.ffmpeg()!r}, sys.argv)\n"
    )
    fake.chmod(0o755)
    return fake


@pytest.fixture
def apptainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an apptainer on PATH that runs the given command without a container and records its arguments."""
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$@" >>{tmp_path}/called\n'
        'until [[ $1 == --pwd ]]; do shift; done; shift 3; [[ $1 == python3 ]] && { shift; set -- "$PYTHON" "$@"; }\n'
        'exec "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


@pytest.fixture(scope="session")
def x_server() -> Iterator[dict[str, str]]:
    """Start an X server for ParaView's own SaveAnimation."""
    need("Xvfb")
    with xvfb.server() as environment:
        yield environment


def in_pvbatch(
    display: dict[str, str], script: Path, *arguments: object, ranks: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run a script in pvbatch, either in one process with a display or in parallel on several ranks."""
    command = [need("pvbatch"), "--no-mpi" if ranks == 1 else "--sym", str(script), *map(str, arguments)]
    environment = {**os.environ, **display}
    if ranks > 1:
        command = [need("mpiexec"), "-n", str(ranks), *command]
        environment.update(variables(1, environment, root=os.geteuid() == 0))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def pvbatch(x_server: dict[str, str]) -> Run:
    """Run a script in pvbatch: ``pvbatch(script, *arguments, ranks=1)``."""
    return partial(in_pvbatch, x_server)


@pytest.fixture(scope="session")
def scenes(x_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Create real ParaView states once, and ParaView's own SaveAnimation frames of each.

    ``scenes.state(name)`` is the state file, ``scenes.frames(name)`` the folder of ParaView's frames at :data:`SIZE`.
    """
    folder = tmp_path_factory.mktemp("scenes")
    in_pvbatch(x_server, SUPPORT / "make_scenes.py", folder)

    def animate(state: Path) -> None:
        in_pvbatch(x_server, SUPPORT / "save_animation.py", state, folder / state.stem, SIZE)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(animate, sorted(folder.glob("*.pvsm"))))
    return SimpleNamespace(folder=folder, state=lambda name: folder / f"{name}.pvsm", frames=lambda name: folder / name)


@pytest.fixture(scope="session")
def need_bpy() -> None:
    """Skip the test if bpy does not support this Python; fail if bpy is not installed."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("bpy is there for Python 3.11 alone")
    if importlib.util.find_spec("bpy") is None:
        pytest.fail("bpy is not installed; bash tests/run.sh installs it", pytrace=False)


@pytest.fixture(scope="session")
def blends(need_bpy: None, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Create real Blender files once.

    ``blends.file(name)`` is the path of a file, ``blends.animate(file, folder, size=…)`` renders it with Blender's own
    animation operator and returns the folder.
    """
    folder = tmp_path_factory.mktemp("blends")
    in_blender(SUPPORT / "make_blends.py", folder)

    def animate(file: Path, into: Path, *, size: tuple[int, int] = (160, 90), **options: object) -> Path:
        in_blender(SUPPORT / "animate.py", file, into, *size, json.dumps(options))
        return into

    return SimpleNamespace(folder=folder, file=lambda name: folder / f"{name}.blend", animate=animate)


def in_blender(*words: object) -> None:
    """Run a script in the Python that has bpy."""
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def script(tmp_path: Path):
    def write(more: str = "", name: str = "cone.py") -> Path:
        (tmp_path / "helper.py").write_text("SIDES = 7\n")
        path = tmp_path / name
        path.write_text(SCRIPT.format(more=more))
        return path

    return write
