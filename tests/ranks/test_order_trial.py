"""The order trial: find out whether frames depend on earlier frames, and compute these first if they do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from images import pixels
from mpirender.engines.pattern import draw
from mpirender.job.outputs import Output
from mpirender.ranks.order_trial import tried
from processes import Run
from records import records

WORDS = ("--size", "80x50", "--movie", "none")


def numbers_in_order(folder: Path) -> bool:
    """Return whether the 12 images show the numbers of their frames."""
    images, output = sorted(folder.glob("*.png")), Output("80x50", 80, 50)
    return len(images) == 12 and all(
        np.array_equal(pixels(image), draw(number, 12, output)) for number, image in enumerate(images)
    )


def seen(count: int, ranks: int, changing: range) -> list[tuple[int, int]]:
    """Return each frame tried, and how often its data were computed until then, if only some frames change them.

    All ranks have loaded frame 0. A frame whose data are those of the one before is not computed.
    """
    found = []
    for rank in range(ranks):
        data, computed = sum(one <= 0 for one in changing), 1
        for frame in tried(count, rank, ranks):
            now = sum(frame >= one for one in changing)
            computed += now != data
            data = now
            found.append((frame, computed))
    return found


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("changing", [range(1, 20), range(1, 8), range(11, 20), range(12, 13), range(3, 4)])
def test_a_frame_is_tried_after_different_numbers_of_computations_wherever_data_change(
    ranks: int, changing: range
) -> None:
    found = seen(20, ranks, changing)
    assert any(a[0] == b[0] and a[1] != b[1] for a, b in itertools.combinations(found, 2))


def test_a_trial_renders_at_most_six_frames_on_a_rank_and_none_on_most() -> None:
    assert max(len(tried(1000, rank, ranks)) for ranks in range(1, 9) for rank in range(ranks)) == 6
    assert all(len(tried(1000, rank, 4096)) <= 3 for rank in range(4096))
    assert not tried(1000, 5, 4096)
    assert all(0 <= frame < count for count in (2, 3) for rank in range(5) for frame in tried(count, rank, 5))


@pytest.fixture
def remembering(pattern: Callable[[str], Path]) -> Path:
    """Return a scene whose images show how many were drawn before."""
    return pattern(json.dumps({"frames": 12, "remembers": "order"}))


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_first_frame_that_only_a_scene_just_opened_shows_is_that_of_one_process(
    run: Run, pattern: Callable[[str], Path], tmp_path: Path, ranks: int
) -> None:
    """To render the frame before does not help, although all pictures after that are equal."""
    scene = pattern(json.dumps({"frames": 12, "remembers": "first"}))
    done = run("render", scene, *WORDS, "--ranks", ranks, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert numbers_in_order(tmp_path / "out" / "80x50")


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_frames_that_depend_on_earlier_frames_are_those_of_one_process(
    run: Run, remembering: Path, tmp_path: Path, ranks: int
) -> None:
    done = run("render", remembering, *WORDS, "--ranks", ranks, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "frames depend on earlier frames (found by a test), it seems because of the pattern" in done.stdout
    assert numbers_in_order(tmp_path / "out" / "80x50")


def test_the_result_of_a_trial_is_remembered_and_missing_frames_are_rendered_in_order(
    run: Run, remembering: Path, tmp_path: Path
) -> None:
    words = (*WORDS, "--ranks", 2, "--output", tmp_path / "out")
    assert run("render", remembering, *words).returncode == 0
    for frame in (2, 7):
        (tmp_path / "out" / "80x50" / f"frame_{frame:06d}.png").unlink()
    again = run("render", remembering, *words)
    assert again.returncode == 0, again.stderr
    assert "2 rendered, 10 kept" in again.stdout
    assert numbers_in_order(tmp_path / "out" / "80x50")
    assert [trial.needs for trial in records(tmp_path / "out", "ordertrial")] == ["all"]


def test_a_scene_that_no_order_reproduces_is_refused_unless_allowed(
    run: Run, pattern: Callable[[str], Path], tmp_path: Path
) -> None:
    scene = pattern('{"frames": 6, "remembers": "chance"}')
    for ranks in (1, 2):
        done = run("render", scene, *WORDS, "--ranks", ranks, "--output", tmp_path / f"out{ranks}")
        assert done.returncode == 2
        assert "its frames are not reproducible, it seems because of the pattern" in done.stderr
        assert not list((tmp_path / f"out{ranks}").rglob("*.png"))


def test_ranks_that_share_frames_refuse_them(run: Run, remembering: Path, tmp_path: Path) -> None:
    done = run("render", remembering, *WORDS, "--ranks", 4, "--ranks-per-frame", 2, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert "render it with --ranks-per-frame 1" in done.stderr
