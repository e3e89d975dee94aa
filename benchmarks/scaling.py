"""Measure strong and weak scaling of mpirender.

python -m benchmarks.scaling                                        # a cone, on 1, 2, 4 … ranks to the cores
python -m benchmarks.scaling --state orbit.pvsm --frames 64 --frames-per-rank 16 --repeats 3 --plot scaling.png
sbatch --nodes=8 launch/scaling.slurm --state orbit.pvsm            # over the nodes of a Slurm allocation

Strong scaling renders a fixed number of frames: ideally, n times the ranks take 1/n of the time. Weak scaling renders
a fixed number of frames per rank: ideally, the time stays the same. The efficiency is relative to the smallest number
of ranks m: T(m)·m ÷ (T(n)·n) for strong and T(m) ÷ T(n) for weak scaling. It is reported for the whole command and for
its frames alone, from the start of the first to the end of the last.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import command, plotting, scenes
from benchmarks.command import Raw
from benchmarks.measure import phases
from benchmarks.rows import call, plain_environment, render_command
from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.launcher.placement import cores
from mpirender.run_folder import events, journal
from mpirender.supervisor import preflight
from mpirender.system import slurm

KINDS = ("strong", "weak")
COLOURS = {"whole": plotting.BLUE, "rendering": plotting.ORANGE}
NAMES = {"whole": "whole command", "rendering": "its frames alone"}


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Run the measurement, write the raw results and return them.

    :raises MpirenderError: the arguments are invalid, a tool is missing, or a run failed.
    """
    counts = sorted(set(arguments.ranks or powers_to(room())))
    most = max(frames_of(arguments, kind, counts[-1]) for kind in arguments.kind)
    mistakes = command.mistakes_of_output(arguments.output)
    if mistakes:
        raise UsageError(mistakes)
    if arguments.state:
        check(arguments, arguments.state, most)
    arguments.output.mkdir(parents=True, exist_ok=True)
    scene = scenes.chosen(arguments, most)
    job, available = check(arguments, scene, most)
    told = {
        "state": scene.name, "size": arguments.size, "frames": arguments.frames, "ranks": counts,
        "frames_per_rank": arguments.frames_per_rank, "repeats": arguments.repeats, "options": arguments.options,
    }  # fmt: skip
    raw = command.new_raw("scaling", job, told)
    raw["runs"] = []
    for run in runs(arguments, scene, counts, available):
        raw["runs"].append(run)
        command.write(raw, arguments.output)
        print(f"{run['kind']:<6} {run['ranks']:5d} ranks {run['frames']:6d} frames {run['whole']:9.1f} s", flush=True)
    return raw


def frames_of(arguments: argparse.Namespace, kind: str, ranks: int) -> int:
    """Return the number of frames that this number of ranks renders."""
    return int(arguments.frames if kind == "strong" else ranks * arguments.frames_per_rank)


def room() -> int:
    """Return the number of ranks that fit in the Slurm allocation or, without one, the number of cores."""
    allocation = slurm.allocation()
    return sum(allocation.nodes.values()) if allocation else cores()


def powers_to(most: int) -> list[int]:
    """Return the powers of two up to the largest number of ranks, followed by that number."""
    return [*(2**power for power in range((most - 1).bit_length())), most]


def check(arguments: argparse.Namespace, scene: Path, most: int) -> tuple[RenderJob, int]:
    """Return the job and the number of frames in its scene.

    :raises MpirenderError: the scene cannot be rendered, or has too few frames.
    """
    job = RenderJob(scene=scene, output=arguments.output / "check", sizes=(arguments.size,), movie="none")
    available = len(preflight.check(job).times)
    if available < most:
        raise UsageError(
            f"{scene.name} has {available} frames, {most} are needed; take fewer --frames, --frames-per-rank or --ranks"
        )
    return job, available


def runs(arguments: argparse.Namespace, scene: Path, counts: Sequence[int], available: int) -> Iterator[dict[str, Any]]:
    """In each repeat, render with every number of ranks in turn; yield the measurements of each run."""
    for repeat in range(1, arguments.repeats + 1):
        for kind in arguments.kind:
            for ranks in counts:
                number = frames_of(arguments, kind, ranks)
                folder = arguments.output / f"{kind}-{ranks}-{repeat}"
                options = ("--frames", framesets.text(spread(number, available)), "--ranks", ranks, *arguments.options)
                words = render_command(scene, folder, [arguments.size], *options)
                yield {"kind": kind, "ranks": ranks, "repeat": repeat, "frames": number, **timed(words, folder)}


