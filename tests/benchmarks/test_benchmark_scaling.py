"""Check the evaluation of the scaling and memory benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from benchmark_runs import MACHINE, told
from benchmarks import command, memory, scaling


def pattern(folder: Path, frames: int, seconds: float) -> Path:
    path = folder / "test.pattern"
    path.write_text(json.dumps({"frames": frames, "seconds": seconds}))
    return path


def recorded() -> command.Raw:
    """Return raw results of two repeats on 1, 2 and 4 ranks with slightly imperfect scaling."""
    whole = {("strong", 1): 16.0, ("strong", 2): 10.0, ("strong", 4): 8.0, ("weak", 1): 4.0, ("weak", 2): 5.0}
    runs = [
        {"kind": kind, "ranks": ranks, "repeat": repeat, "frames": 16 if kind == "strong" else 4 * ranks,
         "whole": seconds + repeat - 1.5, "rendering": seconds - 2, "hosts": ["here"]}
        for (kind, ranks), seconds in whole.items() for repeat in (1, 2)
    ]  # fmt: skip
    told = {"state": "cone.pvsm", "size": "HD", "frames": 16, "frames_per_rank": 4, "ranks": [1, 2, 4]}
    return {"benchmark": "scaling", "arguments": told, "machine": MACHINE, "runs": runs}


def test_efficiency_is_the_share_of_perfect_scaling_from_the_fewest_ranks() -> None:
    lines = scaling.summary(recorded(), markdown=False).splitlines()
    assert "4          16      8.0       6.0      2.00       50.0%          58.3%" in lines
    assert "2           8      5.0       3.0      1.60       80.0%          66.7%" in lines


def test_scaling_is_drawn_from_its_raw_results_alone(tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(json.dumps(recorded()))
    words = ["--summarise", str(tmp_path / "raw.json"), "--plot", str(tmp_path / "plot.png")]
    assert scaling.main(words) == 0
    assert iio.imread(tmp_path / "plot.png").ndim == 3


def test_raw_results_of_another_benchmark_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raw.json").write_text(json.dumps(recorded()))
    assert memory.main(["--summarise", str(tmp_path / "raw.json")]) == 2
    assert "does not hold results of benchmarks.memory" in capsys.readouterr().err


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8, 16, 32, 64])])
def test_numbers_of_ranks_double_up_to_what_there_is_room_for(most: int, counts: list[int]) -> None:
    assert scaling.powers_to(most) == counts


def test_few_frames_come_from_all_over_the_animation() -> None:
    assert scaling.spread(4, 100) == [0, 25, 50, 75]
    assert scaling.spread(3, 3) == [0, 1, 2]


def test_a_scene_with_too_few_frames_for_all_ranks_is_reported_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--state", str(pattern(tmp_path, 10, 0)), "--ranks", "8", "--frames-per-rank", "2", "--frames", "2"]
    assert scaling.main([*words, "--output", str(tmp_path / "out")]) == 2
    assert "test.pattern has 10 frames, 16 are needed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_memory_is_read_from_the_journals_of_a_real_run(tmp_path: Path) -> None:
    words = ["--state", pattern(tmp_path, 24, 0), "--frames", 24, "--ranks", 2, "--size", "16x9"]
    done = told([*words, "--output", tmp_path / "out"], module="memory")
    assert done.returncode in (0, command.WRONG), done.stderr  # 24 small images may show growth
    ranks = json.loads((tmp_path / "out" / "raw.json").read_text())["ranks"]
    assert [(rank, len(needed)) for rank, needed in ranks.items()] == [("0", 12), ("1", 12)]
    assert all(needed == sorted(needed) and needed[0] > 10e6 for needed in ranks.values())


def test_memory_that_grows_is_reported_per_thousand_images_and_caches_that_fill_first_are_not() -> None:
    settling = [100_000_000 + 1_000_000 * min(place, 20) for place in range(200)]
    assert memory.growth(settling) == pytest.approx(0, abs=1e-6)
    leaking = list(np.array(settling) + 7000 * np.arange(200))
    assert memory.growth(leaking) == pytest.approx(7)
    raw = {"ranks": {"0": settling, "1": leaking}}
    assert memory.grown(raw) == ["rank 1 grows by 7.0 MB per 1000 images; less than 5 is flat"]


def test_the_memory_of_a_folder_that_is_no_run_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert memory.main(["--journals", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (f"memory: error: --journals {tmp_path}: is not the output folder of a run\n")
