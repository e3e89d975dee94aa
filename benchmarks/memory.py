"""Measure whether the memory of a rank stays flat over a thousand frames.

python -m benchmarks.memory                                   # a thousand small frames of a cone on one rank
python -m benchmarks.memory --state orbit.pvsm --frames 1000 --ranks 2 --size 640x360
python -m benchmarks.memory --journals orbit_renders          # evaluates an earlier run

After every image, the journals record the peak memory of the rank so far. The growth is the slope of a least-squares
line through these values, without the first images, during which caches fill.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks import command, plotting, scenes
from benchmarks.command import Raw
from benchmarks.rows import call, plain_environment, render_command
from mpirender.errors import UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.run_folder import events, journal
from mpirender.supervisor import preflight

SETTLING = 0.2  # fraction of the images during which caches fill
LEAST = 10  # minimum number of images per rank for a meaningful line
FLAT = 5.0  # MB per 1000 images; smaller growth counts as flat


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Render unless an earlier run is given; return the raw results: the memory of each rank after each image.

    :raises MpirenderError: rendering failed, or there are too few images.
    """
    if arguments.journals:
        return raw_of(arguments.journals, RenderJob.from_json(job_text(arguments.journals)))
    mistakes = command.mistakes_of_output(arguments.output)
    if mistakes:
        raise UsageError(mistakes)
    scene = arguments.state or Path(scenes.SCENES[arguments.scene].file)
    job = RenderJob(scene=scene, sizes=(arguments.size,), ranks=arguments.ranks)
    if arguments.state:
        preflight.check(job)
    arguments.output.mkdir(parents=True, exist_ok=True)
    scene = scenes.chosen(arguments, arguments.frames)
    folder = arguments.output / "renders"
    options = ("--frames", f"0-{arguments.frames - 1}", "--ranks", arguments.ranks)
    words = render_command(scene, folder, [arguments.size], *options)
    call(words, plain_environment(), arguments.output / "render.log")
    raw = raw_of(folder, RenderJob.from_json(job_text(folder)))
    command.write(raw, arguments.output)
    return raw


def job_text(folder: Path) -> str:
    """Return the job of a run as JSON.

    :raises UsageError: the folder is not the output folder of a run.
    """
    try:
        return (folder / FOLDER / "job.json").read_text()
    except OSError:
        raise UsageError(f"--journals {folder}: is not the output folder of a run") from None


def raw_of(folder: Path, job: RenderJob) -> Raw:
    """Return the raw results of a run: the peak memory of each rank in bytes after each of its images.

    :raises UsageError: too few images were rendered.
    """
    needed: dict[str, list[int]] = defaultdict(list)
    for record in journal.read(folder / FOLDER):
        if isinstance(record, events.Done):
            needed[str(record.rank)].append(record.memory)
    if not needed or min(map(len, needed.values())) < LEAST:
        raise UsageError(f"{folder}: a rank has done fewer than {LEAST} images, which tells nothing about its memory")
    sizes = [str(size) for size in job.sizes]
    raw = command.new_raw("memory", job, {"state": job.scene.name, "sizes": sizes})
    return {**raw, "ranks": dict(sorted(needed.items(), key=lambda item: int(item[0])))}


def growth(needed: list[int]) -> float:
    """Return the memory growth of a rank in MB per 1000 images, without the images during which caches fill.

    :param needed: peak memory in bytes after each of its images.
    """
    settled = round(SETTLING * len(needed))
    places = np.arange(settled, len(needed))
    slope, _ = np.polyfit(places, np.array(needed[settled:], float), 1)
    return float(slope) * 1000 / 1e6


def summary(raw: Raw, markdown: bool) -> str:
    """Format the table of the ranks."""
    told = raw["arguments"]
    cells = [("", "images", "MB after the first", "MB after the last", "MB per 1000 images")]
    for rank, needed in raw["ranks"].items():
        ends = (f"{needed[0] / 1e6:.1f}", f"{needed[-1] / 1e6:.1f}")
        cells.append((f"rank {rank}", str(len(needed)), *ends, f"{growth(needed):.2f}"))
    lines = [f"{told['state']} at {' and '.join(told['sizes'])}", command.told(raw["machine"]), ""]
    note = f"growth: a line through what a rank needed at most, without the first {SETTLING:.0%} of its images"
    return "\n".join([*lines, *command.table(cells, markdown=markdown), "", note])


def grown(raw: Raw) -> list[str]:
    """List the ranks whose memory is not flat."""
    found = {rank: growth(needed) for rank, needed in raw["ranks"].items()}
    return [
        f"rank {rank} grows by {rate:.1f} MB per 1000 images; less than {FLAT:g} is flat"
        for rank, rate in found.items()
        if rate >= FLAT
    ]


def draw(raw: Raw, picture: Path) -> None:
    """Plot the memory of each rank over its images."""
    figure, (axes,) = plotting.panels(1, width=6, height=3.2)
    for rank, needed in raw["ranks"].items():
        axes.plot(range(1, len(needed) + 1), np.array(needed) / 1e6, label=f"rank {rank}, {growth(needed):.1f} MB/1000")
    axes.set_ylim(0, 1.15 * max(map(max, raw["ranks"].values())) / 1e6)
    axes.set_xlabel("images done")
    axes.set_ylabel("MB needed at most")
    axes.set_title(f"memory of a rank, {raw['arguments']['state']}")
    axes.legend(loc="lower right")
    plotting.save(figure, picture)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description="Measure whether the memory of a rank stays flat.",
        epilog=scenes.listed(), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    scenes.add_choice(parser)
    add = parser.add_argument
    add("--frames", metavar="N", type=command.positive, default=1000, help="number of frames (default: %(default)s)")
    add("--size", metavar="S", default="160x90", help="image resolution (default: %(default)s)")
    add("--ranks", metavar="N", type=command.positive, default=1, help="ranks that share them (default: %(default)s)")
    add("--journals", metavar="FOLDER", type=Path, help="look at a run that has been, by its output folder")
    command.add_output(parser, "memory")
    return parser


COMMAND = command.Command("memory", parser(), measure=benchmark, tell=summary, draw=draw, wrong=grown)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
