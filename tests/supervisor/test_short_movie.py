"""Say before rendering that a movie will be short."""

from __future__ import annotations

import json

import pytest

from mpirender.engines.base import Inspection
from mpirender.job.render_job import RenderJob
from mpirender.supervisor import preflight
from processes import Run


@pytest.mark.parametrize(
    ("frames", "options", "advice"),
    [
        (49, {}, "the movie lasts 1.96 s (49 frames at 25 per second); --frame-rate 24 makes it 2.04 s long"),
        (100, {"frame_rate": "60"}, "the movie lasts 1.67 s (100 frames at 60 per second); --frame-rate 50 makes it"),
        (100, {"frames": "0-99x10"}, "the movie lasts 0.4 s (10 frames at 25 per second); --frame-rate 5 makes it 2 s"),
        (50, {}, ""),
        (49, {"movie": "none"}, ""),
        (1, {}, ""),
    ],
)
def test_a_movie_shorter_than_two_seconds_is_named_with_a_longer_rate(tmp_path, frames, options, advice) -> None:
    inspection = Inspection("pattern", times=tuple(map(float, range(frames))))
    found = preflight.short_movie(RenderJob(tmp_path / "a.pattern", **options), inspection)
    assert len(found) == bool(advice)
    assert not advice or found[0].startswith(advice)


def test_the_frame_rate_of_the_scene_counts(tmp_path) -> None:
    inspection = Inspection("blender", times=tuple(map(float, range(40))), frame_rate="10")
    assert not preflight.short_movie(RenderJob(tmp_path / "a.blend"), inspection)


def test_inspect_and_dry_run_say_so(run: Run, pattern) -> None:
    scene = pattern('{"frames": 12}')
    short = "the movie lasts 0.48 s (12 frames at 25 per second); --frame-rate 6 makes it 2 s long"
    assert f"advice  {short}" in run("inspect", scene).stdout
    assert json.loads(run("inspect", scene, "--json").stdout)["advice"] == [short]
    assert f"advice: {short}\n" in run("render", scene, "--dry-run").stdout
