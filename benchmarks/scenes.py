"""The benchmarks' own scenes, created with ParaView and Blender."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import needs_display, shared_display
from benchmarks.rows import Case, call, script
from mpirender.job.render_job import RenderJob


@dataclass(frozen=True)
class Scene:
    """One of the benchmarks' own scenes.

    :param what: short description.
    :param sizes: default image sizes.
    :param suffix: suffix of its file, which determines the program.
    """

    name: str
    what: str
    sizes: tuple[str, ...]
    suffix: str = ".pvsm"

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.name}{self.suffix}"


SCENES = {
    scene.name: scene
    for scene in (
        Scene("cone", "a cone, the camera on an orbit: next to nothing to render", ("HD", "4K")),
        Scene("isosurfaces", "five isosurfaces of a wavelet of 121³ points, the camera on an orbit", ("HD",)),
        Scene("series", "a time series of surfaces in files, the largest 12 times as large as the smallest", ("HD",)),
        Scene("growing", "a time series of surfaces in files, the last 12 times as large as the first", ("HD",)),
        Scene("balls", "glossy balls by Cycles, the camera on its way past them", ("320x180",), ".blend"),
    )
}


def make(case: Case, name: str, frames: int) -> None:
    """Create a scene at the path given by the case.

    :raises MpirenderError: the program is missing or failed.
    """
    words = script(case.job, case.program.maker, name, case.job.scene, frames)
    with shared_display(case.needs_display) as environment:
        call(words, environment, case.job.output / "prepare.log")


def chosen(arguments: argparse.Namespace, frames: int) -> Path:
    """Return the scene chosen on the command line; create it with this many frames if it is one of these.

    :raises MpirenderError: the scene cannot be created.
    """
    if arguments.state is not None:
        return Path(arguments.state)
    state = Path(arguments.output).absolute() / SCENES[arguments.scene].file
    case = Case(RenderJob(scene=state, output=state.parent), tuple(range(frames)))
    state.parent.mkdir(parents=True, exist_ok=True)
    case = dataclasses.replace(case, needs_display=needs_display(case, state.parent / "prepare.log"))
    make(case, arguments.scene, frames)
    return state


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the scene to a command line."""
    parser.add_argument("--state", metavar="FILE", type=Path, help="a scene, instead of one of the benchmark's own")
    parser.add_argument("--scene", choices=SCENES, default="cone", help="one of its own (default: %(default)s)")


def listed() -> str:
    """Return the list of scenes for a help text."""
    return "\n".join(["scenes:", *(f"  {scene.name:<19}{scene.what}" for scene in SCENES.values())])
