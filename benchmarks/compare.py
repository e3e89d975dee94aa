"""Compare mpirender with what people do today, side by side in one run.

python -m benchmarks.compare --state orbit.pvsm --frames 0-23 --size HD 4K --ranks 2 --repeats 3
python -m benchmarks.compare --summarise compare_renders/raw.json

Every row renders the same frames. The rows take turns in every repeat, so that what else the machine does hits all of
them. Pixels are compared with those of ParaView's own SaveAnimation.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Run, make_folders, make_reference, measure, shared_display
from benchmarks.rows import ROWS, Case, Row, call, plain_environment
from benchmarks.summary import different, summary
from mpirender import __version__, engines, launcher, preflight
from mpirender import frames as framesets
from mpirender.errors import MpirenderError, UsageError
from mpirender.job import RenderJob

RAW = "raw.json"
OWN_SCENE = "cone_orbit.pvsm"
FRAMES = "0-23"
SIZES = ("HD", "4K")
PIXELS_DIFFER = 1  # exit code


def compare(case: Case, rows: Sequence[Row], repeats: int) -> Iterator[Run]:
    """Measure every row so many times, the rows taking turns."""
    expected = make_reference(case)
    print("rendered the frames to compare with", flush=True)
    for repeat in range(1, repeats + 1):
        for row in rows:
            run = measure(row, case, expected, repeat)
            print(f"repeat {repeat} of {repeats}  {row.name:<17}{run.wall:8.1f} s", flush=True)
            yield run
        if repeat < repeats:  # those of the last stay, to be looked at
            shutil.rmtree(case.job.output / f"repeat-{repeat}")


def prepare(arguments: argparse.Namespace) -> Case:
    """Check the arguments, make the scene if none is given, and return what is to be rendered.

    Raises:
        MpirenderError: something is wrong with the arguments, or a tool is missing.
    """
    output = Path(arguments.output)
    job = RenderJob(
        scene=Path(arguments.state or output / OWN_SCENE), output=output, sizes=tuple(arguments.size),
        frames=arguments.frames, ranks=arguments.ranks, movie="none",
    )  # fmt: skip
    case = Case(job, framesets.parse(arguments.frames))
    mistakes = []
    if output.is_dir() and any(output.iterdir()):
        mistakes.append(f"--output {output}: is not empty; name a new folder")
    if case.frames[-1] - case.frames[0] + 1 != len(case.frames):
        mistakes.append(f"--frames {arguments.frames}: SaveAnimation renders only frames in a row, such as 0-23")
    if mistakes:
        raise UsageError(mistakes)
    if arguments.state is not None:
        check_scene(case)
    output.mkdir(parents=True, exist_ok=True)
    return warmed_up(case, make_scene=arguments.state is None)


def check_scene(case: Case) -> None:
    """Make sure that the scene can be rendered and has these frames.

    Raises:
        MpirenderError: it cannot, or has not, or a tool is missing.
    """
    count = len(preflight.check(case.job).times)
    if case.frames[-1] >= count:
        raise UsageError(f"--frames {case.job.frames}: {case.job.scene.name} has frames 0-{count - 1}")


def warmed_up(case: Case, *, make_scene: bool) -> Case:
    """Return the case, ready: programs and libraries have been read from disk once, so that no row pays for it."""
    log = case.job.output / "prepare.log"
    call(case.in_paraview("window-class"), plain_environment(), log)
    case = dataclasses.replace(case, needs_display="vtkXOpenGLRenderWindow" in log.read_text(errors="replace"))
    folder = case.job.output / "prepare"
    make_folders(case, folder)
    with shared_display(case.needs_display) as environment:
        if make_scene:
            call(case.in_paraview("make-orbit", case.job.scene, case.frames[-1] + 1), environment, log)
            check_scene(case)
        call(case.in_paraview("one-frame", case.job.scene, case.frames[0], folder, case.sizes[0]), environment, log)
    shutil.rmtree(folder)
    return case


def machine(case: Case) -> dict[str, Any]:
    """Return where and with what the comparison is run."""
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo")),
        "cores": launcher.cores(),
        "paraview": engines.get("paraview").version(case.job),
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
    case = prepare(arguments)
    raw: dict[str, Any] = {
        "arguments": {
            "state": case.job.scene.name, "frames": framesets.text(case.frames), "sizes": case.sizes,
            "ranks": launcher.ranks_of(case.job), "repeats": arguments.repeats, "rows": [row.name for row in rows],
        },
        "machine": machine(case),
        "runs": [],
    }  # fmt: skip
    for run in compare(case, rows, arguments.repeats):
        raw["runs"].append(dataclasses.asdict(run))
        (case.job.output / RAW).write_text(json.dumps(raw, indent=2) + "\n")
    return raw


def read(path: Path) -> dict[str, Any]:
    """Return the raw results of an earlier run.

    Raises:
        UsageError: the file holds none.
    """
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"--summarise {path}: {error.strerror}") from None
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or not {"arguments", "machine", "runs"} <= raw.keys():
        raise UsageError(f"--summarise {path}: does not hold the results of a comparison; they are in its {RAW}")
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
        raw = read(told.summarise) if told.summarise else benchmark(told)
    except MpirenderError as error:
        complain(str(error).splitlines())
        return error.exit_code
    print(summary(raw))
    wrong = mismatches(raw)
    complain(wrong)
    return PIXELS_DIFFER if wrong else 0


def complain(mistakes: Sequence[str]) -> None:
    """Say each mistake in a line of its own."""
    for line in mistakes:
        print(f"compare: error: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
