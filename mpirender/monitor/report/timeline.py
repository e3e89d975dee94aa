"""What the ranks did when: a lane for each rank, or for each node, in columns of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpirender.run_folder.run_state import LaunchState, RankSession, RunState
from mpirender.supervisor.timings import NAMES, PHASES
from mpirender.system.text import plural

COLUMNS = 1000
GAP = 12  # columns between two runs
MOST_LANES = 48
MOST_RUNS = 12  # the newest ones
MOST_MARKS = 200
RENDER, WRITE, WAIT = NAMES.index("render"), NAMES.index("write"), NAMES.index("wait")
Array = NDArray[np.float64]


class Mark(NamedTuple):
    """A moment: ``kind`` is death, restart or loss."""

    column: float
    kind: str
    text: str


class Lane(NamedTuple):
    """What a rank, or the ranks of some nodes, did: the state of each column, as runs of columns."""

    node: str
    label: str
    runs: Sequence[tuple[int, int, int]]  # number of the state in NAMES, first column, number of columns


class Tick(NamedTuple):
    """A label of the time axis."""

    column: float
    seconds: float  # since the beginning of its run
    run: int  # number of the run, from 0


@dataclass
class TimeAxis:
    """The time of some runs from left to right; the time between two of them is a narrow gap."""

    pieces: Sequence[tuple[float, float]]  # beginning and end of each run, in seconds since the epoch
    edges: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        gaps = GAP * (len(self.pieces) - 1)
        self.scale = (COLUMNS - gaps) / max(sum(end - begin for begin, end in self.pieces), 1e-3)
        place = 0.0
        for begin, end in self.pieces:
            self.edges += [place, place + (end - begin) * self.scale]
            place = self.edges[-1] + GAP

    def columns(self, times: Sequence[float] | Array) -> Array:
        """Return the columns of some times."""
        return np.interp(times, [time for piece in self.pieces for time in piece], self.edges)


class Timeline(NamedTuple):
    """The lanes of all ranks, with marks and an axis."""

    lanes: Sequence[Lane]
    marks: Sequence[Mark]
    axis: TimeAxis
    unit: str  # what a lane stands for: rank, group, node or nodes
    left_out: int  # earlier runs


def timeline(runs: Sequence[RunState], now: float | None) -> Timeline | None:
    """Return what the ranks of these runs did; None before a rank has started.

    :param now: the time, if the last run goes on.
    """
    runs = [run for run in runs if run.sessions]
    shown = sorted(runs, key=lambda run: run.began)[-MOST_RUNS:]
    if not shown:
        return None
    pieces: list[tuple[float, float]] = []
    for run in shown:
        going_on = now is not None and run is shown[-1]
        begin = max(run.began, pieces[-1][1] if pieces else 0.0)  # of an earlier clock
        pieces.append((begin, max(begin, now if going_on and now is not None else run.finished or run.heard) + 1e-3))
    axis = TimeAxis(pieces)
    ends = {id(session): end for run, (_, last) in zip(shown, pieces) for session, end in _ends(run, last)}
    lanes = _lanes([session for run in shown for session in run.sessions])
    drawn = [Lane(node, label, _runs_of(axis, sessions, ends)) for node, label, sessions in lanes[1]]
    return Timeline(drawn, _marks(shown, axis), axis, lanes[0], len(runs) - len(shown))


def _ends(run: RunState, last: float) -> Iterable[tuple[RankSession, float]]:
    """Yield each session with its end: its newest event, or the end of the run if it has worked until then."""
    for launch in run.launches.values():
        for session in launch.sessions.values():
            alive = launch is run.now and not run.finished and session.phase != "end"
            yield session, max(session.heard, last) if alive else session.heard


def _lanes(sessions: Sequence[RankSession]) -> tuple[str, list[tuple[str, str, list[RankSession]]]]:
    """Return what a lane stands for; and the node, the label and the sessions of each."""
    of_rank: dict[tuple[str, int], list[RankSession]] = defaultdict(list)
    of_node: dict[str, list[RankSession]] = defaultdict(list)
    for session in sessions:
        of_node[session.start.host].append(session)
        of_rank[session.start.host, session.start.rank].append(session)
    if len(of_rank) <= MOST_LANES:
        unit = "group" if any(session.start.followers for session in sessions) else "rank"
        order = {node: number for number, node in enumerate(of_node)}
        keys = sorted(of_rank, key=lambda key: (order[key[0]], key[1]))
        return unit, [(node, f"{unit} {rank}", of_rank[node, rank]) for node, rank in keys]
    nodes = list(of_node)
    each = -(-len(nodes) // MOST_LANES)
    parts = [nodes[first : first + each] for first in range(0, len(nodes), each)]
    labels = [part[0] if len(part) == 1 else f"{part[0]} and {plural(len(part) - 1, 'other')}" for part in parts]
    grouped = [[session for node in part for session in of_node[node]] for part in parts]
    return "node" if each == 1 else "nodes", list(zip([""] * len(parts), labels, grouped))


def _runs_of(axis: TimeAxis, sessions: Sequence[RankSession], ends: dict[int, float]) -> list[tuple[int, int, int]]:
    """Return the state in which the sessions were for most of each column, in runs of columns of the same state."""
    begun: list[list[float]] = [[] for _ in NAMES]
    ended: list[list[float]] = [[] for _ in NAMES]

    def add(state: int, begin: float, end: float) -> None:
        begun[state].append(begin)
        ended[state].append(max(begin, end))

    for session in sessions:
        end = ends[id(session)]
        add(NAMES.index("start"), session.start.time - session.start.began, session.start.time)
        for (phase, begin), (_, after) in zip(session.phases, [*session.phases[1:], ("", end)]):
            add(NAMES.index(PHASES.get(phase, "load")), begin, after)
        for span in session.spans:
            add(RENDER, span.began, span.began + span.rendering)
            add(WRITE, span.began + span.rendering, span.began + span.seconds)
        open_ended = sorted(session.unwritten.values())  # of two, the first one is being written
        for began, after in zip(open_ended, [*open_ended[1:], end]):
            add(RENDER, began, after)
    covered = np.array([_coverage(axis.columns(a), axis.columns(b)) for a, b in zip(begun, ended)])
    covered[WAIT] = np.maximum(covered[WAIT] - covered[RENDER] - covered[WRITE], 0.0)
    state = np.where(covered.sum(axis=0) > 0.05, covered.argmax(axis=0), -1)
    starts = np.flatnonzero(np.diff(state, prepend=-2))
    lengths = np.diff(starts, append=COLUMNS)
    return [(int(state[at]), int(at), int(length)) for at, length in zip(starts, lengths) if state[at] >= 0]


def _coverage(begun: Array, ended: Array) -> Array:
    """Return how many of the intervals cover each column, parts of a column included."""
    return _after(begun) - _after(ended)


def _after(places: Array) -> Array:
    """Return the part of each column that lies after a place, summed over all places."""
    whole = np.minimum(places.astype(int), COLUMNS - 1)
    own: Array = np.bincount(whole, weights=whole + 1 - places, minlength=COLUMNS).astype(np.float64)
    later: Array = np.cumsum(np.bincount(whole, minlength=COLUMNS), dtype=float)
    own[1:] += later[:-1]
    return own


def _marks(runs: Sequence[RunState], axis: TimeAxis) -> list[Mark]:
    """Return the deaths, the restarts and the losses of renderers; of very many the newest."""
    found: list[tuple[float, str, str]] = []
    for run in runs:
        for launch in run.launches.values():
            found += _of_launch(launch)
        found += [(loss.time, "loss", f"the renderer of rank {loss.rank} {loss.reason}") for loss in run.losses]
    found = sorted(found)[-MOST_MARKS:]
    columns = axis.columns([time for time, _, _ in found])
    return [Mark(float(column), kind, text) for column, (_, kind, text) in zip(columns, found)]


def _of_launch(launch: LaunchState) -> Iterable[tuple[float, str, str]]:
    if launch.death is not None:
        yield launch.death.time, "death", launch.death.reason
    if launch.number > 1 and launch.launch is not None:
        yield launch.launch.time, "restart", f"launch {launch.number} of the ranks"


STEPS = (1, 2, 5, 10, 15, 30, *(60 * n for n in (1, 2, 5, 10, 15, 30)), *(3600 * n for n in (1, 2, 3, 6, 12)))


def ticks(axis: TimeAxis, most: int = 8) -> list[Tick]:
    """Return labels of the axis: times since the beginning of each run."""
    whole = sum(end - begin for begin, end in axis.pieces)
    step = next((step for step in STEPS if whole / step <= most), 86400.0 * max(round(whole / 86400 / most), 1))
    found = []
    for run, ((begin, end), left) in enumerate(zip(axis.pieces, axis.edges[::2])):
        count = min(int((end - begin) / step), most) + 1
        found += [Tick(left + number * step * axis.scale, number * step, run) for number in range(count)]
    return found
