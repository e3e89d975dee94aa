"""Measure how well ``mpirender estimate`` predicts the time of a run.

python -m benchmarks.estimates                                      # five scenes on two ranks
python -m benchmarks.estimates --cases even blender --repeats 3
python -m benchmarks.estimates --state orbit.pvsm --size 4K --frames 400

Each case is estimated from at most 5 % of its frames. Then the rest of it is rendered for real, with the command of a
user, and its wall-clock time is compared with the prediction. An estimate is good if the ratio is within 15 %.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import command, plotting, scenes
from benchmarks.command import Raw
from benchmarks.rows import call, plain_environment
from mpirender.errors import LaunchFailed, UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.run_folder import journal
from mpirender.run_folder.run_state import RunHistory

GOOD = 0.15  # of the real time
PART = 0.05  # of the frames, at most


@dataclass(frozen=True)
class Case:
    """A scene of the benchmark, with its number of frames and its size."""

    what: str
    scene: str
    frames: int
    size: str


CASES = {
    "even": Case("frames that cost the same", "isosurfaces", 200, "HD"),
    "uneven": Case("a third of the frames costs much more", "series", 200, "HD"),
    "growing": Case("each frame costs more than the one before", "growing", 200, "HD"),
    "start-up": Case("small images of a cone: most of the time is start-up", "cone", 200, "320x180"),
    "blender": Case("balls by Cycles", "balls", 120, "320x180"),
}
PARTS = ("start", "frames", "movie", "end")
STATE = "state"  # the case of a scene of the user


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Estimate and render each case; write the raw results and return them.

    :raises MpirenderError: the arguments are invalid, a tool is missing, or a run failed.
    """
    mistakes = command.mistakes_of_output(arguments.output)
    if mistakes:
        raise UsageError(mistakes)
    output = arguments.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    cases = {STATE: None} if arguments.state else {name: CASES[name] for name in arguments.cases}
    told = {"cases": [*cases], "ranks": arguments.ranks, "repeats": arguments.repeats}
    raw: Raw = {}
    for repeat in range(1, arguments.repeats + 1):
        for name, case in cases.items():
            scene, size, frames = (
                (arguments.state, arguments.size, arguments.frames) if case is None
                else (made(output, case), case.size, case.frames)
            )  # fmt: skip
            raw = raw or {**command.new_raw("estimates", RenderJob(scene=scene), told), "runs": []}
            words = [str(scene), "--size", size, "--ranks", str(arguments.ranks), *arguments.options]
            words += ["--frames", f"0-{frames - 1}"] if frames else []
            found = measure(words, output / f"{name}-{repeat}")
            raw["runs"].append({"case": name, "repeat": repeat, **found})
            command.write(raw, output)
            print(row_text(raw["runs"][-1]), flush=True)
    return raw


def made(output: Path, case: Case) -> Path:
    """Create the scene of a case, unless it is there; return its path."""
    state = output / scenes.SCENES[case.scene].file
    if not state.exists():
        scenes.chosen(argparse.Namespace(state=None, scene=case.scene, output=output), case.frames)
    return state


def measure(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """Estimate a run, render the rest of it, and return the predicted and the real seconds; delete the images.

    :raises LaunchFailed: mpirender failed.
    """
    program = [sys.executable, "-m", "mpirender"]
    options = [*words, "--output", str(folder), "--quiet"]
    log = folder.with_name(f"{folder.name}.log")
    with log.open("ab") as errors:
        done = subprocess.run(
            [*program, "estimate", *options, "--json"], env=plain_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=errors, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise LaunchFailed(f"mpirender estimate failed; its output is in {log}")
    estimate = json.loads(done.stdout)
    left = estimate["left"]
    started = time.perf_counter()
    call([*program, "render", *options], plain_environment(), log)
    real = time.perf_counter() - started
    parts = real_parts(folder, time.time() - real, real)
    shutil.rmtree(folder)
    return {
        "frames": estimate["frames"], "sampled": len(estimate["sampled"]), "real": real, "error": left["error"],
        "predicted": left["start"] + left["frames"] + left["movie"] + left["end"],
        "parts": {name: left[name] for name in PARTS}, "real_parts": parts,
    }  # fmt: skip


def real_parts(folder: Path, began: float, seconds: float) -> dict[str, float]:
    """Return the seconds of the parts of a run that began at this time and took so many seconds."""
    sessions = RunHistory(journal.read(folder / FOLDER)).newest(None).now.sessions.values()
    begins: dict[str, float] = {}
    for name, at in (phase for one in sessions for phase in one.phases):
        begins[name] = max(at - began, begins.get(name, 0.0))
    render, gather, encode, end = (begins.get(name, 0.0) for name in ("render", "gather", "encode", "end"))
    movie = end - encode if encode else 0.0
    return dict(zip(PARTS, (render, gather - render, movie, seconds - gather - movie)))


def ratio(run: dict[str, Any]) -> float:
    """Return the predicted time relative to the real one."""
    return float(run["predicted"] / run["real"])


def summary(raw: Raw, markdown: bool) -> str:
    """Format a table of all runs."""
    told = raw["arguments"]
    lines = [f"the rest of each run on {told['ranks']} ranks, after its estimate", command.told(raw["machine"]), ""]
    return "\n".join([*lines, *command.table([titles(), *map(row_of, raw["runs"])], markdown=markdown)])


def titles() -> tuple[str, ...]:
    """Return the heading of the table."""
    return ("case", "frames", "sampled", "predicted s", "real s", "predicted ÷ real", "within its interval")


def row_of(run: dict[str, Any]) -> tuple[str, ...]:
    """Return the table row of a run."""
    within = abs(run["predicted"] - run["real"]) <= run["error"]
    return (
        run["case"], str(run["frames"]), str(run["sampled"]), f"{run['predicted']:.1f} ± {run['error']:.1f}",
        f"{run['real']:.1f}", f"{ratio(run):.2f}", "yes" if within else "no",
    )  # fmt: skip


def row_text(run: dict[str, Any]) -> str:
    """Return a line about a run."""
    return f"{run['case']:<9} predicted {run['predicted']:7.1f} s, real {run['real']:7.1f} s, ratio {ratio(run):.2f}"


def wrong(raw: Raw) -> list[str]:
    """List the cases whose prediction is off by more than 15 % (median of the repeats), or took too many frames."""
    lines = []
    for case in raw["arguments"]["cases"]:
        runs = [run for run in raw["runs"] if run["case"] == case]
        found = statistics.median(map(ratio, runs))
        if abs(found - 1) > GOOD:
            lines.append(f"{case}: the prediction is {found:.2f} times the real time; it should be within {GOOD:.0%}")
        lines += [
            f"{case}: {run['sampled']} of {run['frames']} frames were rendered for the estimate"
            for run in runs[:1]
            if case != STATE and run["sampled"] > PART * run["frames"]
        ]
    return lines


def draw(raw: Raw, picture: Path) -> None:
    """Plot predicted over real time of each run, with its interval."""
    figure, (axes,) = plotting.panels(1, width=6, height=3.2)
    for number, run in enumerate(raw["runs"]):
        axes.errorbar([number], [ratio(run)], yerr=[run["error"] / run["real"]], fmt="o", color=plotting.BLUE)
    axes.axhspan(1 - GOOD, 1 + GOOD, alpha=0.2, color=plotting.GREEN)
    axes.set_xticks(range(len(raw["runs"])), [run["case"] for run in raw["runs"]])
    axes.set_ylabel("predicted ÷ real")
    plotting.save(figure, picture)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    listed = "\n".join(["cases:", *(f"  {name:<10}{case.what}" for name, case in CASES.items())])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.estimates", description="Measure how well mpirender estimate predicts a run.",
        epilog=listed, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--cases", nargs="+", choices=CASES, default=list(CASES), help="its own cases (default: all)")
    add("--state", metavar="FILE", type=Path, help="a scene, instead of the benchmark's own cases")
    add("--size", metavar="S", default="HD", help="image resolution of that scene (default: %(default)s)")
    add("--frames", metavar="N", type=command.positive, help="frames of that scene, from 0 (default: all)")
    add("--ranks", metavar="N", type=command.positive, default=2, help="ranks (default: %(default)s)")
    add("--repeats", metavar="N", type=command.positive, default=1, help="times each is run (default: %(default)s)")
    add("options", nargs="*", metavar="-- OPTION", help="after --, options for mpirender")
    command.add_output(parser, "estimates")
    return parser


COMMAND = command.Command("estimates", parser(), measure=benchmark, tell=summary, draw=draw, wrong=wrong)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
