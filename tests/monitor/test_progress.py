"""Show the progress of a run in a terminal and in a log."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mpirender.job.outputs import Image
from mpirender.monitor.progress import Lines, RunTally, fitting
from mpirender.run_folder import events
from mpirender.system.text import duration
from sample_events import at, done, fail, plan, start, take


def test_a_log_gets_lines_that_come_rarer_with_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("mpirender.monitor.progress.time.monotonic", lambda: clock[0])
    with (tmp_path / "log").open("w") as stream:
        lines = Lines(stream, RunTally())
        for second in range(4000):
            clock[0] = float(second)
            lines([])
    times = len((tmp_path / "log").read_text().splitlines())
    assert 10 < times < 40


def test_progress_names_the_slowest_rank_and_the_failures() -> None:
    tally, ago = RunTally(), time.time() - 10
    tally.add([start(0, ago), start(1, ago), plan(10, 8, ago, warnings=("look out",))])
    tally.add([at(events.Phase("render"), rank, ago) for rank in (0, 1)])
    tally.add([take(0, 0, ago), take(1, 1, ago), done(0, 0, ago, seconds=1.0), done(1, 1, ago, seconds=3.0)])
    tally.add([fail(1, 2, ago)])
    assert tally.text() == "0.20 images/s, 25 s left, slowest rank 1: 3.00 s/image, 1 failed"
    assert tally.dealt_with == 5
    assert tally.news == ["warning: look out"]


def test_progress_goes_on_counting_after_a_restart_and_a_second_chance() -> None:
    tally = RunTally()
    tally.add([start(0), start(1), plan(10), done(0, 0), fail(0, 1), done(1, 1, attempt=2)])
    assert (tally.dealt_with, tally.failed) == (2, 0)
    lost = ((1, Image(2, "HD")),)
    tally.add([at(events.Death(1, "rank 1 on h died", lost), events.SUPERVISOR)])
    assert tally.news == ["warning: rank 1 on h died; 1 image was in progress; starting again"]
    assert tally.text() == "starting the ranks again"
    tally.add([start(0, launch=2), start(1, launch=2), plan(10, 8), done(0, 2)])
    assert (tally.dealt_with, tally.failed) == (3, 0)


def test_progress_names_renderers_that_were_lost_but_not_those_that_were_renewed() -> None:
    tally = RunTally()
    tally.add([start(0), start(1), plan(10)])
    tally.add([at(events.Reload("renewed after 5 images (--renew-renderer)", planned=True), 1)])
    tally.add([at(events.Reload("died (exit code 3)"), 0), at(events.Reload("died (exit code 3)", Image(2, "HD")), 1)])
    assert tally.news == [
        "warning: the renderer of rank 0 on n1 died (exit code 3); it loads the scene again",
        "warning: the renderer of rank 1 on n1 died (exit code 3) at HD frame 2; it loads the scene again",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (7260, "2 h 01 min")])
def test_durations_are_written_with_a_readable_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (99, "5.55 images/s, 12 min 30 s left, slowest rank 3: 0.20 s/image, 1 failed"),
        (45, "5.55 images/s, 12 min 30 s left, 1 failed"), (30, "12 min 30 s left, 1 failed"),
        (16, "12 min 30 s left"), (7, "5.55 i…"),
    ],
)  # fmt: skip
def test_a_narrow_terminal_shows_the_time_left_before_all_else(room: int, text: str) -> None:
    assert fitting("5.55 images/s, 12 min 30 s left, slowest rank 3: 0.20 s/image, 1 failed", room) == text
