"""Measure what the death of a renderer costs: the time until its rank renders again, and what the others lose.

python -m benchmarks.reloads                                   # a cone, 40 frames on two ranks, three repeats
python -m benchmarks.reloads --state orbit.pvsm --frames 60 --size HD --repeats 5

In each repeat the renderer of the last rank is killed after its first images. The time until the rank renders again is
compared with the time in which it was ready at first, and the images of rank 0 during that time with those before.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import command, plotting, scenes
from benchmarks.command import Raw
from benchmarks.rows import plain_environment, render_command
from mpirender.errors import LaunchFailed, UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.run_folder import events, journal
from mpirender.run_folder.events import Event

FIRST_IMAGES = 3  # after which the renderer is killed
SLACK = 0.3  # seconds that a reload may take longer than the first load
SECONDS = 600.0  # for the first images


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Render, kill, and return the raw results: one entry for each repeat."""
    mistakes = command.mistakes_of_output(arguments.output)
    if mistakes:
        raise UsageError(mistakes)
    arguments.output.mkdir(parents=True, exist_ok=True)
    scene = scenes.chosen(arguments, arguments.frames)
    job = RenderJob(scene=scene, sizes=(arguments.size,), ranks=arguments.ranks)
    told = {"state": scene.name, "frames": arguments.frames, "size": arguments.size, "ranks": arguments.ranks}
    raw = {**command.new_raw("reloads", job, told), "repeats": []}
    for repeat in range(1, arguments.repeats + 1):
        folder = arguments.output / f"renders-{repeat}"
        options = ("--frames", f"0-{arguments.frames - 1}", "--ranks", arguments.ranks)
        words = render_command(scene, folder, [arguments.size], *options)
        raw["repeats"].append(measure(words, folder, arguments.ranks - 1))
        command.write(raw, arguments.output)
    return raw


def measure(words: list[str], folder: Path, rank: int) -> dict[str, float]:
    """Run one render in which the renderer of a rank is killed; return the seconds."""
    log = folder.with_suffix(".log")
    with log.open("wb") as output, subprocess.Popen(
        words, env=plain_environment(), stdout=output, stderr=subprocess.STDOUT
    ) as process:  # fmt: skip
        end = time.monotonic() + SECONDS
        while min(len(done(recorded(folder), one)) for one in (0, rank)) < FIRST_IMAGES:
            if process.poll() is not None or time.monotonic() > end:
                raise LaunchFailed(f"rank {rank} rendered too few images; see {log}")
            time.sleep(0.02)
        start = next(one for one in recorded(folder) if isinstance(one, events.Start) and one.rank == rank)
        killed = time.time()
        os.kill(renderer_of(start.pid), signal.SIGKILL)
        if process.wait() != 0:
            raise LaunchFailed(f"the render failed; see {log}")
    return seconds(recorded(folder), rank, killed)


def renderer_of(rank: int) -> int:
    """Return the process id of the renderer of the rank with this process id: the child of its fork server."""
    process = rank
    for _ in range(2):
        process = int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])
    return process


def recorded(folder: Path) -> list[Event]:
    """Return the events of a run, in the order of their times."""
    return journal.read(folder / FOLDER) if (folder / FOLDER).is_dir() else []


def done(found: list[Event], rank: int) -> list[events.Done]:
    """Return the images that a rank has completed."""
    return [one for one in found if isinstance(one, events.Done) and one.rank == rank]


def seconds(found: list[Event], rank: int, killed: float) -> dict[str, float]:
    """Return the seconds of a run in which the renderer of this rank was killed at that time.

    ``first``: from the start of the rank until it had opened the scene; ``again``: from the kill until it rendered
    again; ``before`` and ``meanwhile``: of an image of rank 0 before the kill, and until the other rendered again.
    """
    mine = [one for one in found if one.rank == rank]
    start = next(one for one in mine if isinstance(one, events.Start))
    opened = next(one for one in mine if isinstance(one, events.Opened))
    ready = next(one for one in mine if isinstance(one, events.Phase) and one.phase == "render" and one.time > killed)
    others = done(found, 0)
    before = [one.seconds for one in others if one.time < killed]
    meanwhile = [one.seconds for one in others if killed <= one.time <= ready.time]
    return {
        "first": opened.time - start.time + start.began, "again": ready.time - killed,
        "before": statistics.median(before), "meanwhile": statistics.median(meanwhile or before),
    }  # fmt: skip


def median(raw: Raw, name: str) -> float:
    """Return the median of a value over the repeats."""
    return float(statistics.median(one[name] for one in raw["repeats"]))


def summary(raw: Raw, markdown: bool) -> str:
    """Format the table of the repeats."""
    told: dict[str, Any] = raw["arguments"]
    head = ("", "first load (s)", "rendering again (s)", "image of rank 0 before (s)", "meanwhile (s)")
    names = ("first", "again", "before", "meanwhile")
    cells = [head, *((f"repeat {number}", *(f"{one[name]:.2f}" for name in names))
                     for number, one in enumerate(raw["repeats"], start=1))]  # fmt: skip
    cells.append(("median", *(f"{median(raw, name):.2f}" for name in names)))
    lines = [f"{told['state']} at {told['size']} on {told['ranks']} ranks", command.told(raw["machine"]), ""]
    ratio = f"rendering again took {median(raw, 'again') / median(raw, 'first'):.2f} times the first load"
    return "\n".join([*lines, *command.table(cells, markdown=markdown), "", ratio])


def slow(raw: Raw) -> list[str]:
    """Say whether a reload took longer than the first load and some slack."""
    first, again = median(raw, "first"), median(raw, "again")
    return [f"rendering again took {again:.2f} s, the first load {first:.2f} s"] if again > first + SLACK else []


def draw(raw: Raw, picture: Path) -> None:
    """Plot first load and reload of each repeat."""
    figure, (axes,) = plotting.panels(1, width=6, height=3.2)
    numbers = range(1, len(raw["repeats"]) + 1)
    for name, label in (("first", "first load"), ("again", "until rendering again")):
        axes.plot(numbers, [one[name] for one in raw["repeats"]], "o", label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("repeat")
    axes.set_ylabel("seconds")
    axes.legend()
    plotting.save(figure, picture)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reloads", description="Measure what the death of a renderer costs.",
        epilog=scenes.listed(), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    scenes.add_choice(parser)
    add = parser.add_argument
    add("--frames", metavar="N", type=command.positive, default=40, help="number of frames (default: %(default)s)")
    add("--size", metavar="S", default="640x360", help="image resolution (default: %(default)s)")
    add("--ranks", metavar="N", type=command.positive, default=2, help="ranks that share them (default: %(default)s)")
    add("--repeats", metavar="N", type=command.positive, default=3, help="renders (default: %(default)s)")
    command.add_output(parser, "reloads")
    return parser


COMMAND = command.Command("reloads", parser(), measure=benchmark, tell=summary, draw=draw, wrong=slow)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
