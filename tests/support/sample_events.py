"""Sample events of runs, with default values for the fields that a test does not set."""

from __future__ import annotations

from typing import Any, TypeVar

from mpirender.job.outputs import Image
from mpirender.run_folder import events
from mpirender.run_folder.events import Event

Kind = TypeVar("Kind", bound=Event)
FINGERPRINT = "f" * 32
RENDERER = "ParaView 5.11.0, llvmpipe"


def at(event: Kind, rank: int = 0, time: float = 0.0, host: str = "n1") -> Kind:
    return events.stamped(event, time=time, host=host, rank=rank)


def start(rank: int = 0, time: float = 0.0, host: str = "n1", **fields: Any) -> events.Start:
    usual = {"run": "r1", "launch": 1, "ranks": 2, "pid": rank + 10, "world_rank": rank}
    return at(events.Start(**{**usual, **fields}), rank, time, host)


def opened(rank: int = 0, time: float = 0.0, host: str = "n1", **fields: Any) -> events.Opened:
    return at(events.Opened(**{"description": RENDERER, "cores": "0", **fields}), rank, time, host)


def plan(total: int = 10, left: int | None = None, time: float = 0.0, **fields: Any) -> events.Plan:
    left = total if left is None else left
    usual = {"frames": f"0-{total - 1}", "outputs": ("HD",), "total": total, "left": left, "left_of": {"HD": left}}
    return at(events.Plan(**{**usual, "fingerprint": FINGERPRINT, **fields}), 0, time)


def take(rank: int, frame: int, time: float = 0.0, output: str = "HD") -> events.Take:
    return at(events.Take(Image(frame, output)), rank, time)


def done(rank: int, frame: int, time: float = 0.0, output: str = "HD", **fields: Any) -> events.Done:
    usual = {
        "fingerprint": FINGERPRINT, "bytes": 100, "digest": "d", "pixels": (1920, 1080), "seconds": 2.0,
        "rendering": 1.0, "memory": 410_000_000, "renderer": RENDERER,
    }  # fmt: skip
    return at(events.Done(Image(frame, output), **{**usual, **fields}), rank, time)


def fail(rank: int, frame: int, time: float = 0.0, output: str = "HD", **fields: Any) -> events.Fail:
    usual = {"fingerprint": FINGERPRINT, "reason": "no data"}
    return at(events.Fail(Image(frame, output), **{**usual, **fields}), rank, time)
