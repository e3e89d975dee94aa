"""Show the progress of a run in a terminal and in a log."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mpirender.monitor.progress import Counts, Lines, duration


def test_a_log_gets_lines_that_come_rarer_with_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("mpirender.monitor.progress.time.monotonic", lambda: clock[0])
    with (tmp_path / "log").open("w") as stream:
        lines = Lines(stream)
        for second in range(4000):
            clock[0] = float(second)
            lines([])
    times = len((tmp_path / "log").read_text().splitlines())
    assert 10 < times < 40


def test_progress_names_the_slowest_rank_and_the_failures() -> None:
    counts = Counts()
    base = {"host": "h", "time": time.time() - 10, "complaints": [], "output": "HD"}
    counts.add([{"event": "start", "rank": 0, "ranks": 2, **base}])
    counts.add([{"event": "plan", "rank": 0, "total": 10, "left": 8, "warnings": ["beware"], **base}])
    counts.add([{"event": "take", "rank": 0, "frame": 0, **base}])
    counts.add([{"event": "done", "rank": 0, "seconds": 1.0, "frame": 0, **base}])
    counts.add([{"event": "done", "rank": 1, "seconds": 3.0, "frame": 1, **base}])
    counts.add([{"event": "fail", "rank": 1, "frame": 2, **base}])
    assert counts.text() == "0.20 images/s, 25 s left, slowest rank 1: 3.00 s/image, 1 failed"
    assert counts.dealt_with == 5
    assert counts.news == ["warning: beware"]


def test_progress_goes_on_counting_after_a_restart_and_a_second_chance() -> None:
    counts = Counts()
    base = {"host": "h", "time": time.time(), "complaints": [], "output": "HD", "seconds": 1.0}
    counts.add([{"event": "plan", "rank": 0, "total": 10, "left": 10, "warnings": [], **base}])
    counts.add([{"event": "done", "rank": 0, "frame": 0, **base}, {"event": "fail", "rank": 0, "frame": 1, **base}])
    counts.add([{"event": "done", "rank": 1, "frame": 1, **base}])
    assert (counts.dealt_with, counts.failed) == (2, 0)
    counts.add([{"event": "death", "reason": "rank 1 on h died", "flight": [[1, 2, "HD"]], **base}])
    assert counts.news == ["warning: rank 1 on h died; 1 image was in flight; starting again"]
    assert counts.text() == "starting the ranks again"
    counts.add([{"event": "plan", "rank": 0, "total": 10, "left": 8, "warnings": [], **base}])
    counts.add([{"event": "done", "rank": 0, "frame": 2, **base}])
    assert (counts.dealt_with, counts.failed) == (3, 0)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (7260, "2 h 01 min")])
def test_durations_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
