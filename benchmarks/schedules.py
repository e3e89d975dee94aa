"""Simulate the schedules on 2 to 4096 ranks.

python -m benchmarks.schedules --plot schedules.png                 # costs of several kinds
python -m benchmarks.schedules --journals orbit_renders             # and costs measured by an earlier run

The efficiency is the fraction of the ranks' time that is spent on frames, from the moment the first rank is ready to
the end of the last frame. Ranks become ready at different times and run on nodes of different speed. The bound is list
scheduling at no cost; see :func:`benchmarks.simulate.simulate`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import command, plotting, simulate
from benchmarks.command import Raw
from benchmarks.simulate import BOUND, COSTS, DYNAMIC, SCHEDULES, HandOut
from mpirender.errors import UsageError
from mpirender.job.render_job import FOLDER
from mpirender.run_folder import events, journal

MOST = 4096
MEASURED = "measured"
NEAR = 0.98  # fraction of the bound that the dynamic schedule must reach on the largest number of ranks
COLOURS = {"interleaved": plotting.BLUE, "contiguous": plotting.ORANGE, DYNAMIC: plotting.GREEN, BOUND: plotting.BLACK}


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Run the simulation, write the raw results and return them.

    :raises UsageError: the arguments are invalid.
    """
    mistakes = command.mistakes_of_output(arguments.output)
    if mistakes:
        raise UsageError(mistakes)
    measured = costs_of(arguments.journals) if arguments.journals else []
    mean = float(np.mean(measured)) if measured else arguments.mean
    told = {
        "ranks": arguments.ranks, "frames_per_rank": arguments.frames_per_rank, "mean": mean,
        "jitter": arguments.jitter, "spread": arguments.spread, "ranks_per_node": arguments.ranks_per_node,
        "latency": latency(mean) if arguments.latency is None else arguments.latency,
        "service": arguments.service, "draws": arguments.draws, "measured": measured,
    }  # fmt: skip
    arguments.output.mkdir(parents=True, exist_ok=True)
    raw: Raw = {"benchmark": "schedules", "arguments": told, "machine": command.machine(), "results": [*results(told)]}
    command.write(raw, arguments.output)
    return raw


def costs_of(folder: Path) -> list[float]:
    """Return the seconds that each frame of a run took at all sizes together, in frame order.

    :raises UsageError: the folder is not the output folder of a run, or no frame is done.
    """
    records = journal.read(folder / FOLDER) if (folder / FOLDER).is_dir() else []
    costs: dict[int, dict[str, float]] = defaultdict(dict)
    for record in records:
        if isinstance(record, events.Done):
            costs[record.image.frame][record.image.output] = record.seconds
    if not costs:
        raise UsageError(f"--journals {folder}: is not the output folder of a run with frames done")
    return [sum(costs[frame].values()) for frame in sorted(costs)]


def latency(mean: float) -> float:
    """Return the longest time in seconds that a rank waits for its next frame, given the mean cost of a frame.

    The process that hands out frames sleeps between polls, at most 1 % of a frame and at most 20 ms; a waiting rank
    sleeps at most 1 ms (:mod:`mpirender.ranks.dynamic_schedule`).
    """
    return min(mean / 100, 0.02) + 1e-3


