"""Check the simulation of schedules against mpirender itself: the same costs, real ranks, real messages.

The test pattern sleeps for as long as a frame is said to cost, which takes no CPU, so that two cores carry 64 ranks.
What the simulation cannot know is measured in each run and handed to it: when each rank was ready, and how much
longer than its cost a frame takes (painting, writing, the journal, handing out), as one median for all frames. A rank
counts as ready when it must have begun its first frame to end it when it did: at that one it still imports what it
paints with, for which 64 ranks on two cores take seconds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import simulate
from benchmarks.rows import call, plain_environment, render_command
from benchmarks.simulate import Ranks, Seconds
from mpirender.errors import LaunchFailed
from mpirender.job import options
from mpirender.job.render_job import FOLDER
from mpirender.run_folder import journal
from mpirender.run_folder.journal import Record

Taken = tuple[list[float], list[int]]  # times, seconds since the epoch, and frames, in order

RANKS = (2, 4, 8, 16, 32, 64)
KIND = "log-normal"
MEAN = 1.0  # seconds of a frame
FRAMES_PER_RANK = 8
SIZE = "64x36"


def schedules_here() -> list[str]:
    """Return the schedules that this mpirender has."""
    return [kind for kind in simulate.SCHEDULES if kind in options.SCHEDULES]


def checks(output: Path, counts: Sequence[int], mean: float, seed: int) -> Iterator[dict[str, Any]]:
    """Run mpirender with each number of ranks and each schedule; yield what was measured and simulated.

    Raises:
        LaunchFailed: it failed.
    """
    output.mkdir(parents=True, exist_ok=True)
    for ranks in counts:
        costs = mean * simulate.COSTS[KIND](ranks * FRAMES_PER_RANK, np.random.default_rng([seed, ranks]))
        scene = output / f"ranks-{ranks}.pattern"
        scene.write_text(json.dumps({"frames": len(costs), "seconds": costs.round(4).tolist()}))
        for kind in schedules_here():
            folder = output / f"ranks-{ranks}-{kind}"
            words = render_command(scene, folder, [SIZE], "--ranks", ranks, "--schedule", kind)
            call(words, plain_environment(), folder.with_name(f"{folder.name}.log"))
            yield {"ranks": ranks, "schedule": kind, **compared(costs, ranks, kind, journal.read(folder / FOLDER))}


def compared(costs: Seconds, ranks: int, kind: str, records: Sequence[Record]) -> dict[str, float]:
    """Return makespans of a run and of its simulation, from the first frame taken up to the last one done, in seconds.

    Raises:
        LaunchFailed: a rank has rendered nothing, since there was trouble.
    """
    takes = taken(records)
    if len(takes) < ranks:
        raise LaunchFailed(f"{ranks - len(takes)} of {ranks} ranks took up no frame")
    begin = min(times[0] for times, _ in takes.values())
    end = max(record["time"] for record in records if record["event"] == "done")
    longer = overhead(takes, costs)
    ready = np.array([readiness(*takes[rank], costs, longer) - begin for rank in range(ranks)])
    simulated = simulate.simulate(costs + longer, Ranks(ready, np.ones(ranks)), kind)
    return {"measured": end - begin, "simulated": simulated.makespan, "overhead": longer, "costs": float(costs.sum())}


def taken(records: Sequence[Record]) -> dict[int, Taken]:
    """Return for each rank when it took up which frames."""
    takes: dict[int, Taken] = defaultdict(lambda: ([], []))
    for record in records:
        if record["event"] == "take":
            takes[record["rank"]][0].append(record["time"])
            takes[record["rank"]][1].append(record["frame"])
    return takes


def overhead(takes: dict[int, Taken], costs: Seconds) -> float:
    """Return by how many seconds the time from one frame to the next exceeds its cost, the median of all ranks."""
    beside = [np.diff(times) - costs[frames[:-1]] for times, frames in takes.values()]
    every = np.concatenate(beside)
    return float(np.median(every)) if len(every) else 0.0


def readiness(times: Sequence[float], frames: Sequence[int], costs: Seconds, longer: float) -> float:
    """Return when a rank was ready: so long before its second frame as the first takes anywhere else."""
    return times[1] - costs[frames[0]] - longer if len(times) > 1 else times[0]
