"""Predict a run from a few of its frames: the model with made-up numbers, and the command with the test pattern."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mpirender.supervisor import estimate
from mpirender.supervisor.estimate import Curve, Measured, MovieCost, SampledFrame
from processes import Pattern, Run
from records import done_frames

MOVIE = MovieCost("HD", fixed=0.5, per_frame=0.1, key_bytes=1000, frame_bytes=100)
SMALL = ("--size", "80x50", "--ranks", 2)


def measured(costs: np.ndarray, size: int = 0, schedule: str = "interleaved", movies: int = 0) -> Measured:
    """Return what an estimate would measure of frames that take these seconds."""
    places = estimate.sample_places(len(costs), size or estimate.sample_size(len(costs), 2), 2)
    sample = tuple(SampledFrame(place, float(costs[place])) for place in places)
    return Measured(len(costs), sample, 3.0, 1.0, 0.5, (MOVIE,) * movies, "h264", schedule)


def test_one_frame_in_twenty_is_rendered_but_two_for_each_rank() -> None:
    assert [estimate.sample_size(*case) for case in ((200, 2), (60, 2), (10_000, 2), (10_000, 64), (4, 2))] == [
        10, 6, 20, 128, 4
    ]  # fmt: skip


def test_the_sample_has_both_ends_and_frames_that_follow_another() -> None:
    places = estimate.sample_places(200, 10, stride=3)
    assert len(places) == 10
    assert (places[0], places[-1]) == (0, 199)
    assert sum(second - first == 3 for first, second in zip(places, places[1:])) == 2
    assert estimate.sample_places(5, 10) == [0, 1, 2, 3, 4]


BUMP = 0.2 + np.exp(-(((np.linspace(0, 1, 400) - 0.65) / 0.16) ** 2))


@pytest.mark.parametrize(
    "costs", [np.full(400, 0.3), np.linspace(0.1, 2, 400), BUMP], ids=["even", "growing", "uneven"]
)
@pytest.mark.parametrize("ranks", [2, 16])
@pytest.mark.parametrize("kind", ["interleaved", "contiguous", "dynamic"])
def test_the_time_of_frames_is_that_of_the_schedule(costs: np.ndarray, ranks: int, kind: str) -> None:
    true = estimate.makespan(costs, ranks, kind)
    found = estimate.predict(measured(costs, schedule=kind), 1, ranks)
    assert found.frames == pytest.approx(true, rel=0.06)
    assert abs(found.total - (3.5 + true)) < found.error


def test_noise_makes_the_interval_as_wide_as_it_must_be() -> None:
    """Of 100 animations whose frames scatter, about 95 must take what the interval says."""
    within = 0
    for seed in range(100):
        costs = np.random.default_rng(seed).lognormal(0, 0.5, 400)
        found = estimate.predict(measured(costs, size=20), 1, 2)
        within += abs(found.frames - estimate.makespan(costs, 2, "interleaved")) < found.error
    assert within >= 85


def test_the_first_frame_of_a_rank_counts_once() -> None:
    sample = tuple(SampledFrame(20 * number, 0.5 if number % 5 == 0 else 0.3, number % 5 == 0) for number in range(10))
    curve = Curve(181, sample)
    assert curve.costs == pytest.approx(np.full(181, 0.3))
    assert curve.first == pytest.approx(0.2)


def test_frames_that_are_done_and_the_order_trial_are_left_out() -> None:
    one = measured(np.full(100, 0.5))
    whole, left = estimate.predict(one, 1, 2), estimate.predict(one, 1, 2, done={*range(40)})
    assert whole.frames - left.frames == pytest.approx(10.0)
    assert whole.start - left.start == 1.0


def test_a_movie_is_encoded_in_segments_by_all_ranks() -> None:
    one = measured(np.full(200, 0.5), movies=1)
    assert estimate.movie_seconds(one, 1) == pytest.approx(20.5)
    assert estimate.movie_seconds(one, 2) == pytest.approx(10.5 + 0.8)
    assert estimate.movie_seconds(one, 64) == pytest.approx(5.5 + 0.8), "a segment has 50 frames or more"
    assert estimate.movie_bytes(one, 2) == {"HD": 2 * 1000 + 198 * 100}


def test_the_movie_makes_a_run_less_certain() -> None:
    sure = measured(np.full(200, 0.01), movies=1)
    doubtful = dataclasses.replace(sure, movies=(dataclasses.replace(MOVIE, doubt=0.05),))
    assert estimate.predict(doubtful, 1, 2).error > 0.4 * estimate.movie_seconds(sure, 2)
    assert estimate.predict(sure, 1, 2).total == estimate.predict(doubtful, 1, 2).total


def test_frames_that_differ_gain_by_the_dynamic_schedule() -> None:
    costs = np.where(np.arange(200) % 2 == 0, 1.0, 0.1)  # rank 0 gets all that are slow
    every = tuple(SampledFrame(place, float(costs[place])) for place in range(200))
    gain = estimate.gains(Measured(200, every, 3.0, 0.0, 0.5, (), "", "interleaved"), 2, {"dynamic": "dynamic"})
    assert 0.2 < gain["dynamic"] < 0.5


def test_estimate_then_render_renders_only_the_rest(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    pattern('{"frames": 60, "seconds": 0.05}')
    done = run("estimate", "test.pattern", *SMALL, "--price", 3.6, "--on-nodes", "1,4", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    output = tmp_path / "test_renders"
    assert done_frames(output) == found["sampled"] == [0, 20, 22, 39, 41, 59]
    assert not list(output.glob("*.mp4"))
    assert "6 of 60 done, 54 left" in run("status", output).stdout
    assert [row["prediction"]["ranks"] for row in found["rows"]] == [2, 8]
    assert found["rows"][0]["prediction"]["frames"] > 1.4, "60 frames of 0.05 s on 2 ranks"
    assert found["rows"][1]["dollars"] == pytest.approx(4 * 3.6 * found["rows"][1]["core_hours"] / 8, rel=0.01)
    again = run("render", "test.pattern", *SMALL)
    assert "54 rendered, 6 kept from before" in again.stdout
    whole = shutil.copytree(output / "80x50", tmp_path / "kept")
    shutil.rmtree(output)
    assert run("render", "test.pattern", *SMALL, "-q").returncode == 0
    for image in sorted(whole.iterdir()):
        assert image.read_bytes() == (output / "80x50" / image.name).read_bytes()


def test_a_node_with_little_memory_gets_fewer_ranks(run: Run, pattern: Pattern) -> None:
    little = {**os.environ, "SLURM_MEM_PER_NODE": "300"}
    words = (*SMALL, "--movie", "none", "--ranks-per-node", 64)
    done = run("estimate", pattern('{"frames": 12}'), *words, env=little)
    assert done.returncode == 0, done.stderr
    assert "note  64 ranks do not fit into the memory of a node like this one: give --ranks-per-node" in done.stdout


def test_estimate_prints_a_table(run: Run, pattern: Pattern) -> None:
    pattern('{"frames": 12}')
    done = run("estimate", "test.pattern", *SMALL, "--movie", "none", "--sample-frames", 4)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    assert "frames 0,4,7,11 are done; render keeps them" in printed
    assert "nodes  ranks  start-up" in printed
    assert "movie:" not in printed
    assert "of images" in printed


def test_other_options_are_measured_on_further_frames(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    pattern('{"frames": 60, "seconds": 0.1}')
    done = run("estimate", "test.pattern", *SMALL, "--movie", "none", "--alternatives", "--json")
    assert done.returncode == 0, done.stderr
    gains = {one["option"]: one["gain"] for one in json.loads(done.stdout)["advice"]}
    assert gains["--ranks 1"] < 0, "an image sleeps as long with two threads"
    assert done_frames(tmp_path / "test_renders") == [0, 1, 20, 21, 22, 39, 40, 41, 42, 59]


def test_mistakes_have_one_line_each(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("estimate", pattern(), "--on-nodes", "1,0", "--size", "nonsense")
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if "--on-nodes '1,0'" in line or "nonsense" in line] == (
        done.stderr.splitlines()
    )
    (tmp_path / "s.py").write_text("from paraview.simple import *\n")
    unknown = run("estimate", "s.py", "--pvbatch", "/bin/true", "--dry-run")
    assert unknown.returncode == 2
    assert len(unknown.stderr.splitlines()) == 1


def test_dry_run_renders_nothing(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    done = run("estimate", pattern(), *SMALL, "--dry-run")
    assert done.stdout == f"renders frames 0-5 at 80x50 into {tmp_path}/test_renders\n"
    assert not (tmp_path / "test_renders").exists()
