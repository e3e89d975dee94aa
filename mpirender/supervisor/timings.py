"""Where the time of a run went, rank by rank."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from mpirender.run_folder.run_state import RankSession

RANKS_SHOWN = 8


@dataclass(frozen=True)
class Spent:
    """Seconds of one rank, over all launches."""

    start: float = 0.0  # from the start of the process until MPI connected it to the others
    load: float = 0.0  # choosing a backend; reading, broadcasting and loading the scene; the first render
    render: float = 0.0  # in the engine, for images
    write: float = 0.0  # handing images over to be written; most of the writing goes on beside the rendering
    wait: float = 0.0  # for the last images to be written, for the next frame, for the other ranks
    movie: float = 0.0  # encoding, joining and reading back the movies, and waiting for other ranks that do so


NAMES = tuple(field.name for field in fields(Spent))


# What the time after the beginning of a phase counts as, where it is not loading; images are taken out of the waiting.
PHASES = {"render": "wait", "gather": "wait", "encode": "movie", "end": "wait"}


def by_rank(sessions: Iterable[RankSession]) -> dict[int, Spent]:
    """Return what each rank spent its time on, over all its sessions."""
    seconds: dict[int, dict[str, float]] = defaultdict(lambda: dict.fromkeys(NAMES, 0.0))
    for session in sessions:
        own = seconds[session.start.rank]
        own["start"] += session.start.began
        for (phase, began), (_, ended) in zip(session.phases, session.phases[1:]):
            own[PHASES.get(phase, "load")] += ended - began
        own["render"] += session.rendering
        own["write"] += session.spent - session.rendering
        own["wait"] -= session.spent
    return {rank: Spent(**seconds[rank]) for rank in sorted(seconds)}


def efficiency(spent: Mapping[int, Spent], wall: float) -> float:
    """Return the share of the ranks' time that went into rendering, 0 to 1; the run took ``wall`` seconds."""
    return sum(one.render for one in spent.values()) / (len(spent) * wall) if spent and wall > 0 else 0.0


def table(spent: Mapping[int, Spent], unit: str = "rank") -> list[str]:
    """Write the seconds as lines with a head: rank by rank, or for many ranks the mean and the extremes."""
    rows = {str(rank): astuple(one) for rank, one in spent.items()}
    if len(rows) > RANKS_SHOWN:
        columns = list(zip(*rows.values()))
        kinds: dict[str, Callable[[Sequence[float]], float]] = {"mean": statistics.fmean, "least": min, "most": max}
        rows = {name: tuple(map(kind, columns)) for name, kind in kinds.items()}
    head = f"{'seconds':>7} " + " ".join(f"{name:>8}" for name in NAMES)
    what = f"{unit} " if len(spent) <= RANKS_SHOWN else ""
    return [head, *(f"{what + name:>7} " + " ".join(f"{max(s, 0.0):8.1f}" for s in row) for name, row in rows.items())]
