"""Write the journals of a run that never took place."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path

from mpirender.job.render_job import RenderJob
from mpirender.monitor.status import follow
from mpirender.monitor.status.follow import Follower
from mpirender.monitor.status.view import Status
from mpirender.run_folder import lock
from mpirender.run_folder.journal import Journal, Record
from mpirender.run_folder.lock import Owner

RENDERER = "ParaView 5.11.0, llvmpipe"
MARK = "f" * 32


class Scribe:
    """Writes the journals of a run as supervisor and ranks do, at times that the test names."""

    def __init__(self, output: Path, run: str = "r1", start: float | None = None) -> None:
        self.output = output
        self.run = run
        self.life = 1
        self.start = time.time() - 100 if start is None else start
        self.folder = output / ".mpirender"
        self.folder.mkdir(parents=True, exist_ok=True)
        job = RenderJob(scene=Path("/somewhere/orbit.pvsm"), output=output)
        (self.folder / "job.json").write_text(job.to_json())

    def write(self, rank: int | None, event: str, at: float = 0.0, **fields: object) -> Record:
        """Write a record ``at`` seconds after the start."""
        host = "login1" if rank is None else f"n{rank // 16}.cluster.example.org"
        with Journal(self.folder, rank, host) as log:
            return log.write(event, time=self.start + at, **fields)

    def launch(self, ranks: int = 2, at: float = 0.0, life: int = 1, set_aside: object = ()) -> None:
        self.life = life
        self.write(None, "launch", at, run=self.run, life=life, ranks=ranks, pid=1, set_aside=set_aside, suspects=[])

    def up(self, ranks: int = 2, at: float = 1.0) -> None:
        """Start the ranks and let them open the scene."""
        for rank in range(ranks):
            self.write(rank, "start", at, ranks=ranks, pid=rank + 10, run=self.run, life=self.life)
            self.write(rank, "phase", at, phase="load")
            self.write(rank, "phase", at, phase="opened", description=RENDERER)

    def plan(self, total: int = 10, left: int | None = None, at: float = 2.0, fingerprint: str = MARK) -> None:
        self.write(
            0, "plan", at, frames=f"0-{total - 1}", sizes=["HD"], total=total, left=total if left is None else left,
            left_of={"HD": total}, fingerprint=fingerprint, parts={}, warnings=[],
        )  # fmt: skip

    def phase(self, name: str, ranks: int = 2, at: float = 3.0) -> None:
        for rank in range(ranks):
            self.write(rank, "phase", at, phase=name)

    def rendering(self, ranks: int = 2, total: int = 10, **plan: object) -> None:
        """Bring a run so far that its ranks render."""
        self.launch(ranks)
        self.up(ranks)
        self.plan(total, **plan)
        self.phase("render", ranks)

    def take(self, rank: int, frame: int, at: float, size: str = "HD") -> None:
        self.write(rank, "take", at, frame=frame, output=size)

    def done(self, rank: int, frame: int, at: float, **fields: object) -> None:
        usual = {
            "frame": frame, "output": "HD", "pixels": [1920, 1080], "bytes": 9, "digest": "d", "seconds": 2.0,
            "memory": 410_000_000, "renderer": RENDERER, "fingerprint": MARK, "attempt": 1, "complaints": [],
        }  # fmt: skip
        self.write(rank, "done", at, **{**usual, **fields})

    def fail(self, rank: int, frame: int, at: float, reason: str = "no data", **fields: object) -> None:
        usual = {"frame": frame, "output": "HD", "fingerprint": MARK, "attempt": 1}
        self.write(rank, "fail", at, **{**usual, **fields}, reason=reason)

    def finish(self, code: int = 0, message: str = "", at: float = 60.0) -> None:
        self.write(None, "finish", at, code=code, message=message, seconds=at)

    def lock_of_another_host(self, silent: float = 0.0) -> None:
        """Leave the lock as a host does whose processes are not seen from here."""
        owner = Owner("n1", "another kernel", 4711, 5, self.run, self.start)
        path = self.folder / lock.LOCK
        path.write_text(json.dumps(dataclasses.asdict(owner)))
        os.utime(path, (time.time() - silent, time.time() - silent))

    def look(self) -> Status:
        return Follower(self.output).look()

    def text(self) -> str:
        return follow.as_text(self.look())