def results(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the efficiency of each schedule and of the bound in every draw, for all costs and numbers of ranks."""
    kinds = [*COSTS, *([MEASURED] if told["measured"] else [])]
    hand_out = HandOut(told["latency"], told["service"])
    for kind in kinds:
        for count in told["ranks"]:
            found: dict[str, list[float]] = {name: [] for name in (*SCHEDULES, BOUND)}
            for draw in (np.random.default_rng([seed, count]) for seed in range(told["draws"])):
                ranks = simulate.drawn_ranks(
                    count, draw, jitter=told["jitter"], spread=told["spread"], per_node=told["ranks_per_node"]
                )
                frames = count * told["frames_per_rank"]
                costs = (
                    simulate.stretched(told["measured"], frames) if kind == MEASURED
                    else told["mean"] * COSTS[kind](frames, draw)
                )  # fmt: skip
                for name, efficiencies in found.items():
                    efficiencies.append(simulate.simulate(costs, ranks, name, hand_out).efficiency)
            yield {"costs": kind, "ranks": count, "efficiency": found}


def efficiency(result: dict[str, Any], name: str) -> float:
    """Return the median efficiency of a schedule, 0 to 1."""
    return float(statistics.median(result["efficiency"][name]))


def of_bound(result: dict[str, Any], name: str) -> float:
    """Return the fraction of the bound that a schedule reaches, median of the draws."""
    pairs = zip(result["efficiency"][name], result["efficiency"][BOUND])
    return float(statistics.median(one / bound for one, bound in pairs))


def summary(raw: Raw, markdown: bool) -> str:
    """Format the table of the simulation."""
    told = raw["arguments"]
    assumed = (
        f"{told['frames_per_rank']} frames for each rank, of {told['mean']:.2f} s on average; ranks ready within "
        f"{told['jitter']:g} s; speed of nodes of {told['ranks_per_node']} ranks ± {told['spread']:.0%}; handing out "
        f"takes {told['latency'] * 1e3:.1f} ms, one after the other {told['service'] * 1e3:g} ms; medians of "
        f"{told['draws']} draws"
    )
    lines = [
        assumed,
        "",
        *command.table([titles(), *map(row_of, raw["results"])], markdown=markdown),
        "",
        "of the bound: efficiency as a share of what list scheduling (Graham 1969) reaches at no cost",
    ]
    return "\n".join(lines)


def titles() -> tuple[str, ...]:
    """Return the heading of the table."""
    return ("costs", "ranks", *SCHEDULES, BOUND, *(f"{name} of the bound" for name in ("interleaved", DYNAMIC)))


def row_of(result: dict[str, Any]) -> tuple[str, ...]:
    """Return the table row for a kind of costs and a number of ranks."""
    return (
        result["costs"],
        str(result["ranks"]),
        *(f"{efficiency(result, name):.1%}" for name in (*SCHEDULES, BOUND)),
        *(f"{of_bound(result, name):.1%}" for name in ("interleaved", DYNAMIC)),
    )


def far_from_bound(raw: Raw) -> list[str]:
    """List the costs for which the dynamic schedule is not near the bound on the largest number of ranks."""
    most = max(raw["arguments"]["ranks"])
    return [
        f"dynamic reaches {of_bound(result, DYNAMIC):.1%} of the bound on {most} ranks with {result['costs']} costs; "
        f"it should be {NEAR:.0%}"
        for result in raw["results"]
        if result["ranks"] == most and of_bound(result, DYNAMIC) < NEAR
    ]


def draw(raw: Raw, picture: Path) -> None:
    """Plot the efficiency over the number of ranks, one panel per kind of costs."""
    kinds = list(dict.fromkeys(result["costs"] for result in raw["results"]))
    figure, panels = plotting.panels(len(kinds), width=3.3, height=2.8, columns=3)
    for axes, kind in zip(panels, kinds):
        found = [result for result in raw["results"] if result["costs"] == kind]
        for name in (BOUND, *SCHEDULES):
            line = {"linestyle": "--", "zorder": 3} if name == BOUND else {"linewidth": 1.8}
            shown = [efficiency(result, name) for result in found]
            axes.plot([result["ranks"] for result in found], shown, color=COLOURS[name], label=name, **line)
        axes.set_title(f"{kind} costs")
        over_ranks(axes, [result["ranks"] for result in found])
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
    for axes in panels[: len(kinds) : 3]:
        axes.set_ylabel("efficiency")
    panels[0].legend(loc="lower left")
    plotting.save(figure, picture)


def over_ranks(axes: Any, counts: Sequence[int]) -> None:  # noqa: ANN401
    """Set up the axis of the number of ranks."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts[:: 3 if len(counts) > 6 else 1], list(map(str, counts[:: 3 if len(counts) > 6 else 1])))
    axes.minorticks_off()
    axes.set_xlabel("ranks")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedules", description="Simulate the schedules.")
    add = parser.add_argument
    powers = [2**power for power in range(1, MOST.bit_length())]
    add("--ranks", metavar="N", type=command.positive, nargs="+", default=powers,
        help=f"numbers of ranks (default: 2, 4, 8 … {MOST})")  # fmt: skip
    add("--frames-per-rank", metavar="N", type=command.positive, default=16, help="default: %(default)s")
    add("--journals", metavar="FOLDER", type=Path, help="simulate with the costs, too, that a run has measured")
    add("--mean", metavar="S", type=float, default=2.0, help="seconds of a frame, or those of --journals (2)")
    add("--jitter", metavar="S", type=float, default=3.0, help="seconds within which all ranks are ready (3)")
    add("--spread", metavar="X", type=float, default=0.1, help="by which share speeds of nodes differ (0.1)")
    add("--ranks-per-node", metavar="N", type=command.positive, default=64, help="default: %(default)s")
    add("--latency", metavar="S", type=float, help="seconds of handing out a frame (default: mpirender's own)")
    add("--service", metavar="S", type=float, default=1e-4, help="seconds that nobody else is served then (0.0001)")
    add("--draws", metavar="N", type=command.positive, default=15, help="random draws (default: %(default)s)")
    command.add_output(parser, "schedules")
    return parser


COMMAND = command.Command("schedules", parser(), measure=benchmark, tell=summary, draw=draw, wrong=far_from_bound)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
