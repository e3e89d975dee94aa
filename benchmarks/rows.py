"""The ways to render that are compared: one function each, and the tables that list them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mpirender import engines
from mpirender.errors import LaunchFailed, UsageError
from mpirender.job import frames as framesets
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import RankRequest, on_this_host
from mpirender.system import host
from mpirender.system.child_process import ending

ROOT = Path(__file__).parents[1]  # of the repository

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """A render that all rows perform.

    :param job: scene, sizes and number of ranks, the same for all rows.
    :param frames: frames in order, numbered as in the scene.
    :param needs_display: whether the program needs an X server.
    """

    job: RenderJob
    frames: tuple[int, ...]
    needs_display: bool = False

    @property
    def sizes(self) -> list[str]:
        """Sizes as ``NAME=WxH``."""
        return [f"{size.name}={size.width}x{size.height}" for size in self.job.sizes]

    @property
    def program(self) -> Program:
        """Program that renders the scene without mpirender."""
        return program_of(self.job.scene)

    def inside(self, action: str, *arguments: object) -> list[str]:
        """Return the command line of an action inside the program."""
        return script(self.job, self.program.actions, action, *arguments)


@dataclass(frozen=True)
class Row:
    """One way to render the frames.

    :param render: renders the case into a folder, each size in its own subfolder; returns after all its processes end.
    :param given_display: whether it is given a running X server, whose start is not timed; otherwise it starts its own.
    :param must_match: whether any pixel that differs from the program's own animation is a failure.
    :param limited: whether its limit is measured, see :mod:`benchmarks.limit`.
    :param one_pass: whether views are set to the size of the image, which changes the image.
    """

    name: str
    what: str
    render: Callable[[Case, Path, Environment], None]
    given_display: bool = True
    must_match: bool = False
    limited: bool = False
    one_pass: bool = False


@dataclass(frozen=True)
class Program:
    """A program with which mpirender is compared.

    :param actions: module with the actions that run inside the program: ``one-frame`` and ``save-animation``.
    :param maker: module that creates the benchmark's own scenes inside the program.
    :param animation: name of the program's own animation, whose pixels are the reference.
    :param from_0: whether that animation is complete only for frames that start at 0.
    :param plays: whether that animation is correct for frames that depend on earlier frames.
    """

    name: str
    actions: str
    maker: str
    animation: str
    rows: tuple[Row, ...]
    from_0: bool = False
    plays: bool = True


def program_of(scene: Path) -> Program:
    """Return the program for the suffix of a scene.

    :raises UsageError: no program has this suffix.
    """
    name = engines.SUFFIXES.get(scene.suffix.lower(), "")
    if name not in PROGRAMS:
        raise UsageError(f"{scene}: no scene to compare with; give a ParaView state or a Blender file (.blend)")
    return PROGRAMS[name]


def script(job: RenderJob, module: str, *arguments: object) -> list[str]:
    """Return the command line that runs a module of the benchmarks inside the program of a job's scene."""
    program = engines.for_scene(job.scene).command(job.programs)
    return [*program, "-m", f"benchmarks.{module}", *map(str, arguments)]


def process_per_frame(case: Case, folder: Path, environment: Environment) -> None:
    """Render with a process per frame, as many at a time as there are ranks, like the usual script."""

    def one(frame: int) -> None:
        call(case.inside("one-frame", case.job.scene, frame, folder, *case.sizes), environment, log_of(folder))

    with ThreadPoolExecutor(on_this_host(RankRequest.of(case.job)).ranks) as pool:
        list(pool.map(one, case.frames))


def process_per_frame_limited(case: Case, folder: Path, environment: Environment) -> None:
    """Render with a process per frame, each limited to as many threads as a rank."""
    process_per_frame(case, folder, limited(case, environment))


def limited(case: Case, environment: Environment) -> Environment:
    """Return an environment that limits a process to as many threads as a rank."""
    return {**environment, **dict.fromkeys(host.THREAD_LIMITS, str(on_this_host(RankRequest.of(case.job)).threads))}


