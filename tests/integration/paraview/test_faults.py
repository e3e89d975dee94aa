"""Kill random processes of a run at random times until the movie is complete; then check that nothing is wrong."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from images import SIZE, assert_same_pictures
from movies import read_back
from mpirender.ranks.renderer_process import SLOTS
from mpirender.run_folder import events, journal
from mpirender.run_folder.journal import Tail
from processes import Run, marked, x_servers
from records import done_frames, records
from renderer_faults import Subject, inflict, longer
from renderers import renderer_of
from repository import SUPPORT

KILLS = 8
KILLS_OF_BLENDER = 5  # fewer, because the ParaView test covers the code that both engines share
FRAMES = 40
RANKS = 2
POISON = 5
HANG = 5
SEED = 20261121
WHAT = ("renderer", "rank", "rank", "mpiexec", "command", "group", "everything")


def kill_session(pid: int, number: int) -> None:
    """Signal a process group and the groups of all its descendants at once."""
    started = children(pid)
    for group in [pid, *started, *(rank for mpiexec in started for rank in children(mpiexec))]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in found.split()]


@dataclass
class Movie:
    """The scene to render, and the engine's own images of it."""

    scene: Path
    reference: Path
    frames: range
    size: str


@dataclass
class Saboteur:
    """Repeats the command, and kills one of its processes now and then."""

    movie: Movie
    output: Path
    random: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    commands: int = 0

    def run_to_the_end(self) -> None:
        """Repeat the command until it succeeds, as a user would."""
        code = None
        while code != 0:
            assert self.commands < 200, "the command never succeeds"
            code = self.run_once()

    def run_once(self) -> int:
        self.commands += 1
        size = self.movie.size
        words = ["render", self.movie.scene, "--size", size, "--ranks", RANKS, "--output", self.output, "--quiet"]
        command = [sys.executable, "-m", "mpirender", *map(str, words)]
        pipes = {"stderr": subprocess.PIPE, "text": True, "env": marked(self.output.parent)}
        with subprocess.Popen(command, start_new_session=True, **pipes) as process:
            while process.poll() is None:
                if self.wait_for_a_moment(process):
                    self.kill_something(process.pid)
            said = process.stderr.read()
        assert process.returncode in (0, 4, -signal.SIGKILL), said
        assert "Traceback" not in said
        return process.returncode

    def wait_for_a_moment(self, process: subprocess.Popen[str]) -> bool:
        """Wait for a random time or number of frames; return False if the command ends first."""
        frames = self.random.randint(0, 6) if self.random.random() < 0.8 else -1
        tail, seen = Tail(self.output / ".mpirender"), 0
        while frames >= 0 and seen <= frames and process.poll() is None:
            seen += sum(isinstance(record, events.Take) for record in tail.read())
            time.sleep(0.02)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.random.uniform(0, 0.2 if frames >= 0 else 5))
        return process.poll() is None

    def kill_something(self, pid: int) -> None:
        what = self.random.choice(WHAT)
        mpiexecs = children(pid)
        ranks = [rank for mpiexec in mpiexecs for rank in children(mpiexec)]
        renderers = list(filter(None, map(renderer_of, ranks)))
        victims = {
            "renderer": renderers,
            "rank": ranks,
            "mpiexec": mpiexecs,
            "command": [pid],
            "group": [pid],
            "everything": [pid],
        }[what]
        if not victims:
            return  # the command has not started this process yet
        {"group": os.killpg, "everything": kill_session}.get(what, os.kill)(self.random.choice(victims), signal.SIGKILL)
        self.kills[what] += 1


def unfinished_takes(folder: Path) -> Counter[int]:
    """Return from the ranks' journals how often each frame was in progress when its rank ended."""
    lost: Counter[int] = Counter()
    for path in folder.glob("rank-*.jsonl"):
        flying: set[int] = set()
        for record in journal.read(folder, path.name):
            if isinstance(record, events.Start):
                lost.update(flying)
                flying.clear()
            elif isinstance(record, events.Take):
                flying.add(record.image.frame)
                assert len(flying) <= SLOTS, "one image may be rendering and the others being written"
            elif isinstance(record, (events.Done, events.Fail)):
                flying.discard(record.image.frame)
        lost.update(flying)
    return lost


@pytest.fixture(scope="module")
def scene(scenes: SimpleNamespace) -> Path:
    """Create an orbit long enough to be killed often."""
    return longer(scenes.state("orbit"), scenes.folder / "long", FRAMES)


@pytest.fixture(scope="module")
def reference(scene: Path, pvbatch) -> Path:
    """Return ParaView's own frames of it."""
    pvbatch(SUPPORT / "save_animation.py", scene, scene.parent / "reference", SIZE)
    return scene.parent / "reference"


