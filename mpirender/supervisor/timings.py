"""Where the time of a run went, rank by rank, from its records."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from mpirender.run_folder.journal import Record

RANKS_SHOWN = 8


@dataclass(frozen=True)
class Spent:
    """Seconds of one rank, over all its starts.

    Args:
        start: from the start of the process until MPI connected it to the others.
        load: finding out what to render with, reading and broadcasting the scene, loading it, the first render.
        render: in the engine, for images.
        write: handing images over to be written; most of the writing itself goes on beside the rendering.
        wait: for the last images to be written, for frames to be handed out, for the other ranks.
        movie: encoding, joining and reading back the movies, and waiting for the others that do.
    """

    start: float = 0.0
    load: float = 0.0
    render: float = 0.0
    write: float = 0.0
    wait: float = 0.0
    movie: float = 0.0


NAMES = tuple(field.name for field in fields(Spent))


def by_rank(records: Sequence[Record]) -> dict[int, Spent]:
    """Return what each rank spent its time on.

    Args:
        records: of one run, in the order of their times.
    """
    ranks: dict[int, _Rank] = defaultdict(_Rank)
    for record in records:
        if "rank" in record:
            ranks[record["rank"]].add(record)
    return {rank: Spent(**ranks[rank].seconds) for rank in sorted(ranks)}


class _Rank:
    """Adds up the seconds of one rank."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(NAMES, 0.0)
        self._phase, self._since = "", 0.0

    def add(self, record: Record) -> None:
        """Follow a record."""
        event = record["event"]
        if event == "start":
            self.seconds["start"] += record.get("began", 0.0)
            self._phase, self._since = "load", record["time"]
        elif event in ("done", "fail") and "rendering" in record:
            self._spend("render", record["rendering"])
            self._spend("write", record["seconds"] - record["rendering"])
        elif event == "phase" and record["phase"] in PHASES:
            self.seconds[self._phase] += record["time"] - self._since
            self._phase, self._since = PHASES[record["phase"]], record["time"]

    def _spend(self, name: str, seconds: float) -> None:
        """Count seconds of the phase in which images are rendered, of which what is left is waiting."""
        self.seconds[name] += seconds
        self.seconds["wait"] -= seconds


# What the time after a phase has begun counts as; the images themselves are taken out of it.
PHASES = {"render": "wait", "gather": "wait", "encode": "movie", "end": "wait"}


def efficiency(spent: Mapping[int, Spent], wall: float) -> float:
    """Return the share of the ranks' time that went into rendering, 0 to 1.

    Args:
        wall: seconds that the run took.
    """
    return sum(one.render for one in spent.values()) / (len(spent) * wall) if spent and wall > 0 else 0.0


def table(spent: Mapping[int, Spent], unit: str = "rank") -> list[str]:
    """Write the seconds as lines with a head: rank by rank, or of many ranks the mean and the extremes.

    Args:
        unit: what they are called; a group is counted by what its leader does.
    """
    rows = {str(rank): astuple(one) for rank, one in spent.items()}
    if len(rows) > RANKS_SHOWN:
        columns = list(zip(*rows.values()))
        kinds: dict[str, Callable[[Sequence[float]], float]] = {"mean": statistics.fmean, "least": min, "most": max}
        rows = {name: tuple(map(kind, columns)) for name, kind in kinds.items()}
    head = f"{'seconds':>7} " + " ".join(f"{name:>8}" for name in NAMES)
    what = f"{unit} " if len(spent) <= RANKS_SHOWN else ""
    return [head, *(f"{what + name:>7} " + " ".join(f"{max(s, 0.0):8.1f}" for s in row) for name, row in rows.items())]
