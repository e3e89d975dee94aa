"""Measure the cost of a renderer's death, with the pattern engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import reloads
from mpirender.run_folder import events
from processes import Pattern
from records import records


def test_a_renderer_is_killed_and_its_rank_renders_again(
    pattern: Pattern, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    words = ["--state", pattern('{"frames": 20, "seconds": 0.1}'), "--frames", 20, "--size", "80x50", "--repeats", 1]
    assert reloads.main([*map(str, words), "--output", str(output)]) == 0
    assert "times the first load" in capsys.readouterr().out
    (loss,) = (one for one in records(output / "renders-1") if isinstance(one, events.Reload))
    assert (loss.rank, loss.reason) == (1, "died (signal SIGKILL)")
    (measured,) = json.loads((output / "raw.json").read_text())["repeats"]
    assert 0 < measured["again"] < measured["first"] + reloads.SLACK
