"""Render random scenes, and compare each with ParaView's own SaveAnimation.

    python tests/support/random_scenes.py --scenes 200 --seed 1

The ranks and the schedule change from scene to scene: 2, 3 or 1 ranks, interleaved, contiguous or dynamic.

Each scene ends as ``equal`` (all pictures are those of SaveAnimation), ``in order`` (equal, after the trial found that
frames depend on earlier frames), ``refused`` (exit code 2, before any picture), ``failed`` (frames with errors, exit
code 4), or ``wrong``: exit code 0 with other pictures, which must not be. Scenes that SaveAnimation itself cannot
render, or that it renders differently each time, are counted as ``impossible``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

import second_root
from images import pixels
from mpirender.system import xvfb
from repository import SUPPORT

SIZE = "240x180"
SECONDS = 120  # for each program
TIMED_OUT = 124
REPEATS = 3  # of SaveAnimation, to see whether its pictures are always the same
RANKS = (1, 2, 3, 2)
SCHEDULES = ("interleaved", "contiguous", "dynamic")


class Result(NamedTuple):
    """What became of a scene."""

    seed: int
    outcome: str
    parts: str  # of the scene
    detail: str = ""  # the message, or the frames that differ


class Programs(NamedTuple):
    """How pvbatch and mpirender are called, with the words after the program's name."""

    pvbatch: Callable[..., subprocess.CompletedProcess[str]]
    mpirender: Callable[..., subprocess.CompletedProcess[str]]


def on_this_machine(display: Mapping[str, str]) -> Programs:
    """Return the programs of this machine; ParaView's own frames are rendered on a display."""
    pvbatch, mpirender = ["pvbatch", "--no-mpi"], [sys.executable, "-m", "mpirender"]
    return Programs(
        lambda *words: _run([*pvbatch, *words], {**os.environ, **display}),
        lambda *words: _run([*mpirender, *words], dict(os.environ)),
    )


def in_second_root() -> Programs:
    """Return the programs of the second Debian, with ParaView 6.1 and OSMesa."""
    root = second_root.made()

    def runner(*program: object) -> Callable[..., subprocess.CompletedProcess[str]]:
        def run(*words: object) -> subprocess.CompletedProcess[str]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return root.run(*program, *words, timeout=SECONDS, **second_root.WITH_OSMESA)
            return subprocess.CompletedProcess(words, TIMED_OUT, "", "")

        return run

    return Programs(runner(*second_root.PVBATCH, "--no-mpi"), runner(second_root.MPIRENDER))


def results(folder: Path, seeds: Iterable[int], programs: Programs) -> Iterator[Result]:
    """Make a scene for each seed, render it both ways, and yield the result of each."""
    for seed in seeds:
        state, reference, output = folder / f"{seed}.pvsm", folder / f"{seed}-reference", folder / f"{seed}-out"
        made = programs.pvbatch(SUPPORT / "make_random_scene.py", state, seed)
        parts = (re.findall(r"^scene: (.*)$", made.stdout, re.MULTILINE) or ["?"])[0]
        if not state.exists():
            yield Result(seed, "impossible", parts, f"not made: exit code {made.returncode}")
            continue
        saved = programs.pvbatch(SUPPORT / "save_animation.py", state, reference, SIZE)
        if saved.returncode == TIMED_OUT:
            yield Result(seed, "impossible", parts, f"SaveAnimation did not end within {SECONDS} s")
            continue
        ranks, schedule = RANKS[seed % len(RANKS)], SCHEDULES[seed // len(RANKS) % len(SCHEDULES)]
        words = ("--size", SIZE, "--ranks", ranks, "--schedule", schedule, "--movie", "none", "--output", output)
        outcome, detail = _judged(programs.mpirender("render", state, *words), output / SIZE, reference)
        if outcome == "wrong":  # of a filter that draws from the clock, or reads memory that nobody has set
            for number in range(REPEATS):
                again = folder / f"{seed}-again-{number}"
                programs.pvbatch(SUPPORT / "save_animation.py", state, again, SIZE)
                if _different(again, reference):
                    outcome, detail = "impossible", f"SaveAnimation gives other pictures each time; {detail}"
                    break
        yield Result(seed, outcome, parts, detail)


def _judged(done: subprocess.CompletedProcess[str], found: Path, reference: Path) -> tuple[str, str]:
    """Return the outcome, and the message or the frames that differ."""
    if done.returncode == TIMED_OUT or done.returncode not in (0, 2, 4):
        return "wrong", f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"
    if done.returncode:
        return "refused" if done.returncode == 2 else "failed", done.stderr.strip()[:300]
    if not list(reference.glob("*.png")):
        return "impossible", "SaveAnimation wrote no frames"
    if different := _different(found, reference):
        return "wrong", f"different: {', '.join(different)}"
    return "in order" if "(found by a test)" in done.stdout else "equal", ""


def _different(found: Path, reference: Path) -> list[str]:
    """Return the names of pictures that differ from those of the reference; all if their number is another."""
    images, expected = sorted(found.glob("*.png")), sorted(reference.glob("*.png"))
    if len(images) != len(expected):
        return [path.name for path in images] or ["all"]
    return [one.name for one, other in zip(images, expected) if not np.array_equal(pixels(one), pixels(other))]


def _run(command: list[object], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program; one that takes too long is killed with its children, and has the exit code TIMED_OUT."""
    words = list(map(str, command))
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        start_new_session=True,
    )  # fmt: skip
    try:
        out, told = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return subprocess.CompletedProcess(words, TIMED_OUT, "", "")
    return subprocess.CompletedProcess(words, process.returncode, out, told)


def main() -> None:
    """Print the result of each scene, and how many there were of each kind; fail if one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=200, help="number of scenes")
    parser.add_argument("--seed", type=int, default=1, help="of the first scene; the others have the next numbers")
    parser.add_argument(
        "--second-root", action="store_true", help="with the ParaView 6.1 of tests/support/second_root.py"
    )
    parser.add_argument("--keep", type=Path, help="folder for the scenes and pictures, by default a temporary one")
    asked = parser.parse_args()
    counts = Counter[str]()
    with tempfile.TemporaryDirectory() as temporary, xvfb.server() as display:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        programs = in_second_root() if asked.second_root else on_this_machine(display)
        for result in results(folder, range(asked.seed, asked.seed + asked.scenes), programs):
            counts[result.outcome] += 1
            print(f"{result.seed}: {result.outcome}: {result.parts}", result.detail, sep="\n    ", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    sys.exit(bool(counts["wrong"]))


if __name__ == "__main__":
    main()
