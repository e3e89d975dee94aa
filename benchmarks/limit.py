"""Measure the limit: a lower bound of the time in which ParaView can render the frames.

Processes that make only the indispensable calls (set the time, capture the image, encode it; see ``in_paraview.py``)
report the CPU seconds of each image and their start-up time. On a given number of cores, no program that runs one
ParaView per rank finishes earlier than

    (CPU of the captures + CPU of the encoding) ÷ cores + start-up

where the start-up is the wall-clock time from the start of the process to its first frame: interpreter, ParaView's
modules, loading the state, one render. Any other work of a program (checks, MPI, X server, journals, verification)
shows up as the difference from this limit.
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

# How many processes measure the limit: one alone on the machine, or one per rank at the same time. The latter includes
# the slowdown by shared memory bandwidth and lower clock rates.
WAYS = ("alone", "together")


Cost = tuple[int, str, float, float]


class Facts(TypedDict):
    """Report of one measuring process."""

    startup: float
    rendering: float
    costs: list[Cost]


@dataclass(frozen=True)
class Limit:
    """Limit of a row in one repeat, and the costs it is computed from.

    :param row: name of the row.
    :param way: one of :data:`WAYS`.
    :param startup: seconds of wall-clock time until the first frame, median of the processes.
    :param bare: CPU seconds to capture all images.
    :param encoding: CPU seconds to encode and write them.
    :param cores: number of cores that the ranks of the row use together.
    :param seconds: the limit itself.
    :param costs: for each image: frame, size, CPU seconds of the capture, CPU seconds of the encoding.
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

    :raises LaunchFailed: ParaView failed.
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
    """Run one measuring process and return its report."""
    report = folder / f"{frames[0]}.json"
    orders = {"frames": frames, "report": str(report), "started": time.time(), "one_pass": row.one_pass}
    command = case.inside("bare", case.job.scene, folder, json.dumps(orders), *case.sizes)
    call(command, limited(case, environment), log_of(folder))
    facts: Facts = json.loads(report.read_text())
    return facts


def limit_of(row: str, way: str, repeat: int, cores: int, facts: list[Facts]) -> Limit:
    """Compute the limit from the reports of the processes."""
    costs = sorted(cost for one in facts for cost in one["costs"])
    startup = statistics.median(one["startup"] for one in facts)
    captures, encoding = sum(cost[2] for cost in costs), sum(cost[3] for cost in costs)
    seconds = (captures + encoding) / cores + startup
    return Limit(row, way, repeat, startup, captures, encoding, cores, seconds, costs)