def save_animation(case: Case, folder: Path, environment: Environment) -> None:
    """Render with the program's own animation in one process that uses all cores."""
    animate(case, case.sizes, folder, environment)


def reference(case: Case, folder: Path, environment: Environment) -> None:
    """Render the reference images with the program's own animation, in a separate process per size.

    Within one ParaView process, a size can affect the labels of the next size.
    """
    for size in case.sizes:
        animate(case, [size], folder, environment)


def animate(case: Case, sizes: Sequence[str], folder: Path, environment: Environment) -> None:
    """Run the program's own animation for these sizes in one process."""
    window = case.frames[0], case.frames[-1]
    call(case.inside("save-animation", case.job.scene, *window, folder, *sizes), environment, log_of(folder))


def mpirender(case: Case, folder: Path, environment: Environment, *options: str) -> None:
    """Render with ``mpirender render``."""
    command = render_command(
        case.job.scene, folder, case.sizes, "--frames", framesets.text(case.frames),
        "--ranks", on_this_host(RankRequest.of(case.job)).ranks, *options,
    )  # fmt: skip
    call(command, environment, log_of(folder))


def mpirender_one_pass(case: Case, folder: Path, environment: Environment) -> None:
    """Render with ``mpirender render --one-pass``."""
    mpirender(case, folder, environment, "--one-pass")


def render_command(scene: Path, output: Path, sizes: Sequence[str], *options: object) -> list[str]:
    """Return the mpirender command that renders a scene to images, with additional options."""
    return [
        sys.executable, "-m", "mpirender", "render", str(scene), "--output", str(output), "--movie", "none",
        *(f"--size={size}" for size in sizes), *map(str, options),
    ]  # fmt: skip


PARAVIEW_ROWS = (
    Row("process-per-frame", "one process per frame, SaveScreenshot (the usual job array)", process_per_frame),
    Row("process-limited", "the same, threads limited to the cores of a process", process_per_frame_limited),
    Row("save-animation", "ParaView's SaveAnimation, one process, all cores", save_animation),
    Row(
        "mpirender", "mpirender render --movie none", mpirender, given_display=False, must_match=True, limited=True,
    ),
    Row(
        "mpirender-one-pass", "mpirender render --movie none --one-pass (another picture)", mpirender_one_pass,
        given_display=False, limited=True, one_pass=True,
    ),
)  # fmt: skip


BLENDER_ROWS = (
    Row("process-per-frame", "one process per frame, render(write_still) (the usual job array)", process_per_frame),
    Row("process-limited", "the same, threads limited to the cores of a process", process_per_frame_limited),
    Row("animation", "Blender's render(animation=True), one process, all cores", save_animation),
    Row("mpirender", "mpirender render --movie none", mpirender, given_display=False, must_match=True),
)

PROGRAMS = {
    "paraview": Program("ParaView", "in_paraview", "make_scenes", "SaveAnimation", PARAVIEW_ROWS, from_0=True),
    "blender": Program("Blender", "in_blender", "make_blends", "Blender's animation", BLENDER_ROWS, plays=False),
}


def log_of(folder: Path) -> Path:
    """Return the log file for the output of a row's processes."""
    return folder.with_name(f"{folder.name}.log")


def call(command: Sequence[str], environment: Environment, log: Path) -> None:
    """Run a command and append its output to a log.

    :raises LaunchFailed: its exit code is not 0.
    """
    with log.open("ab") as output:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        raise LaunchFailed(f"{log.stem}: {ending(done.returncode)}; its output is in {log}")


def plain_environment() -> dict[str, str]:
    """Return the environment without thread limits and display; each row sets its own.

    Its PYTHONPATH adds the benchmarks and mpirender to the user's own entries.
    """
    kept = {name: value for name, value in os.environ.items() if name not in (*host.THREAD_LIMITS, "DISPLAY")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}


def images(case: Case, folder: Path) -> list[Path]:
    """Return the paths of the images of a row."""
    return [folder / size.name / framesets.file_name(frame, "png") for size in case.job.sizes for frame in case.frames]
