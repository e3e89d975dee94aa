"""Kill and stop renderers of runs at random times, and check that each costs no more than its image in progress.

    python tests/support/renderer_faults.py --engine pattern --kills 200 --stops 50 --seed 1

A renderer that is killed is replaced at once, one that is stopped after 10 s; no rank is started again.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from images import SIZE, assert_same_pictures
from movies import read_back
from mpirender.run_folder import events
from mpirender.system import xvfb
from process_tree import is_stopped
from records import done_frames, records
from renderers import renderer_of
from repository import SUPPORT

WORST_SECONDS = 1800  # of one run
PER_RUN = 8  # faults at most, so that no image meets many of them
FEW = 8  # images of a rank, in the first quarter of the run
REPLACED = re.compile(r"died \(signal SIG(KILL|SEGV)\)|was stopped by a signal|took longer than")


@dataclass
class Subject:
    """A scene, the engine's own images of it, and the most seconds between two faults."""

    scene: Path
    reference: Path
    frames: range
    size: str
    pause: float
    options: tuple[str, ...] = ()
    ranks: int = 2


@dataclass
class Tally:
    """What was done, and what it cost."""

    kills: int = 0
    stops: int = 0
    runs: int = 0
    lost: Counter[str] = field(default_factory=Counter)  # renderers, by what they were doing
    again: int = 0  # images rendered a second time


def pattern_subject(folder: Path, seconds: float = 0.1) -> Subject:
    """Create a test pattern, and render it without faults."""
    scene = folder / "long.pattern"
    scene.write_text(f'{{"frames": 120, "seconds": {seconds}}}')
    subject = Subject(scene, folder / "once" / "160x90", range(120), "160x90", 1.0)
    render_reference(subject)
    return subject


def render_reference(subject: Subject) -> None:
    """Render the images without faults."""
    once = [*subject_words(subject), "--movie", "none", "--quiet", "--output", subject.reference.parent]
    subprocess.run([sys.executable, "-m", "mpirender", *map(str, once)], check=True)


def subject_words(subject: Subject) -> list[object]:
    """Return the words of the command that renders it, without an output folder."""
    return ["render", subject.scene, "--size", subject.size, "--ranks", subject.ranks, *subject.options]


def paraview_subject(folder: Path, frames: int = 40) -> Subject:
    """Create a ParaView state, and let ParaView render its animation."""
    pvbatch = ["pvbatch", "--no-mpi"]
    with xvfb.server() as display:
        environment = {**os.environ, **display}

        def make(*words: object) -> None:
            subprocess.run([*pvbatch, *map(str, words)], env=environment, check=True, capture_output=True)

        make(SUPPORT / "make_scenes.py", folder)
        scene = longer(folder / "orbit.pvsm", folder / "long", frames)
        make(SUPPORT / "save_animation.py", scene, folder / "reference", SIZE)
    return Subject(scene, folder / "reference", range(frames), SIZE, 4.0)


def groups_subject(single: Subject, folder: Path) -> Subject:
    """Render the scene of another subject without faults in two groups of two ranks."""
    options = ("--ranks-per-frame", "2")
    subject = replace(single, reference=folder / "once" / SIZE, options=options, ranks=4)
    render_reference(subject)
    return subject


def longer(state: Path, folder: Path, frames: int) -> Path:
    """Copy a state with another number of frames."""
    pattern = r'(name="NumberOfFrames"[^>]*>\s*<Element index="0" value=)"\d+"'
    text, changed = re.subn(pattern, rf'\1"{frames}"', state.read_text())
    assert changed == 1
    folder.mkdir(exist_ok=True)
    (folder / state.name).write_text(text)
    return folder / state.name


def blender_subject(folder: Path) -> Subject:
    """Create a Blender file, and let Blender render its animation."""
    subprocess.run([sys.executable, SUPPORT / "make_blends.py", folder], check=True, capture_output=True)
    scene, reference = folder / "long.blend", folder / "reference"
    words = [SUPPORT / "animate.py", scene, reference, "640", "360", "{}"]
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)
    return Subject(scene, reference, range(1, 21), "640x360", 4.0)


SUBJECTS = {"pattern": pattern_subject, "paraview": paraview_subject, "blender": blender_subject}


