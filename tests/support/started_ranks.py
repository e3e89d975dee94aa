"""Records of ranks that take images and finish them."""

from __future__ import annotations

from pathlib import Path

from mpirender.job.render_job import RenderJob
from mpirender.supervisor.in_flight import Flight


def take(rank: int, frame: int) -> dict:
    return {"event": "take", "rank": rank, "frame": frame, "output": "HD", "host": "n1", "time": 0}


def done(rank: int, frame: int, **more: object) -> dict:
    return {**take(rank, frame), "event": "done", "seconds": 2.0, "bytes": 100, **more}


def start(rank: int, pid: int = 1) -> dict:
    return {"event": "start", "rank": rank, "pid": pid, "ranks": 2, "host": "n1", "time": 0}


def flight_of(*frames: int) -> Flight:
    flight = Flight()
    flight.add([record for rank, frame in enumerate(frames) for record in (start(rank, 100 + rank), take(rank, frame))])
    return flight


def job(tmp_path: Path, **options: object) -> RenderJob:
    made = RenderJob(scene=tmp_path / "x.pattern", output=tmp_path / "out", **options)
    made.folder.mkdir(parents=True, exist_ok=True)
    return made
