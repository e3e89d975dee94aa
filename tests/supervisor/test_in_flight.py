"""Track the image in progress on each rank, and find images that take too long and ranks that record nothing."""

from __future__ import annotations

import time

import pytest

from mpirender.job.outputs import Image
from mpirender.run_folder import events
from mpirender.supervisor import in_flight
from mpirender.supervisor.in_flight import RunningRanks
from sample_events import at, done, start
from started_ranks import ranks_at, state_of


def test_an_image_is_in_progress_from_its_take_to_its_end() -> None:
    assert ranks_at(4, 5).rendering == {0: Image(4, "HD"), 1: Image(5, "HD")}
    ranks = ranks_at(4, 5, then=[done(1, 5)])
    assert (ranks.rendering, ranks.done, ranks.slowest) == ({0: Image(4, "HD")}, 1, 2.0)
    assert ranks.hanging(10) == {}
    time.sleep(0.02)
    assert ranks.hanging(0.01) == {0: Image(4, "HD")}


def test_ranks_that_record_nothing_for_too_long_are_silent_unless_they_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_flight, "SILENT_SECONDS", 0.2)
    state = state_of(start(0), start(1), start(2), at(events.Phase("end"), 2))
    ranks = RunningRanks(state.launch(1))
    assert ranks.silent() == {}
    time.sleep(0.25)
    state.apply(at(events.Beat(), 1))
    assert ranks.silent() == {0: None}, "the beat of rank 1 shows that it is alive, and rank 2 has ended"
