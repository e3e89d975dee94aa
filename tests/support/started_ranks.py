"""Simulated ranks with images in progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpirender.job.render_job import RenderJob
from mpirender.run_folder.events import Event
from mpirender.run_folder.run_state import RunState
from mpirender.supervisor.in_flight import RunningRanks
from sample_events import start, take


def state_of(*sequence: Event) -> RunState:
    state = RunState()
    for event in sequence:
        state.apply(event)
    return state


def ranks_at(*frames: int, then: Sequence[Event] = ()) -> RunningRanks:
    """Return ranks that have started these frames, followed by the events of ``then``."""
    begun = [event for rank, frame in enumerate(frames) for event in (start(rank, pid=100 + rank), take(rank, frame))]
    return RunningRanks(state_of(*begun, *then).launch(1))


def job(tmp_path: Path, **options: object) -> RenderJob:
    made = RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out", **options)
    made.folder.mkdir(parents=True, exist_ok=True)
    return made
