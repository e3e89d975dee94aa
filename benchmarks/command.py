"""Shared command line of the benchmarks: each stores raw results in a file and derives its summary from that file."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import plotting
from mpirender import __version__, engines
from mpirender.errors import MpirenderError, UsageError
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import cores
from mpirender.system import slurm

RAW = "raw.json"
WRONG = 1  # exit code of a benchmark that ran but missed a requirement

Raw = dict[str, Any]


def nothing_wrong(raw: Raw) -> Sequence[str]:
    """Accept every result."""
    return ()


@dataclass(frozen=True)
class Command:
    """A benchmark as a command.

    :param name: name of its module, also stored in the raw results.
    :param measure: runs the benchmark and returns the raw results.
    :param tell: formats the summary of raw results, as text or as Markdown.
    :param draw: plots raw results into a file.
    :param wrong: lists missed requirements, one line each.
    """

    name: str
    parser: argparse.ArgumentParser
    measure: Callable[[argparse.Namespace], Raw]
    tell: Callable[[Raw, bool], str]
    draw: Callable[[Raw, Path], None]
    wrong: Callable[[Raw], Sequence[str]] = nothing_wrong

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command line; return its exit code."""
        told = self.parser.parse_args(arguments)
        try:
            if told.plot:
                plotting.pyplot()  # fails before the measurement if Matplotlib is missing
            raw = read(told.summarise, self.name) if told.summarise else self.measure(told)
            print(self.tell(raw, told.markdown))
            if told.plot:
                self.draw(raw, told.plot)
        except MpirenderError as error:
            complain(error.message.splitlines(), self.name)
            return error.exit_code
        wrong = self.wrong(raw)
        complain(wrong, self.name)
        return WRONG if wrong else 0


def complain(mistakes: Sequence[str], who: str) -> None:
    """Print each mistake on its own line."""
    for line in mistakes:
        print(f"{who}: error: {line}", file=sys.stderr)


def add_output(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options for the output to a command line."""
    add = parser.add_argument
    add("--output", metavar="FOLDER", type=Path, default=Path(f"{name}_renders"),
        help="a new folder (default: %(default)s)")  # fmt: skip
    add("--summarise", metavar="RAW", type=Path, help=f"print the table of an earlier run's {RAW}; run nothing")
    add("--plot", metavar="PICTURE", type=Path, help="draw the results, too (png, svg or pdf)")
    add("--markdown", action="store_true", help="print the table as Markdown")


def mistakes_of_output(output: Path) -> list[str]:
    """Report an output folder that is not empty."""
    if output.is_dir() and any(output.iterdir()):
        return [f"--output {output}: is not empty; name a new folder"]
    return []


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def write(raw: Raw, output: Path) -> None:
    """Write the raw results to the output folder of a benchmark."""
    (output / RAW).write_text(json.dumps(raw, indent=1) + "\n")


def read(path: Path, name: str) -> Raw:
    """Return the raw results of an earlier run.

    :raises UsageError: the file does not contain results of this benchmark.
    """
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"--summarise {path}: {error.strerror}") from None
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or raw.get("benchmark") != name:
        raise UsageError(f"--summarise {path}: does not hold results of benchmarks.{name}; they are in its {RAW}")
    return raw


def new_raw(name: str, job: RenderJob, arguments: dict[str, Any]) -> Raw:
    """Return raw results that hold only the arguments and the description of the machine."""
    return {"benchmark": name, "arguments": arguments, "machine": machine(job)}


def machine(job: RenderJob | None = None) -> dict[str, Any]:
    """Describe the machine and the software versions, including the engine of a job if given."""
    allocation = slurm.allocation()
    engine = engines.for_scene(job.scene) if job else None
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo")),
        "cores": sum(allocation.nodes.values()) * allocation.threads if allocation else cores(),
        "nodes": len(allocation.nodes) if allocation else 1,
        "engine": engine.inspect(job.scene.read_bytes(), job).engine if engine and job else "",
        "version": engine.version(job) if engine and job else "",
        "mpirender": __version__,
        "date": now(),
    }


def now() -> str:
    """Return the current time in readable form."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def cpu_model(information: Path) -> str:
    """Return the processor's name as the kernel reports it."""
    lines = information.read_text().splitlines() if information.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def told(machine: dict[str, Any]) -> str:
    """Format the description of the machine as one line."""
    nodes = f"{machine['nodes']} nodes, " if machine["nodes"] > 1 else ""
    program = {"paraview": "ParaView", "blender": "Blender"}.get(machine["engine"], machine["engine"])
    where = f"{machine['cpu']}, {nodes}{machine['cores']} cores"
    version = f"{program} {machine['version']}, " if program else ""
    return f"{where}; {version}mpirender {machine['mpirender']}; {machine['date']}"


def table(cells: Sequence[Sequence[str]], *, markdown: bool = False) -> list[str]:
    """Format cells as lines: the first row is the heading, names are left-aligned, numbers right-aligned."""
    if markdown:
        rule = ["---", *["---:"] * (len(cells[0]) - 1)]
        return [f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:])]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip()
        for row in cells
    ]
