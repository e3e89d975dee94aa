"""Check the evaluation of the benchmark of estimates, and run it with the test pattern."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark_runs import MACHINE, told
from benchmarks import command, estimates


def recorded(**changes: object) -> command.Raw:
    """Return raw results of two runs."""
    run = {"case": "even", "repeat": 1, "frames": 200, "sampled": 10, "real": 100.0, "error": 12.0, "predicted": 110.0}
    runs = [run, {**run, "case": "growing", "real": 90.0, **changes}]
    arguments = {"cases": ["even", "growing"], "ranks": 2, "repeats": 1}
    return {"benchmark": "estimates", "arguments": arguments, "machine": MACHINE, "runs": runs}


def test_the_table_compares_prediction_and_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raw.json").write_text(json.dumps(recorded()))
    words = ["--summarise", str(tmp_path / "raw.json"), "--plot", str(tmp_path / "plot.png")]
    assert estimates.main(words) == 1
    printed = capsys.readouterr()
    lines = [" ".join(line.split()) for line in printed.out.splitlines()]
    assert "even 200 10 110.0 ± 12.0 100.0 1.10 yes" in lines
    assert "growing 200 10 110.0 ± 12.0 90.0 1.22 no" in lines
    assert printed.err == (
        "estimates: error: growing: the prediction is 1.22 times the real time; it should be within 15%\n"
    )
    assert (tmp_path / "plot.png").is_file()


def test_an_estimate_may_take_one_frame_in_twenty() -> None:
    assert estimates.wrong(recorded(real=110.0)) == []
    assert estimates.wrong(recorded(real=110.0, sampled=11)) == [
        "growing: 11 of 200 frames were rendered for the estimate"
    ]


def test_the_benchmark_predicts_a_run_and_renders_it(tmp_path: Path) -> None:
    scene = tmp_path / "test.pattern"
    scene.write_text(json.dumps({"frames": 40, "seconds": 0.2}))
    done = told(["--state", scene, "--size", "80x50", "--output", tmp_path / "out"], "estimates")
    assert done.returncode in (0, 1), done.stderr  # on a busy machine the prediction may be wrong
    (run,) = json.loads((tmp_path / "out" / "raw.json").read_text())["runs"]
    assert (run["frames"], run["sampled"]) == (40, 6)
    assert run["real"] > 34 * 0.2 / 2, "what the estimate has not rendered takes that long on 2 ranks"
    assert run["predicted"] > 34 * 0.2 / 2
    assert run["real_parts"]["frames"] > 34 * 0.2 / 2
    assert sum(run["real_parts"].values()) == pytest.approx(run["real"])
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == []
