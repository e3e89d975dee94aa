"""Account for the time that ranks spend in each phase of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mpirender
from mpirender.run_folder import events
from mpirender.run_folder.events import Event
from mpirender.run_folder.run_state import RunState
from mpirender.supervisor import timings
from mpirender.supervisor.timings import Spent
from processes import Run
from sample_events import at, done, fail, start

ONE = [
    start(0, 10.0, began=1.5),
    at(events.Phase("load"), time=10.5),
    at(events.Phase("render"), time=13.0),
    done(0, 0, 15.0, seconds=2.0, rendering=1.75),
    fail(0, 1, 16.0, seconds=0.5, rendering=0.5),
    at(events.Phase("gather"), time=17.0),
    at(events.Phase("encode"), time=17.5),
    at(events.Phase("end"), time=20.5),
]


def spent(*sequence: Event) -> dict[int, Spent]:
    state = RunState()
    for event in sequence:
        state.apply(event)
    return timings.by_rank(state.sessions)


def test_all_seconds_of_a_rank_are_counted_once() -> None:
    counted = spent(*ONE)
    assert counted == {0: Spent(start=1.5, load=3.0, render=2.25, write=0.25, wait=2.0, movie=3.0)}
    assert sum(vars(counted[0]).values()) == 1.5 + 20.5 - 10.0


def test_the_starts_of_a_rank_are_added_up_and_the_end_of_one_that_died_is_unknown() -> None:
    died = [start(0, 1.0, began=1.0), at(events.Phase("render"), time=2.0)]
    again = start(0, 10.0, began=1.5, launch=2)
    assert spent(*died, again, *ONE[1:])[0].start == 2.5
    assert spent(*died, again, *ONE[1:])[0].wait == 2.0


def test_loading_the_scene_again_is_loading() -> None:
    again = [at(events.Phase("reload"), time=16.5), at(events.Phase("render"), time=16.75)]
    (counted,) = spent(*ONE[:5], *again, *ONE[5:]).values()
    assert (counted.load, counted.wait) == (3.25, 1.75)


def test_efficiency_is_the_share_of_all_ranks_time_that_was_rendering() -> None:
    ranks = {0: Spent(render=6.0), 1: Spent(render=3.0)}
    assert timings.efficiency(ranks, 9.0) == 0.5
    assert timings.efficiency({}, 9.0) == 0.0


def test_of_many_ranks_the_mean_and_the_extremes_are_shown() -> None:
    few = timings.table({rank: Spent(render=rank) for rank in range(3)})
    assert [line.split()[:2] for line in few[1:]] == [["rank", "0"], ["rank", "1"], ["rank", "2"]]
    many = timings.table({rank: Spent(render=rank) for rank in range(101)})
    assert [line.split()[:4] for line in many[1:]] == [
        ["mean", "0.0", "0.0", "50.0"], ["least", "0.0", "0.0", "0.0"], ["most", "0.0", "0.0", "100.0"]
    ]  # fmt: skip


def test_a_run_says_where_its_time_went(pattern: Callable[..., Path], tmp_path: Path) -> None:
    """The frames take known times and are dealt so that one rank has to wait for the other."""
    scene = pattern(json.dumps({"frames": 4, "seconds": [0.5, 0.1, 0.5, 0.1]}))
    job = mpirender.RenderJob(scene, tmp_path / "out", sizes=("80x50",), ranks=2)
    result = mpirender.render(job)
    slow, fast = result.spent[0], result.spent[1]
    assert slow.render >= 1.0
    assert fast.render >= 0.2
    assert fast.wait - slow.wait == pytest.approx(slow.render - fast.render, abs=0.5)
    assert slow.start > 0.05 and slow.movie > 0.05
    assert result.efficiency == pytest.approx((slow.render + fast.render) / 2 / result.seconds)
    for one in (slow, fast):
        assert 0 < sum(vars(one).values()) <= result.seconds


def test_the_summary_tells_it(run: Run, pattern: Callable[..., Path]) -> None:
    done = run("render", pattern(), "--size", "80x50", "--ranks", 2)
    assert "time  seconds    start     load   render    write     wait    movie" in done.stdout
    assert "of the time of 2 ranks was spent on rendering" in done.stdout