def spread(number: int, available: int) -> list[int]:
    """Return frames evenly spaced over an animation, so that the mean cost depends little on their number."""
    return [place * available // number for place in range(number)]


def timed(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run mpirender; return the seconds of the whole command and of its frames, and the nodes. Delete the images.

    :raises LaunchFailed: mpirender failed.
    """
    began, started = time.time(), time.perf_counter()
    call(words, plain_environment(), folder.with_name(f"{folder.name}.log"))
    whole = time.perf_counter() - started
    hosts = {record.host for record in journal.read(folder / FOLDER) if isinstance(record, events.Done)}
    rendering = phases(folder / FOLDER, began, whole)[1]
    for images in (path for path in folder.iterdir() if path.is_dir() and path.name != FOLDER):
        shutil.rmtree(images)
    return {"whole": whole, "rendering": rendering, "hosts": sorted(hosts)}


def summary(raw: Raw, markdown: bool) -> str:
    """Format a table for each kind of scaling."""
    told = raw["arguments"]
    repeats = max((run["repeat"] for run in raw["runs"]), default=0)
    lines = [f"{told['state']} at {told['size']}; {repeats} runs each, medians", command.told(raw["machine"])]
    for kind in KINDS:
        counts = counts_of(raw, kind)
        if counts:
            cells = [titles(), *(row_of(raw, kind, ranks) for ranks in counts)]
            lines += ["", f"{kind} scaling", "", *command.table(cells, markdown=markdown)]
    return "\n".join(lines)


def titles() -> tuple[str, ...]:
    """Return the heading of the table."""
    return ("ranks", "frames", "whole s", "frames s", "speed-up", "efficiency", "of the frames")


def row_of(raw: Raw, kind: str, ranks: int) -> tuple[str, ...]:
    """Return the table row for a number of ranks."""
    frames = next(run["frames"] for run in raw["runs"] if (run["kind"], run["ranks"]) == (kind, ranks))
    first = counts_of(raw, kind)[0]
    return (
        str(ranks),
        str(frames),
        f"{median(raw, kind, ranks, 'whole'):.1f}",
        f"{median(raw, kind, ranks, 'rendering'):.1f}",
        f"{efficiency(raw, kind, ranks, 'whole') * ranks / first:.2f}",
        f"{efficiency(raw, kind, ranks, 'whole'):.1%}",
        f"{efficiency(raw, kind, ranks, 'rendering'):.1%}",
    )


def counts_of(raw: Raw, kind: str) -> list[int]:
    """Return the measured numbers of ranks."""
    return sorted({run["ranks"] for run in raw["runs"] if run["kind"] == kind})


def median(raw: Raw, kind: str, ranks: int, what: str) -> float:
    """Return the median of the seconds of the whole command (``whole``) or of its frames (``rendering``)."""
    found: list[float] = [run[what] for run in raw["runs"] if (run["kind"], run["ranks"]) == (kind, ranks)]
    return statistics.median(found)


def efficiency(raw: Raw, kind: str, ranks: int, what: str) -> float:
    """Return the efficiency relative to the smallest number of ranks; 1 is ideal."""
    first = counts_of(raw, kind)[0]
    ratio = median(raw, kind, first, what) / median(raw, kind, ranks, what)
    return ratio * first / ranks if kind == "strong" else ratio


def draw(raw: Raw, picture: Path) -> None:
    """Plot the efficiency over the number of ranks, one panel per kind of scaling."""
    kinds = [kind for kind in KINDS if counts_of(raw, kind)]
    figure, panels = plotting.panels(len(kinds), width=4.2, height=3.2, sharey=True)
    for axes, kind in zip(panels, kinds):
        counts = counts_of(raw, kind)
        for what, name in NAMES.items():
            values = [efficiency(raw, kind, ranks, what) for ranks in counts]
            axes.plot(counts, values, "o-", color=COLOURS[what], label=name, markersize=4)
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, list(map(str, counts)))
        axes.set_ylim(0, 1.1)
        axes.set_xlabel("ranks")
        each = f"{raw['arguments']['frames_per_rank']} frames for each rank"
        axes.set_title(f"{kind}: {raw['arguments']['frames']} frames" if kind == "strong" else f"{kind}: {each}")
    panels[0].yaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
    panels[0].set_ylabel(f"efficiency, {raw['arguments']['state']} at {raw['arguments']['size']}")
    panels[0].legend(loc="lower left")
    plotting.save(figure, picture)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description="Measure how mpirender scales with the number of ranks.",
        epilog=scenes.listed(), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    scenes.add_choice(parser)
    add = parser.add_argument
    add("--ranks", metavar="N", type=command.positive, nargs="+",
        help="numbers of ranks (default: 1, 2, 4 … to the cores, or to the room in the Slurm allocation)")  # fmt: skip
    add("--frames", metavar="N", type=command.positive, default=64,
        help="frames of the strong scaling (default: %(default)s)")  # fmt: skip
    add("--frames-per-rank", metavar="N", type=command.positive, default=16,
        help="frames for each rank of the weak scaling (default: %(default)s)")  # fmt: skip
    add("--kind", nargs="+", choices=KINDS, default=KINDS, help="which scaling to measure (default: both)")
    add("--size", metavar="S", default="HD", help="image resolution (default: %(default)s)")
    add("--repeats", metavar="R", type=command.positive, default=1, help="times each is run (default: %(default)s)")
    add("options", nargs="*", metavar="-- OPTION", help="after --, options for mpirender render")
    command.add_output(parser, "scaling")
    return parser


COMMAND = command.Command("scaling", parser(), measure=benchmark, tell=summary, draw=draw)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
