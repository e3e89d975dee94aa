"""Estimate the disk space of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpirender.supervisor.disk_estimate import amount, needed
from sample_events import done, plan, start
from started_ranks import job, state_of


@pytest.mark.parametrize(("movie", "share"), [("mp4", 0.1), ("mkv", 1.0), ("none", 0.0)])
def test_the_disk_space_is_estimated_from_the_first_images(tmp_path: Path, movie: str, share: float) -> None:
    state = state_of(start(0), plan(10), done(0, 0), done(0, 1))
    assert needed(job(tmp_path, movie=movie), state) == 0, "two images are too few for an estimate"
    state.apply(done(0, 2))
    assert needed(job(tmp_path, movie=movie), state) == 7 * 100 + int(share * 1000)


@pytest.mark.parametrize(("count", "text"), [(5, "5 bytes"), (1500, "1.5 kB"), (12_300_000_000, "12 GB")])
def test_amounts_are_written_with_a_readable_unit(count: float, text: str) -> None:
    assert amount(count) == text
