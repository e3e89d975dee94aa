"""Watch a run with mpirender status --watch: in a pipe, as JSON and in a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from journal_writer import Scribe
from mpirender.monitor.status import follow, text
from mpirender.monitor.status.follow import Follower
from processes import need
from terminal import wait_for_screen


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Callable[[], None]]], None]:
    """Return a function that schedules steps; one runs each time the watcher sleeps."""

    def happen(steps: list[Callable[[], None]]) -> None:
        rest = iter(steps)
        monkeypatch.setattr(follow.time, "sleep", lambda seconds: next(rest)())

    return happen


def steps_of(scribe: Scribe) -> list[Callable[[], None]]:
    """Return the steps of a run; the second one does nothing."""
    return [scribe.rendering, lambda: None, lambda: scribe.done(0, 0, 10), lambda: scribe.finish(0)]


def test_a_pipe_gets_a_block_whenever_there_is_news(
    alive: Scribe, between_looks: Callable[[list[Callable[[], None]]], None]
) -> None:
    between_looks(steps_of(alive))
    stream = io.StringIO()
    follow.watch(Follower(alive.output), stream)
    blocks = stream.getvalue().split("\n\n")
    assert len(blocks) == 4
    assert "starting the ranks" in blocks[0]
    assert "0 of 10 done" in blocks[1]
    assert "1 of 10 done" in blocks[2]
    assert blocks[3].startswith("  finished  ")


def test_json_to_watch_is_a_line_whenever_there_is_news(
    alive: Scribe, between_looks: Callable[[list[Callable[[], None]]], None]
) -> None:
    between_looks(steps_of(alive))
    stream = io.StringIO()
    follow.watch(Follower(alive.output), stream, json_lines=True)
    given = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(seen["state"], seen["done"]) for seen in given] == [
        ("running", None), ("running", 0), ("running", 1), ("finished", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (60, 12), (200, 60)])
def test_what_a_terminal_shows_fits_it(alive: Scribe, size: tuple[int, int]) -> None:
    alive.rendering(ranks=100, total=500)
    for rank in range(100):
        alive.take(rank, rank, 20)
    alive.fail(3, 3, 30, "vtkXMLReader: " + "cannot open " * 10)
    shown = text.fitting(alive.look(), *size)
    assert len(shown) <= size[1]
    assert max(map(len, shown)) <= size[0]
    assert any("HD frame 42 for" in line or "more (" in line for line in shown)


@contextlib.contextmanager
def watching(scribe: Scribe, name: str) -> Iterator[list[str]]:
    """Watch a run in a pseudo-terminal."""
    tmux = [need("tmux"), "-L", f"mpirender-{name}-{os.getpid()}"]
    # readline, which pytest imports, has set COLUMNS and LINES.
    status = f"env -u COLUMNS -u LINES {sys.executable} -m mpirender status {scribe.output} --watch"
    command = f"{status}; echo ended with $?; sleep 60"
    words = ["new-session", "-d", "-x", "100", "-y", "20", f"bash -c 'trap : INT; {command}'"]
    subprocess.run([*tmux, *words], check=True)
    try:
        yield tmux
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def test_a_terminal_is_refreshed_in_place_and_keeps_the_end(alive: Scribe) -> None:
    alive.rendering(ranks=30)
    with watching(alive, "status") as tmux:
        first = wait_for_screen(tmux, "0 of 10 done")
        assert len(re.findall(r"waiting for the others", first)) >= 10
        assert re.search(r"and \d+ more \(", first)
        alive.done(0, 0, 10)
        second = wait_for_screen(tmux, "1 of 10 done")
        assert second.count("running") == 1
        assert "0 of 10 done" not in second
        alive.finish(0)
        wait_for_screen(tmux, "ended with 0")
        history = subprocess.run([*tmux, "capture-pane", "-p", "-S", "-"], capture_output=True, text=True, check=True)
        assert history.stdout.startswith("  finished  orbit.pvsm")
        assert history.stdout.count("    images  ") == 1
        assert "        29  n1 " in history.stdout


def test_ctrl_c_leaves_the_watched_run_alone_and_ends_quietly(alive: Scribe) -> None:
    alive.rendering()
    with watching(alive, "status-c") as tmux:
        wait_for_screen(tmux, "0 of 10 done")
        subprocess.run([*tmux, "send-keys", "C-c"], check=True)
        screen = wait_for_screen(tmux, "ended with 130")
    assert "Traceback" not in screen
    assert screen.count("0 of 10 done") == 1
    assert alive.look().state == "running"


def test_watching_ends_when_nothing_can_be_shown_any_more(alive: Scribe) -> None:
    alive.rendering()
    command = [sys.executable, "-m", "mpirender", "status", str(alive.output), "--watch"]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 2
    assert b"standard output cannot be written" in done.stderr