@pytest.mark.slow
def test_whatever_is_killed_whenever_the_frames_are_the_same_and_none_is_lost_or_rendered_without_need(
    scene: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_paraview = Movie(scene, reference, range(FRAMES), SIZE)
    with capsys.disabled():
        print(f"\nfaults: {kill_at_random(of_paraview, KILLS, tmp_path, kinds=len(set(WHAT)))}")


@pytest.mark.slow
def test_a_renderer_killed_or_stopped_whenever_costs_at_most_a_second_rendering_of_its_image(
    scene: Path, reference: Path, tmp_path: Path
) -> None:
    """The command ``python tests/support/renderer_faults.py`` does the same with many more."""
    inflict(Subject(scene, reference, range(FRAMES), SIZE, 4.0), tmp_path, kills=5, stops=1, seed=SEED)


@pytest.mark.slow
def test_the_same_of_blender(blends: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = blends.file("long")
    reference = blends.animate(scene, tmp_path / "reference", size=(640, 360))
    of_blender = Movie(scene, reference, range(1, 21), "640x360")
    with capsys.disabled():
        print(f"\nfaults of Blender: {kill_at_random(of_blender, KILLS_OF_BLENDER, tmp_path)}")


def kill_at_random(movie: Movie, count: int, tmp_path: Path, *, kinds: int = 1) -> str:
    """Render movies until enough processes of enough kinds were killed; check every movie, and return the counts."""
    chance = random.Random(SEED)
    figures: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    while kills.total() < count or len(kills) < kinds:
        output = tmp_path / f"round{figures['rounds']}"
        saboteur = Saboteur(movie, output, chance)
        saboteur.run_to_the_end()
        look_for_traces(output, movie, figures)
        kills += saboteur.kills
        figures.update(rounds=1, commands=saboteur.commands)
    end = time.monotonic() + 10
    while x_servers(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    assert x_servers(tmp_path) == []
    assert subprocess.run(["pgrep", "-fa", str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False).stdout == ""
    told = ", ".join(f"{name} {count}" for name, count in figures.items())
    return f"{kills.total()} kills ({', '.join(f'{n} {what}' for what, n in kills.items())}): {told}"


def look_for_traces(output: Path, made: Movie, figures: Counter[str]) -> None:
    """Compare a movie with the reference, check the journals, and add to the counts."""
    folder = output / ".mpirender"
    assert_same_pictures(output / made.size, made.reference)
    assert read_back(output / f"{made.scene.stem}_{made.size}.mp4").frames == len(made.frames)
    recorded = journal.read(folder)
    done = Counter(record.image.frame for record in recorded if isinstance(record, events.Done))
    takes = Counter(record.image.frame for record in recorded if isinstance(record, events.Take))
    failed = Counter(record.image.frame for record in recorded if isinstance(record, events.Fail))
    lost = unfinished_takes(folder) + failed
    assert done == Counter(made.frames), "every frame must be completed exactly once"
    assert takes - done == lost, "a frame may be rendered again only if its rank or renderer was lost"
    assert list(output.rglob(".part-*")) == []
    assert not (folder / "lock").exists()
    figures.update(
        restarts=sum(isinstance(record, events.Death) for record in recorded),
        frames_rendered_twice=sum(done.values()) - len(done),
        frames_in_flight_lost=lost.total(),
        frames_lost=len(made.frames) - len(done),
    )


@pytest.mark.slow
@pytest.mark.parametrize("to", ["the command", "every process of the run"])
def test_paraview_ends_its_frames_in_progress_on_a_signal(scene: Path, tmp_path: Path, to: str) -> None:
    """Slurm signals every process of a step, including the X server, without which the ranks would crash."""
    output = tmp_path / "out"
    words = ["render", scene, "--size", "HD", "--ranks", RANKS, "--output", output, "--quiet"]
    command = [sys.executable, "-m", "mpirender", *map(str, words)]
    pipes = {"stderr": subprocess.PIPE, "text": True, "env": marked(tmp_path)}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        tail, seen = Tail(output / ".mpirender"), 0
        while seen < 6 and process.poll() is None:
            seen += sum(isinstance(record, events.Take) for record in tail.read())
            time.sleep(0.01)
        ranks = [rank for mpiexec in children(process.pid) for rank in children(mpiexec)]
        servers = x_servers(tmp_path)
        for pid in [*ranks, *servers] if to != "the command" else []:
            os.kill(pid, signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(60) == 75, said
    assert len(servers) == 1
    takes = sorted(take.image.frame for take in records(output, "take"))
    assert takes == done_frames(output), "every frame that was started must be completed"
    assert x_servers(tmp_path) == []
    assert subprocess.run(["pgrep", "-fa", str(output)], stdout=subprocess.PIPE, text=True, check=False).stdout == ""


@pytest.mark.slow
def test_a_paraview_filter_that_kills_its_process_at_a_frame_is_found(
    run: Run, scenes: SimpleNamespace, tmp_path: Path
) -> None:
    done = run("render", scenes.folder / "deadly" / "poison.pvsm", "--size", SIZE, "--ranks", RANKS)
    assert done.returncode == 4
    assert re.search(rf"{SIZE} frames {POISON}: rank \d on \S+: the renderer died .*\(tried ", done.stderr)
    assert f"to try {SIZE} frame {POISON} alone: mpirender render" in done.stderr
    assert done_frames(tmp_path / "poison_renders") == [frame for frame in range(8) if frame != POISON]
    assert len(records(tmp_path / "poison_renders", "launch")) == 1


@pytest.mark.slow
def test_a_paraview_filter_that_hangs_at_a_frame_is_found(run: Run, scenes: SimpleNamespace, tmp_path: Path) -> None:
    scene = scenes.folder / "deadly" / "hang.pvsm"
    done = run("render", scene, "--size", SIZE, "--ranks", RANKS, "--frame-timeout", 10)
    assert done.returncode == 4
    assert f"{SIZE} frames {HANG}: rank" in done.stderr
    assert "the renderer took longer than 10 s and was ended (tried twice)" in done.stderr
    assert done_frames(tmp_path / "hang_renders") == [frame for frame in range(8) if frame != HANG]
    assert len(records(tmp_path / "hang_renders", "launch")) == 1
    assert subprocess.run(["pgrep", "-fa", str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False).stdout == ""
