"""The scenes that the benchmarks make for themselves, as states of real ParaView."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import needs_display, shared_display
from benchmarks.rows import Case, call
from mpirender import engines
from mpirender.job import RenderJob

MAKER = Path(__file__).with_name("make_scenes.py")


@dataclass(frozen=True)
class Scene:
    """A scene that can be made.

    Args:
        what: what is to be seen.
        sizes: those it is usually rendered at.
    """

    name: str
    what: str
    sizes: tuple[str, ...]


SCENES = {
    scene.name: scene
    for scene in (
        Scene("cone", "a cone, the camera on an orbit: next to nothing to render", ("HD", "4K")),
        Scene("isosurfaces", "five isosurfaces of a wavelet of 121³ points, the camera on an orbit", ("HD",)),
        Scene("series", "a time series of surfaces in files, the largest 12 times as large as the smallest", ("HD",)),
    )
}


def make(case: Case, name: str, frames: int) -> None:
    """Make one of the scenes, where the case has it.

    Raises:
        MpirenderError: ParaView is missing, or failed.
    """
    words = [*engines.get("paraview").command(case.job), str(MAKER), name, str(case.job.scene), str(frames)]
    with shared_display(case.needs_display) as environment:
        call(words, environment, case.job.output / "prepare.log")


def chosen(arguments: argparse.Namespace, frames: int) -> Path:
    """Return the scene that is asked for on the command line, made with so many frames if it is one of these.

    Raises:
        MpirenderError: it cannot be made.
    """
    if arguments.state is not None:
        return Path(arguments.state)
    state = Path(arguments.output).absolute() / f"{arguments.scene}.pvsm"
    case = Case(RenderJob(scene=state, output=state.parent), tuple(range(frames)))
    state.parent.mkdir(parents=True, exist_ok=True)
    case = dataclasses.replace(case, needs_display=needs_display(case, state.parent / "prepare.log"))
    make(case, arguments.scene, frames)
    return state


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the choice of one scene to a command line."""
    parser.add_argument("--state", metavar="FILE", type=Path, help="a scene, instead of one of the benchmark's own")
    parser.add_argument("--scene", choices=SCENES, default="cone", help="one of its own (default: %(default)s)")


def listed() -> str:
    """Return the scenes as lines for a help text."""
    return "\n".join(["scenes:", *(f"  {scene.name:<19}{scene.what}" for scene in SCENES.values())])
