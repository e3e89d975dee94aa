"""Write the journals of a simulated run."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path

import sample_events
from mpirender.job.render_job import RenderJob
from mpirender.monitor.status import follow
from mpirender.monitor.status.follow import Follower
from mpirender.monitor.status.view import Status
from mpirender.run_folder import events, journal, lock
from mpirender.run_folder.events import SUPERVISOR, Event
from mpirender.run_folder.lock import Owner


class Scribe:
    """Writes journals as supervisor and ranks do, at times that the test chooses."""

    def __init__(self, output: Path, run: str = "r1", start: float | None = None) -> None:
        self.output = output
        self.run = run
        self.number = 1
        self.start = time.time() - 100 if start is None else start
        self.folder = output / ".mpirender"
        self.folder.mkdir(parents=True, exist_ok=True)
        job = RenderJob(scene=Path("/somewhere/orbit.pvsm"), output=output)
        (self.folder / "job.json").write_text(job.to_json())

    def write(self, rank: int, event: Event, at: float = 0.0) -> None:
        """Record an event ``at`` seconds after the start."""
        host = "login1" if rank == SUPERVISOR else f"n{rank // 16}.cluster.example.org"
        name = journal.OF_SUPERVISOR if rank == SUPERVISOR else f"rank-{rank:04d}.jsonl"
        with (self.folder / name).open("ab") as file:
            file.write(journal.line(events.stamped(event, time=self.start + at, host=host, rank=rank)))

    def launch(self, ranks: int = 2, at: float = 0.0, number: int = 1, **fields: object) -> None:
        self.number = number
        self.write(SUPERVISOR, events.Launch(self.run, number, ranks, pid=1, **fields), at)

    def up(self, ranks: int = 2, at: float = 1.0) -> None:
        """Record that the ranks start and open the scene."""
        for rank in range(ranks):
            self.begin(rank, ranks, at)
            self.write(rank, events.Phase("load"), at)
            self.write(rank, sample_events.opened(), at)

    def begin(self, rank: int, ranks: int = 2, at: float = 1.0) -> None:
        self.write(rank, sample_events.start(rank, ranks=ranks, run=self.run, launch=self.number), at)

    def plan(self, total: int = 10, left: int | None = None, at: float = 2.0, **fields: object) -> None:
        self.write(0, sample_events.plan(total, left, **fields), at)

    def phase(self, name: str, ranks: int = 2, at: float = 3.0) -> None:
        for rank in range(ranks):
            self.write(rank, events.Phase(name), at)

    def rendering(self, ranks: int = 2, total: int = 10, **plan: object) -> None:
        """Record everything up to the start of rendering."""
        self.launch(ranks)
        self.up(ranks)
        self.plan(total, **plan)
        self.phase("render", ranks)

    def take(self, rank: int, frame: int, at: float) -> None:
        self.write(rank, sample_events.take(rank, frame), at)

    def done(self, rank: int, frame: int, at: float, **fields: object) -> None:
        self.write(rank, sample_events.done(rank, frame, **fields), at)

    def fail(self, rank: int, frame: int, at: float, reason: str = "no data") -> None:
        self.write(rank, sample_events.fail(rank, frame, reason=reason), at)

    def die(self, reason: str, at: float) -> None:
        self.write(SUPERVISOR, events.Death(self.number, reason), at)

    def finish(self, code: int = 0, message: str = "", at: float = 60.0) -> None:
        self.write(SUPERVISOR, events.Finish(code, message, at), at)

    def lock_of_another_host(self, silent: float = 0.0) -> None:
        """Write a lock as held by another host, whose processes cannot be seen from here."""
        owner = Owner("n1", "another kernel", 4711, 5, self.run, self.start)
        path = self.folder / lock.LOCK
        path.write_text(json.dumps(dataclasses.asdict(owner)))
        os.utime(path, (time.time() - silent, time.time() - silent))

    def look(self) -> Status:
        return Follower(self.output).look()

    def text(self) -> str:
        return follow.as_text(self.look())
