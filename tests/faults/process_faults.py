"""Kill or stop processes of a run in any phase, and give the same command again until it has succeeded."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from command_runs import EXIT_CODES

from images import assert_same_pictures
from movies import read_back
from mpirender.run_folder import events
from mpirender.run_folder.journal import Tail
from process_tree import is_stopped, processes_of_run
from records import done_frames
from renderer_faults import Subject, blender_subject, groups_subject, paraview_subject, pattern_subject, subject_words
from runs import heed_ctrl_c

KILLS, STOPS = 5, 4  # of a trial; stops come in pairs
EARLY = ""  # before the ranks render: they start, load and survey
IN_PHASES = {
    "supervisor": (EARLY, "render", "encode"), "launcher": (EARLY, "render", "encode"),
    "rank": (EARLY, "render", "encode"), "fork server": (EARLY, "render"), "renderer": (EARLY, "render"),
    "ffmpeg": ("encode",), "Xvfb": (EARLY, "render"),
}  # fmt: skip
ENGINES: dict[str, Callable[[Path], Subject]] = {
    "paraview": partial(paraview_subject, frames=24),
    "groups": lambda folder: groups_subject(scene_of("paraview"), folder),
    "blender": blender_subject,
}  # fmt: skip
OF_ENGINE = 3  # faults of a trial
LATE = ("render", "gather", "encode", "end")
WORST_SECONDS = 150.0  # of one command
PAUSE_SECONDS = 0.02
SHARE = 0.15  # of the moments in which a fault is possible
MOST_RUNS, MOST_COMMANDS = 12, 20
STOPPED_SECONDS = 5.0  # of a supervisor: nobody watches it, so that it is continued after this time


@dataclass
class Fault:
    """A process to strike: its kind, and the phase of the ranks in which it is struck."""

    kind: str
    phase: str
    number: signal.Signals


def kills(chance: random.Random, folder: Path) -> str:
    """Kill five processes."""
    return inflict(scene_of("pattern"), chance, folder, signal.SIGKILL, KILLS)


def stops(chance: random.Random, folder: Path) -> str:
    """Stop four processes; only a supervisor is continued."""
    return inflict(scene_of("pattern"), chance, folder, signal.SIGSTOP, STOPS)


def engine_faults(chance: random.Random, folder: Path) -> str:
    """Kill or stop processes of ParaView in Xvfb, of its groups of ranks, or of Blender."""
    name, number = chance.choice(list(ENGINES)), chance.choice((signal.SIGKILL, signal.SIGSTOP))
    return f"{name} {number.name}: {inflict(scene_of(name), chance, folder, number, OF_ENGINE)}"


@cache
def scene_of(name: str) -> Subject:
    """Return a scene that was rendered without faults; each rank encodes a segment of its movie."""
    folder = Path(tempfile.mkdtemp(prefix=f"mpirender-{name}-"))
    atexit.register(shutil.rmtree, folder)
    return ENGINES[name](folder) if name in ENGINES else pattern_subject(folder, seconds=0.03)


def inflict(subject: Subject, chance: random.Random, folder: Path, number: signal.Signals, count: int) -> str:
    """Render with faults, in one folder after the other until all have been inflicted; check each result."""
    kinds = [kind for kind in IN_PHASES if kind not in absent(subject)]
    struck = chance.choices(kinds, k=count)
    if "Xvfb" in kinds:
        struck[0] = "Xvfb"  # other processes are struck in the runs of other engines, too
    faults = [Fault(kind, chance.choice(IN_PHASES[kind]), number) for kind in struck]
    done: Counter[str] = Counter()
    while faults:
        assert done["runs"] < MOST_RUNS, f"never possible: {faults}"
        output = folder / f"out{done['runs']}"
        done["runs"] += 1
        code = -1
        while code != 0:
            done["commands"] += 1
            assert done["commands"] < MOST_COMMANDS, f"no success; the last command ended with exit code {code}"
            code = run_with(subject, faults, chance, output)
            done["failures"] = max(code, done["failures"])
        check(subject, output)
    return f"complete after exit code {done['failures']}" if done["failures"] else "complete"


def absent(subject: Subject) -> set[str]:
    """Return the kinds of processes that its runs do not have."""
    kinds = set() if subject.scene.suffix == ".pvsm" else {"Xvfb"}
    return kinds | ({"renderer", "fork server"} if "--ranks-per-frame" in subject.options else set())


def run_with(subject: Subject, faults: list[Fault], chance: random.Random, output: Path) -> int:
    """Run the command once, and take faults from the list meanwhile; return its exit code."""
    words = [*subject_words(subject), "--output", output, "--max-restarts", 20]
    command = [sys.executable, "-m", "mpirender", *map(str, words)]
    with tempfile.TemporaryFile("w+", dir=output.parent) as printed:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, preexec_fn=heed_ctrl_c  # noqa: PLW1509
        ) as process:  # fmt: skip
            try:
                follow(process, faults, chance, output)
            finally:
                process.kill()
        printed.seek(0)
        told = f"exit code {process.returncode}: {printed.read()[-3000:]}"
    assert "Traceback" not in told, told
    assert process.returncode in {*EXIT_CODES, -signal.SIGKILL}, told
    return process.returncode


def follow(process: subprocess.Popen[str], faults: list[Fault], chance: random.Random, output: Path) -> None:
    """Inflict faults until the process ends."""
    end, tail, phase = time.monotonic() + WORST_SECONDS, Tail(output / ".mpirender"), ""
    while process.poll() is None:
        assert time.monotonic() < end, f"no end after {WORST_SECONDS:g} s: {processes_of_run(process.pid)}"
        for event in tail.read():
            phase = phase_after(event, phase)
        possible = [fault for fault in faults if fault.phase == phase]
        if possible and chance.random() < SHARE:
            at_once = possible[: 2 if possible[0].number == signal.SIGSTOP else 1]
            for fault in [fault for fault in at_once if strike(fault, process)]:
                faults.remove(fault)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PAUSE_SECONDS)


def phase_after(event: events.Event, phase: str) -> str:
    """Return the phase of the ranks after an event."""
    if isinstance(event, events.Launch):
        return EARLY
    return event.phase if isinstance(event, events.Phase) and event.phase in LATE else phase


def strike(fault: Fault, process: subprocess.Popen[str]) -> bool:
    """Inflict a fault if there is such a process; return whether it was."""
    victims = [pid for pid in processes_of_run(process.pid).get(fault.kind, ()) if not is_stopped(pid)]
    if not victims or process.poll() is not None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(victims[-1], fault.number)
        if fault.kind == "supervisor" and fault.number == signal.SIGSTOP:
            time.sleep(STOPPED_SECONDS)
            process.send_signal(signal.SIGCONT)
        return True
    return False


def check(subject: Subject, output: Path, *, repeated: bool = False) -> None:
    """Check that the result is right and that no image was completed twice, unless that may be ``repeated``."""
    done, expected = Counter(done_frames(output)), Counter(subject.frames)
    done = Counter(set(done)) if repeated else done
    assert done == expected, f"rendered twice: {done - expected}; without a record: {expected - done}"
    assert_same_pictures(output / subject.size, subject.reference)
    assert read_back(output / f"{subject.scene.stem}_{subject.size}.mp4").frames == len(subject.frames)
    assert not (left := list(output.rglob(".part-*"))), f"left: {left}"
    assert not (output / ".mpirender" / "lock").exists()
