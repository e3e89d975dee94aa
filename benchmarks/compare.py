"""Compare mpirender with what people do today, side by side in one run.

python -m benchmarks.compare --state orbit.pvsm --frames 0-23 --size HD 4K --ranks 2 --repeats 3
python -m benchmarks.compare --summarise compare_renders/raw.json

Every row renders the same frames. The rows take turns in every repeat, so that what else the machine does hits all of
them. Pixels are compared with those of ParaView's own SaveAnimation.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from benchmarks.rows import REFERENCE, ROWS, Case, Row, call, images, log_of, plain_environment
from benchmarks.summary import different, summary
from mpirender import __version__, display, engines, launcher, preflight
from mpirender import frames as framesets
from mpirender.errors import LaunchFailed, MpirenderError, UsageError
from mpirender.job import RenderJob

RAW = "raw.json"
OWN_SCENE = "cone_orbit.pvsm"
FRAMES = "0-23"
SIZES = ("HD", "4K")
PIXELS_DIFFER = 1  # exit code


@dataclass(frozen=True)
class Run:
    """What was measured of one row in one repeat.

    Args:
        wall: seconds of wall clock.
        cpu: seconds of CPU of all its processes.
        load: load average of the machine just before.
        different: number of images that are not SaveAnimation's, None when that is not known.
    """

    row: str
    repeat: int
    wall: float
    cpu: float
    load: float
    images: int
    different: int | None = None


@contextlib.contextmanager
def shared_display(wanted: bool) -> Iterator[dict[str, str]]:
    """Give the environment with an X server for the time of the block, or without one where none is wanted."""
    if not wanted:
        yield plain_environment()
        return
    server, number = display.start()
    try:
        yield {**plain_environment(), "DISPLAY": f":{number}"}
    finally:
        server.terminate()
        server.wait()


def measure(row: Row, case: Case, folder: Path, repeat: int) -> Run:
    """Render with one row into a new folder, and measure.

    Raises:
        LaunchFailed: it failed, or did not make every image.
    """
    make_folders(case, folder)
    load, cpu = os.getloadavg()[0], cpu_of_children()
    with shared_display(case.needs_display and row.given_display) as environment:
        started = time.perf_counter()
        row.render(case, folder, environment)
        wall = time.perf_counter() - started
    cpu = cpu_of_children() - cpu  # after the X server has ended too, since it works for the row
    count = sum(path.exists() for path in images(case, folder))
    if count != len(case.frames) * len(case.job.sizes):
        raise LaunchFailed(f"{row.name}: only {count} images were made; its output is in {log_of(folder)}")
    return Run(row.name, repeat, wall, cpu, load, count)


def make_folders(case: Case, folder: Path) -> None:
    """Make the folder of a row, with one for each size."""
    for size in case.job.sizes:
        (folder / size.name).mkdir(parents=True)


def cpu_of_children() -> float:
    """Return the CPU seconds of all processes that were started from here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def count_different(case: Case, folder: Path, reference: Path) -> int:
    """Return how many images of a folder are not pixel for pixel those of the reference."""
    with ThreadPoolExecutor(launcher.cores()) as pool:
        return sum(pool.map(differ, images(case, folder), images(case, reference)))


def differ(image: Path, other: Path) -> bool:
    """Say whether two images differ in any decoded pixel."""
    return not np.array_equal(iio.imread(image), iio.imread(other))


def compare(case: Case, rows: Sequence[Row], repeats: int, tell: Callable[[str], None]) -> Iterator[Run]:
    """Measure every row so many times, the rows taking turns."""
    for repeat in range(1, repeats + 1):
        folders = {row.name: case.job.output / f"repeat-{repeat}" / row.name for row in rows}
        runs = []
        for row in rows:
            runs.append(measure(row, case, folders[row.name], repeat))
            tell(f"repeat {repeat} of {repeats}: {row.name:<17}  {runs[-1].wall:6.1f} s")
        for run in runs:
            known = REFERENCE in folders and run.row != REFERENCE
            different = count_different(case, folders[run.row], folders[REFERENCE]) if known else None
            yield dataclasses.replace(run, different=different)
        if repeat < repeats:  # those of the last stay, to be looked at
            shutil.rmtree(case.job.output / f"repeat-{repeat}")


