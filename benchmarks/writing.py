"""Measure how many images a second a rank can write when rendering costs nothing, against the speed of deflate itself.

python -m benchmarks.writing                                  # 60 pictures at 4K by one rank with all cores
python -m benchmarks.writing --size HD --threads 1 --repeats 3
python -m benchmarks.writing --summarise writing_renders/raw.json

On a GPU a frame may take a few hundredths of a second, and the PNG must not take longer. The test pattern shows one
picture for every frame, at no cost, and mpirender renders and writes it as any other scene.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import command, pictures, plotting
from benchmarks.command import Raw
from benchmarks.rows import call, plain_environment, render_command
from mpirender.errors import UsageError
from mpirender.job.outputs import Size
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.launcher.placement import cores
from mpirender.ranks import backends, png
from mpirender.run_folder import journal

LEVEL = RenderJob.compression_level
DEFLATED = 3  # times, for the speed of one core


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Measure as asked for, and return the raw results."""
    mistakes = command.mistakes_of_output(arguments.output)
    if mistakes:
        raise UsageError(mistakes)
    output = arguments.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    size = Size.parse(arguments.size)
    picture = pictures.picture((size.width, size.height), 0)
    png.write(output / "picture.png", picture, LEVEL)
    scene = output / "still.pattern"
    scene.write_text(json.dumps({"frames": arguments.frames, "picture": "picture.png"}))
    asked = {"frames": arguments.frames, "size": size.argument, "threads": arguments.threads, "level": LEVEL}
    raw = command.new_raw("writing", RenderJob(scene=scene, output=output), asked)
    raw["runs"] = []
    for repeat in range(1, arguments.repeats + 1):
        run = {"repeat": repeat, "load": os.getloadavg()[0], "deflate": deflate(picture)}
        raw["runs"].append({**run, **render(scene, output / f"repeat-{repeat}", size, arguments.threads)})
        command.write(raw, output)
    return raw


def deflate(picture: pictures.Pixels) -> float:
    """Return how many such pictures a second one core deflates, filtered before, without anything else."""
    flat = picture.reshape(len(picture), -1)
    rows = np.vstack([flat[:1], flat[1:] - flat[:-1]]).tobytes()
    started = time.perf_counter()
    for _ in range(DEFLATED):
        zlib.compress(rows, LEVEL)
    return DEFLATED / (time.perf_counter() - started)


def render(scene: Path, output: Path, size: Size, threads: int) -> dict[str, Any]:
    """Render on one rank with so many threads; return images a second, from first to last, and what they cost."""
    words = render_command(scene, output, [size.argument], "--ranks", 1)
    environment = {**plain_environment(), **dict.fromkeys(backends.THREAD_LIMITS, str(threads))}
    call(words, environment, output.with_suffix(".log"))
    done = [record for record in journal.read(output / FOLDER) if record["event"] == "done"]
    return {
        "images": (len(done) - 1) / (done[-1]["time"] - done[0]["time"]),
        "held": statistics.median(record["seconds"] - record["rendering"] for record in done),
        "written": statistics.median(record["written"] for record in done),
        "memory": done[-1]["memory"],
    }


def summary(raw: Raw, markdown: bool) -> str:
    """Write the table."""
    asked, runs = raw["arguments"], raw["runs"]
    threads, cores = asked["threads"], raw["machine"]["cores"]

    def middle(name: str) -> float:
        return statistics.median(run[name] for run in runs)

    share = statistics.median(run["images"] / run["deflate"] for run in runs)
    cells = [
        ("", "images a second"),
        ("one core, deflate alone", f"{middle('deflate'):.2f}"),
        (f"one rank, {threads} thread{'s' * (threads > 1)}", f"{middle('images'):.2f}"),
    ]
    what = f"{asked['frames']} pictures at {asked['size']}, PNG level {asked['level']}, rendering costs nothing"
    medians = f"; median of {len(runs)} runs" if len(runs) > 1 else ""
    gained = f"the rank writes {share:.2f} times what one of the {cores} cores deflates"
    cost = f"an image keeps it from rendering for {middle('held'):.3f} s, and is written in {middle('written'):.3f} s"
    table = command.table(cells, markdown=markdown)
    return "\n".join([command.told(raw["machine"]), "", f"{what}{medians}", "", *table, "", f"{gained}; {cost}"])


def draw(raw: Raw, picture: Path) -> None:
    """Draw both speeds into a picture file."""
    figure, (axes,) = plotting.panels(1, width=5, height=2)
    speeds = {name: [run[name] for run in raw["runs"]] for name in ("deflate", "images")}
    labels = ["deflate alone, one core", f"a rank, {raw['arguments']['threads']} threads"]
    axes.barh(labels, [statistics.median(found) for found in speeds.values()], color=[plotting.GREY, plotting.BLUE])
    axes.invert_yaxis()
    axes.set_xlabel(f"images a second at {raw['arguments']['size']}")
    plotting.save(figure, picture)


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.writing", description="Measure how many images a second a rank can write."
    )
    add = parser.add_argument
    add("--frames", metavar="N", type=command.positive, default=60, help="number of images (default: %(default)s)")
    add("--size", metavar="S", default="4K", help="image resolution (default: %(default)s)")
    add("--threads", metavar="N", type=command.positive, default=cores(),
        help="threads of the rank (default: one per core)")  # fmt: skip
    add("--repeats", metavar="R", type=command.positive, default=1, help="times it is measured (default: %(default)s)")
    command.add_output(parser, "writing")
    return parser


COMMAND = command.Command("writing", parser(), measure=benchmark, tell=summary, draw=draw)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
