"""A run with a price counts the cost of all runs in its folder, and ends when that reaches the limit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from processes import Pattern, Run
from records import done_frames, records
from runs import SMALL, running

PRICE = ("--price", 3600)  # a dollar a second


def test_a_limit_needs_a_price() -> None:
    with pytest.raises(UsageError, match="price_limit needs the price of a node per hour"):
        RenderJob("a.pvsm", price_limit=5)
    assert RenderJob("a.pvsm", price=0.34, price_limit=5).arguments()[3:] == ["--price", "0.34", "--price-limit", "5"]


@pytest.mark.slow
def test_a_run_ends_at_its_price_limit_and_goes_on_with_a_higher_one(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    scene, output = pattern('{"frames": 24, "seconds": 0.4}'), tmp_path / "test_renders"
    first = run("render", scene, *SMALL, *PRICE, "--price-limit", 3)
    assert first.returncode == 7
    assert re.fullmatch(
        r"mpirender: error: --price-limit 3 is reached: \$\d\.\d\d for 0\.00\d+ node-hours; \d+ of 24 images are done; "
        r"run the same command again with a higher limit to continue\n",
        first.stderr,
    )
    assert re.search(r"\$\d\.\d\d for 0\.00\d+ node-hours", first.stdout)
    assert "stopping on the price limit: waiting for images in progress" in first.stdout
    done = done_frames(output)
    assert [record.image.frame for record in records(output, "fail")] == []
    assert sorted(record.image.frame for record in records(output, "take")) == done, "images in progress are finished"
    assert 2 <= len(done) < 24
    assert running(tmp_path) == ""

    launches = len(records(output, "launch"))
    again = run("render", scene, *SMALL, *PRICE, "--price-limit", 3)
    assert (again.returncode, len(records(output, "launch"))) == (7, launches), "no rank is started"
    assert re.search(r"\$\d\.\d\d of it in earlier runs", again.stderr)
    seen = json.loads(run("status", output, "--json").stdout)
    assert (seen["state"], seen["price_limit"]) == ("stopped", 3)
    assert 3 <= seen["cost"] == pytest.approx(3600 * seen["node_hours"])
    assert seen["cost_per_image"] == pytest.approx(seen["cost"] / len(done))

    last = run("render", scene, *SMALL, *PRICE, "--price-limit", 100)
    assert last.returncode == 0, last.stderr
    assert done_frames(output) == list(range(24))
    cost = re.search(r" cost  \$(\d+\.\d\d) for 0\.00\d+ node-hours, \$(\d\.\d+)/image\n", last.stdout)
    seconds = sum(record.seconds for record in records(output, "finish"))
    assert float(cost[1]) == pytest.approx(seconds, abs=0.2), "of both runs"
    assert float(cost[2]) == pytest.approx(float(cost[1]) / 24, abs=0.01)