def inflict(subject: Subject, folder: Path, kills: int, stops: int, seed: int) -> Tally:
    """Render again and again, with so many faults in all; return what it cost, or raise AssertionError."""
    chance, tally = random.Random(seed), Tally()
    faults = ["kills"] * kills + ["stops"] * stops
    chance.shuffle(faults)
    while faults:
        output = folder / f"run{tally.runs}"
        tally.runs += 1
        before = tally.kills + tally.stops
        render_with_faults(subject, output, faults, chance, tally)
        check(subject, output, tally.kills + tally.stops - before, tally)
        print(f"{len(faults)} faults left: {tally}", flush=True)
    return tally


def render_with_faults(
    subject: Subject, output: Path, faults: list[str], chance: random.Random, tally: Tally
) -> None:  # fmt: skip
    """Run the command once and take faults from the list meanwhile."""
    words = [*subject_words(subject), "--output", output]
    command = [sys.executable, "-m", "mpirender", *map(str, words)]
    with (output.parent / f"{output.name}.log").open("w+") as log:
        with subprocess.Popen(command, stdout=log, stderr=log) as process:
            end, left = time.monotonic() + WORST_SECONDS, min(PER_RUN, len(faults))
            while process.poll() is None:
                assert time.monotonic() < end, f"the run takes too long; see {log.name}"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(chance.uniform(0, subject.pause))
                if left and process.poll() is None and strike(output, faults[-1], chance):
                    kind, left = faults.pop(), left - 1
                    setattr(tally, kind, getattr(tally, kind) + 1)
        log.seek(0)
        assert process.returncode == 0, log.read()


def strike(output: Path, kind: str, chance: random.Random) -> bool:
    """Kill or stop the renderer of a random rank; return False if that is not possible at the moment."""
    recorded = records(output) if (output / ".mpirender").is_dir() else []
    if not (starts := [event for event in recorded if isinstance(event, events.Start)]):
        return False
    start = chance.choice(starts)
    own = [event for event in recorded if event.rank == start.rank]
    victim = renderer_of(start.pid)
    if victim is None or is_stopped(victim) or gives_up_soon(own):
        return False
    begun = sum(isinstance(event, events.Take) for event in own)
    # An image that ends its renderer by a fault of its own gets two attempts: the second comes after all others.
    number = signal.SIGSEGV if begun < FEW and chance.random() < 0.5 else signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGSTOP if kind == "stops" else number)
        return True
    return False


def gives_up_soon(own: list[events.Event]) -> bool:
    """Return whether a rank has lost a renderer already while it loads the scene: it gives up after the third."""
    since = list(itertools.takewhile(lambda event: not isinstance(event, events.Take), reversed(own)))
    return any(isinstance(event, events.Reload) and event.image is None for event in since)


def check(subject: Subject, output: Path, faults: int, tally: Tally) -> None:
    """Check that the result is right and that nothing was done without need."""
    assert len(records(output, "launch")) == 1, "no rank may be started again"
    assert records(output, "death") == []
    assert done_frames(output) == list(subject.frames), "every frame must be completed exactly once"
    assert_same_pictures(output / subject.size, subject.reference)
    assert read_back(output / f"{subject.scene.stem}_{subject.size}.mp4").frames == len(subject.frames)
    losses = [event for event in records(output, "reload") if isinstance(event, events.Reload)]
    assert len(losses) <= faults, "a renderer may be lost only if it was killed or stopped"
    assert all(REPLACED.match(loss.reason) for loss in losses), losses
    takes = len(records(output, "take"))
    images = sum(loss.image is not None for loss in losses)
    assert takes - len(subject.frames) <= images, "only the image that a renderer was at may be rendered again"
    assert list(output.rglob(".part-*")) == []
    assert subprocess.run(["pgrep", "-f", str(output)], stdout=subprocess.DEVNULL, check=False).returncode == 1
    tally.again += takes - len(subject.frames)
    tally.lost.update(loss.reason for loss in losses)


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=SUBJECTS, default="pattern")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stops", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subject = SUBJECTS[options.engine](folder)
        print(inflict(subject, folder, options.kills, options.stops, options.seed))


if __name__ == "__main__":
    main()
