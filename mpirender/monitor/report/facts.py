"""What the page says in words and numbers: the head, time, memory, and where the run comes from."""

from __future__ import annotations

import shlex
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple
from typing import NamedTuple

from mpirender.monitor import cost, rank_table
from mpirender.monitor.report.reading import Reading
from mpirender.run_folder.cost import total_cost
from mpirender.run_folder.events import Reload
from mpirender.supervisor import timings
from mpirender.supervisor.disk_estimate import amount
from mpirender.system.text import damaged_lines, duration, plural, ranks_or_groups, rounded
from mpirender.version import __version__

MOST_NODES = 24
MOST_LINES = 30  # of warnings and the like
MEANING = {
    "start": "starting the processes, and connecting them by MPI", "load": "choosing a backend, loading the scene",
    "render": "in the engine, for images", "write": "handing images over to be written",
    "wait": "for other ranks, or for the last images to be written", "movie": "encoding and checking the movies",
}  # fmt: skip
CITATIONS = {
    "paraview": "J. Ahrens, B. Geveci, C. Law: ParaView: An End-User Tool for Large Data Visualization. In: "
    "Visualization Handbook, Elsevier, 2005.",
    "blender": "Blender Online Community: Blender, a 3D modelling and rendering package. Amsterdam.",
}


class Tile(NamedTuple):
    """A number that matters most, with what it is and a remark."""

    value: str
    what: str
    remark: str = ""


class Node(NamedTuple):
    """The memory of a machine: the sum of the peaks of its ranks. Shares are of the longest bar, in percent."""

    name: str
    text: str
    share: float
    full: bool  # whether the ranks take most of it


class Part(NamedTuple):
    """What a part of the time was spent on, over all ranks."""

    name: str
    meaning: str
    share: float  # in percent
    mean: str  # of a rank, and the least and the most of a rank
    least: str
    most: str


def tiles(reading: Reading) -> list[Tile]:
    """Return the numbers at the head of the page."""
    status, found = reading.status, []
    if status.total is not None and status.done is not None:
        failed = f"{status.failed} failed" if status.failed else ""
        left = f"{status.left} left" if status.left else ""
        remark = ", ".join(filter(None, [failed, left])) or "all complete"
        found.append(Tile(f"{status.done:,} of {status.total:,}".replace(",", "\u202f"), "images", remark))
    if reading.runs:
        runs = len(reading.runs)
        found.append(Tile(duration(reading.seconds), "wall time", f"in {plural(runs, 'run')}" if runs > 1 else ""))
    seconds = [one.seconds for one in reading.done.values()]
    if seconds:
        median = f"median of {plural(len(seconds), 'image')}"
        found.append(Tile(f"{rounded(statistics.median(seconds))} s", "per image", median))
    if reading.sessions:
        hosts = {member.host for one in reading.run.now.sessions.values() for member in one.start.members}
        ranks = ranks_or_groups(reading.run.now.ranks, reading.status.ranks_per_frame)
        number, _, unit = ranks.partition(" ")
        found.append(Tile(number, unit, f"on {plural(len(hosts), 'node')}"))
    if status.state == "running" and status.seconds_left is not None:
        found.append(Tile(duration(status.seconds_left), "left", "estimated"))
    if (spent := total_cost(reading.run, status.time if status.state == "running" else None)) is not None:
        text, *each = cost.parts(spent.hours, spent.dollars, spent.per_image)
        found.append(Tile(text.partition(" ")[0], "cost", "; ".join([text.partition(" for ")[2], *each])))
    return found


def headline(reading: Reading) -> str:
    """Return a line below the title: when the run began and ended."""
    status = reading.status
    if status.since is None:
        return "Nothing is rendered yet."
    began = clock(status.since)
    if status.state == "running":
        return f"Since {began}: {status.phase}. Seen at {clock(status.time)}."
    took = duration((status.ended or status.time) - status.since)
    if status.state == "died":
        last = clock(status.ended or status.since)
        return f"{began}, last heard of at {last}: it was killed, or its machine went away."
    return f"{began}, took {took}."