def prepare(arguments: argparse.Namespace, rows: Sequence[Row]) -> Case:
    """Check the arguments, make the scene if none is given, and render one frame that is not timed.

    Raises:
        MpirenderError: something is wrong with the arguments, or a tool is missing.
    """
    output = Path(arguments.output)
    if output.is_dir() and any(output.iterdir()):
        raise UsageError(f"--output {output}: is not empty; name a new folder")
    output.mkdir(parents=True, exist_ok=True)
    job = RenderJob(
        scene=Path(arguments.state or output / OWN_SCENE), output=output, sizes=tuple(arguments.size),
        frames=arguments.frames, ranks=arguments.ranks, movie="none",
    )  # fmt: skip
    case = Case(job, framesets.parse(arguments.frames))
    span = case.frames[-1] - case.frames[0] + 1
    if span != len(case.frames) and any(row.name == REFERENCE for row in rows):
        raise UsageError(f"--frames {arguments.frames}: {REFERENCE} renders only frames in a row, such as 0-23")
    return warmed_up(case, make_scene=arguments.state is None)


def warmed_up(case: Case, *, make_scene: bool) -> Case:
    """Return the case, ready: programs and libraries have been read from disk once, so that no row pays for it."""
    log = case.job.output / "prepare.log"
    call(case.in_paraview("window-class"), plain_environment(), log)
    case = dataclasses.replace(case, needs_display="vtkXOpenGLRenderWindow" in log.read_text(errors="replace"))
    with shared_display(case.needs_display) as environment:
        if make_scene:
            call(case.in_paraview("make-orbit", case.job.scene, case.frames[-1] + 1), environment, log)
        times = preflight.check(case.job).times
        if case.frames[-1] >= len(times):
            raise UsageError(f"--frames {case.job.frames}: {case.job.scene.name} has frames 0-{len(times) - 1}")
        folder = case.job.output / "prepare"
        make_folders(case, folder)
        call(case.in_paraview("one-frame", case.job.scene, case.frames[0], folder, case.sizes[0]), environment, log)
    shutil.rmtree(folder)
    return case


def machine(case: Case) -> dict[str, Any]:
    """Return where and with what the comparison is run."""
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo")),
        "cores": launcher.cores(),
        "paraview": engines.for_scene(case.job.scene).version(case.job),
        "mpirender": __version__,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def cpu_model(information: Path) -> str:
    """Return the name of the processor, as the kernel tells it."""
    lines = information.read_text().splitlines() if information.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the comparison; return the raw results, which are in their file by then."""
    rows = [row for row in ROWS if row.name in arguments.rows]
    case = prepare(arguments, rows)
    raw: dict[str, Any] = {
        "arguments": {
            "state": case.job.scene.name, "frames": framesets.text(case.frames), "sizes": case.sizes,
            "ranks": launcher.ranks_of(case.job), "repeats": arguments.repeats, "rows": [row.name for row in rows],
        },
        "machine": machine(case),
        "runs": [],
    }  # fmt: skip
    for run in compare(case, rows, arguments.repeats, print):
        raw["runs"].append(dataclasses.asdict(run))
        (case.job.output / RAW).write_text(json.dumps(raw, indent=2) + "\n")
    return raw


def mismatches(raw: dict[str, Any]) -> list[str]:
    """Name the rows that must render SaveAnimation's pixels and do not."""
    return [
        f"{row.name}: {count} images are not pixel for pixel SaveAnimation's"
        for row in ROWS
        if row.must_match and (count := different(raw, row.name))
    ]


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description="Compare mpirender with what people do today, in one run.",
        epilog="\n".join(["rows:", *(f"  {row.name:<19}{row.what}" for row in ROWS)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--state", metavar="FILE", help="a ParaView state (default: a cone with the camera on an orbit)")
    add("--frames", metavar="SET", default=FRAMES, help="frames, counted from 0 (default: %(default)s)")
    add("--size", metavar="S", nargs="+", action="extend", help=f"sizes (default: {' '.join(SIZES)})")
    add("--ranks", metavar="N", type=int, help="ranks, and processes at a time (default: one per core)")
    add("--repeats", metavar="R", type=positive, default=1, help="times each row is run (default: %(default)s)")
    add("--rows", metavar="ROW", nargs="+", choices=names, default=names, help="rows to run (default: all)")
    add("--output", metavar="FOLDER", default="compare_renders", help="a new folder (default: %(default)s)")
    add("--summarise", metavar="RAW", type=Path, help=f"print the table of an earlier run's {RAW}; run nothing")
    return parser


def positive(text: str) -> int:
    """Read a number of at least 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    told = parser().parse_args(arguments)
    told.size = told.size or list(SIZES)
    try:
        raw = json.loads(told.summarise.read_text()) if told.summarise else benchmark(told)
    except (OSError, json.JSONDecodeError) as error:
        raise SystemExit(f"{told.summarise}: {error}") from None
    except MpirenderError as error:
        print("\n".join(f"compare: error: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return error.exit_code
    print(summary(raw))
    wrong = mismatches(raw)
    print(*(f"compare: error: {line}" for line in wrong), sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return PIXELS_DIFFER if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
