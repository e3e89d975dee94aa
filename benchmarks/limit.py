"""The limit: how fast the frames can be rendered at best, measured by doing nothing but what none can do without.

Processes of the bare calls (set the time, capture the picture, encode it, in ``in_paraview.py``) tell the CPU seconds
of each image and how long they took to start. On so many cores no program of a ParaView for each rank ends earlier than

    (CPU of the captures + CPU of the encoding) ÷ cores + start-up

where the start-up is the wall clock from the start of the process to its first frame: interpreter, ParaView's modules,
the state, one render. What a program does beyond that (checks, MPI, X server, journals, verification) shows as the
distance from it.
"""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from benchmarks.measure import make_folders, shared_display
from benchmarks.rows import Case, Environment, Row, call, limited, log_of
from mpirender.launcher.placement import RankRequest, cores, on_this_host
from mpirender.ranks import schedule

# How the processes of the bare calls run: one that has the machine for itself, or as many at a time as there are ranks,
# which also shows what cores cost each other in memory and clock rate.
WAYS = ("alone", "together")


Cost = tuple[int, str, float, float]


class Facts(TypedDict):
    """What a process of the bare calls writes down."""

    startup: float
    rendering: float
    costs: list[Cost]


@dataclass(frozen=True)
class Limit:
    """What the bare calls of a row cost in one repeat.

    Args:
        row: the row whose limit it is.
        way: one of :data:`WAYS`.
        startup: seconds of wall clock until the first frame, the median of the processes.
        bare: CPU seconds of the captures, of all images.
        encoding: CPU seconds of writing them.
        cores: that the ranks of the row have together.
        seconds: the limit itself.
        costs: frame, size, CPU seconds of the capture and of the encoding of each image.
    """

    row: str
    way: str
    repeat: int
    startup: float
    bare: float
    encoding: float
    cores: int
    seconds: float
    costs: list[Cost]


def measure_limit(row: Row, case: Case, way: str, repeat: int) -> Limit:
    """Measure the limit of a row.

    Raises:
        LaunchFailed: ParaView failed.
    """
    folder = case.job.output / f"repeat-{repeat}" / f"limit-{way}-{row.name}"
    make_folders(case, folder)
    place = on_this_host(RankRequest.of(case.job))
    shares = schedule.deal(case.frames, place.ranks if way == "together" else 1, "interleaved")
    with shared_display(case.needs_display) as environment, ThreadPoolExecutor(len(shares)) as pool:

        def one(share: list[int]) -> Facts:
            return bare(row, case, share, folder, environment)

        facts = list(pool.map(one, filter(None, shares)))
    return limit_of(row.name, way, repeat, min(place.ranks * place.threads, cores()), facts)


def bare(row: Row, case: Case, frames: list[int], folder: Path, environment: Environment) -> Facts:
    """Run one process of the bare calls; return what it has written down."""
    report = folder / f"{frames[0]}.json"
    orders = {"frames": frames, "report": str(report), "started": time.time(), "one_pass": row.one_pass}
    command = case.inside("bare", case.job.scene, folder, json.dumps(orders), *case.sizes)
    call(command, limited(case, environment), log_of(folder))
    facts: Facts = json.loads(report.read_text())
    return facts


def limit_of(row: str, way: str, repeat: int, cores: int, facts: list[Facts]) -> Limit:
    """Return the limit from what the processes have written down."""
    costs = sorted(cost for one in facts for cost in one["costs"])
    startup = statistics.median(one["startup"] for one in facts)
    captures, encoding = sum(cost[2] for cost in costs), sum(cost[3] for cost in costs)
    seconds = (captures + encoding) / cores + startup
    return Limit(row, way, repeat, startup, captures, encoding, cores, seconds, costs)