def clock(moment: float) -> str:
    """Write a moment."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def events(reading: Reading) -> list[tuple[str, Sequence[str]]]:
    """Return what happened besides rendering: deaths, losses, warnings; of very many the newest."""
    status = reading.status
    damaged = [damaged_lines(status.skipped_lines)] if status.skipped_lines else []
    kinds = [
        ("Restarts of the ranks", [f"{clock(one.time)}: {one.reason}" for run in reading.runs for one in run.deaths]),
        ("Lost renderers", list(map(_loss, _losses(reading)))),
        ("Set aside", [f"{text}: not tried any more, since it killed its rank" for text in status.set_aside]),
        ("Cloud", list(status.spot)),
        ("Warnings", [*damaged, *status.warnings, *_kept_errors(reading)]),
    ]
    return [(name, _newest(lines)) for name, lines in kinds if lines]


def _kept_errors(reading: Reading) -> list[str]:
    found = dict.fromkeys(f"{one.image}: {text}" for one in reading.done.values() for text in one.complaints)
    return list(found)


def _losses(reading: Reading) -> list[Reload]:
    return sorted((loss for run in reading.runs for loss in run.losses), key=lambda loss: loss.time)


def _loss(loss: Reload) -> str:
    image = f" at {loss.image}" if loss.image is not None else ""
    return f"{clock(loss.time)}: the renderer of rank {loss.rank} on {loss.host} {loss.reason}{image}"


def _newest(lines: Sequence[str]) -> Sequence[str]:
    more = len(lines) - MOST_LINES
    return [f"{more} earlier ones are left out", *lines[-MOST_LINES:]] if more > 0 else lines


def where_time_went(reading: Reading) -> tuple[list[Part], float]:
    """Return what the ranks spent their time on, over all runs of the movie, and the share of rendering in percent."""
    spent = timings.by_rank(reading.sessions)
    columns = [[max(seconds, 0.0) for seconds in column] for column in zip(*map(astuple, spent.values()))]
    whole = sum(map(sum, columns))
    if not whole:
        return [], 0.0
    parts = [
        Part(
            name, MEANING[name], sum(column) / whole * 100, *(_seconds(f(column)) for f in (statistics.fmean, min, max))
        )
        for name, column in zip(timings.NAMES, columns)
    ]
    return parts, sum(columns[timings.NAMES.index("render")]) / whole * 100


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else duration(seconds)


def memory(reading: Reading) -> tuple[list[Node], int]:
    """Return the memory that the ranks of each node took, the fullest first, and how many nodes are left out."""
    peaks: dict[str, dict[tuple[int, int], int]] = defaultdict(dict)  # by host, then by rank and its number in a group
    available: dict[str, int] = {}
    for session in reading.sessions:
        rank, opened = session.start.rank, session.opened
        if opened is not None and opened.node_memory:
            available[session.start.host] = opened.node_memory
        for number, host in enumerate((session.start.host, *(opened.hosts if opened is not None else ()))):
            peaks[host][rank, number] = max(peaks[host].get((rank, number), 0), session.memory)
    used = {host: sum(of_rank.values()) for host, of_rank in peaks.items() if any(of_rank.values())}
    largest = max([*used.values(), *(available.get(host, 0) for host in used)], default=0)
    found = []
    for host in sorted(used, key=lambda host: used[host] / (available.get(host) or largest), reverse=True):
        whole = available.get(host, 0)
        text = f"{amount(used[host])} of {amount(whole)}" if whole else amount(used[host])
        text += f", {plural(sum(map(bool, peaks[host].values())), 'rank')}"
        found.append(Node(host, text, used[host] / (whole or largest) * 100, bool(whole) and used[host] > 0.9 * whole))
    return found[:MOST_NODES], max(len(found) - MOST_NODES, 0)


def provenance(reading: Reading) -> list[tuple[str, Sequence[str]]]:
    """Return where the run comes from: names with lines."""
    launches = [one.launch for run in reading.runs for one in run.launches.values() if one.launch is not None]
    jobs = dict.fromkeys(f"{one.job}{f' on {one.cluster}' if one.cluster else ''}" for one in launches if one.job)
    job, plan = reading.job, reading.plan
    rows: list[tuple[str, Sequence[str]]] = [
        ("Scene", [str(job.scene)] if job is not None else []),
        ("Frames", [f"{plan.frames} ({', '.join(plan.outputs[:MOST_LINES])})"[:2000]] if plan is not None else []),
        ("Renderer", list(dict.fromkeys(one.description for one in reading.opened.values()))[:MOST_LINES]),
        ("Backend", list(dict.fromkeys(one.backend.upper() for one in reading.opened.values() if one.backend))),
        ("Ranks", rank_table.table(reading.opened)),
        ("Launcher", list(dict.fromkeys(one.launcher for one in launches if one.launcher))),
        ("Slurm job", list(jobs)),
        ("Fingerprint", [plan.fingerprint] if plan is not None else []),
        ("Page made by", [f"mpirender {__version__}"]),
    ]
    return [(name, lines) for name, lines in rows if lines]


def command(reading: Reading) -> str:
    """Return the command that makes this movie again; empty if the job cannot be read."""
    return shlex.join(reading.job.command()) if reading.job is not None else ""


def citations(reading: Reading) -> list[str]:
    """Return how to cite the programs."""
    text = " ".join(one.description for one in reading.opened.values()).lower()
    return [
        f"The mpirender developers: mpirender, version {__version__}.",
        *(entry for name, entry in CITATIONS.items() if name in text),
    ]
