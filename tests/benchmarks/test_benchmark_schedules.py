"""Check the simulation of schedules against known results and against the bound."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import sample_events
from benchmarks import schedules, simulate
from benchmarks.simulate import BOUND, DYNAMIC, HandOut, Ranks
from mpirender.run_folder import journal


def equal(count: int) -> Ranks:
    return Ranks(np.zeros(count), np.ones(count))


def test_grahams_worst_case_of_list_scheduling_comes_out_as_he_has_it() -> None:
    """m(m - 1) frames of cost 1 and then one of cost m take 2m - 1 on m ranks; the optimum is m."""
    for ranks in (2, 3, 8):
        costs = np.array([1.0] * ranks * (ranks - 1) + [ranks])
        assert simulate.simulate(costs, equal(ranks), BOUND).makespan == 2 * ranks - 1


def test_static_schedules_are_dealt_as_mpirender_deals_them() -> None:
    costs = np.array([4.0, 1.0, 4.0, 1.0, 4.0, 1.0])
    interleaved, contiguous = (simulate.simulate(costs, equal(2), kind) for kind in ("interleaved", "contiguous"))
    assert (interleaved.makespan, contiguous.makespan) == (12, 9)
    assert interleaved.efficiency == pytest.approx(15 / 24)


def test_ranks_that_are_late_or_slow_take_fewer_frames_where_frames_are_handed_out() -> None:
    costs = np.ones(10)
    late = Ranks(np.array([0.0, 4.0]), np.ones(2))
    assert simulate.simulate(costs, late, "interleaved").makespan == 9
    assert simulate.simulate(costs, late, DYNAMIC).makespan == 7
    slow = Ranks(np.zeros(2), np.array([1.0, 0.25]))
    assert simulate.simulate(costs, slow, "interleaved").makespan == 20
    assert simulate.simulate(costs, slow, DYNAMIC).makespan == 8


def test_handing_out_costs_its_latency_and_those_who_ask_at_once_wait_for_one_another() -> None:
    assert simulate.simulate(np.ones(3), equal(1), DYNAMIC, HandOut(latency=0.25)).makespan == 3.75
    assert simulate.simulate(np.ones(4), equal(4), DYNAMIC, HandOut(service=0.125)).makespan == 1.5


@pytest.mark.parametrize("kind", simulate.COSTS)
def test_costs_have_the_mean_that_they_say(kind: str) -> None:
    costs = simulate.COSTS[kind](40_000, np.random.default_rng(1))
    assert costs.min() > 0
    assert costs.mean() == pytest.approx(1, abs=0.03)


def test_a_measured_animation_keeps_its_course_when_it_is_made_longer() -> None:
    assert list(simulate.stretched([1, 2, 3], 6)) == [1, 1, 2, 2, 3, 3]
    assert list(simulate.stretched([1, 2, 3, 4], 2)) == [1, 3]


def test_ranks_of_a_node_share_its_speed_and_the_first_is_ready_at_once() -> None:
    ranks = simulate.drawn_ranks(6, np.random.default_rng(1), jitter=3, spread=0.1, per_node=4)
    assert ranks.ready.min() == 0 < ranks.ready.max() < 3
    assert [len(set(ranks.speed[part])) for part in (slice(0, 4), slice(4, 6))] == [1, 1]


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    return ["--ranks", "2", "64", "--frames-per-rank", "8", "--draws", "3", "--output", str(tmp_path / "out")]


def test_the_table_and_the_plot_come_from_the_raw_results_alone(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schedules.main([*small, "--plot", str(tmp_path / "plot.png")]) == 0
    table = capsys.readouterr().out
    assert schedules.main(["--summarise", str(tmp_path / "out" / "raw.json")]) == 0
    assert capsys.readouterr().out == table
    rows = [line.split() for line in table.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in simulate.COSTS] == [
        [kind, ranks] for kind in simulate.COSTS for ranks in ("2", "64")
    ]
    assert iio.imread(tmp_path / "plot.png").shape[1] > 1000


def test_dynamic_is_near_the_bound_on_4096_ranks_and_says_so_when_it_is_not(
    small: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--ranks", "4096", "--draws", "1"]
    told = schedules.parser().parse_args(few)
    results = list(schedules.results({**vars(told), "measured": [], "latency": schedules.latency(told.mean)}))
    assert {result["costs"] for result in results} == set(simulate.COSTS)
    for result in (result for result in results if result["costs"] in ("constant", "drifting", "stepping")):
        assert schedules.of_bound(result, DYNAMIC) >= schedules.NEAR > schedules.of_bound(result, "interleaved")
    assert schedules.main([*small, "--latency", "0.2"]) == 1
    assert "of the bound on 64 ranks with constant costs; it should be 98%" in capsys.readouterr().err


def test_costs_are_taken_from_the_journals_of_a_run_all_sizes_of_a_frame_together(
    small: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "renders" / ".mpirender"
    folder.mkdir(parents=True)
    with journal.Journal(folder, 0, "here") as log:
        for frame, size, seconds in ((1, "HD", 2.0), (0, "HD", 1.0), (1, "4K", 4.0), (0, "4K", 3.0), (1, "4K", 5.0)):
            log.write(sample_events.done(0, frame, output=size, seconds=seconds))
    assert schedules.main([*small, "--journals", str(tmp_path / "renders")]) == 0
    raw = json.loads((tmp_path / "out" / "raw.json").read_text())
    assert (raw["arguments"]["measured"], raw["arguments"]["mean"]) == ([4, 7], 5.5)
    assert {result["costs"] for result in raw["results"]} == {*simulate.COSTS, "measured"}


def test_a_folder_without_frames_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schedules.main(["--journals", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said == f"schedules: error: --journals {tmp_path}: is not the output folder of a run with frames done\n"
