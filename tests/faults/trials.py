"""The kinds of faults, and how a trial of one is run: in a folder of its own, with a random source of its own."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import command_lines
import disk_faults
import journals
import names
import process_faults
import special_files
import states

from runs import running

Trial = Callable[[random.Random, Path], str]  # returns the outcome in a few words; raises AssertionError


class Kind(NamedTuple):
    """A kind of fault: a trial of it, and how many trials the whole command makes."""

    trial: Trial
    count: int


class Result(NamedTuple):
    """What came of a trial; ``problem``: what went wrong, empty for nothing."""

    number: int
    outcome: str
    seconds: float
    problem: str = ""


KINDS = {
    "command_lines": Kind(command_lines.trial, 500),
    "engine_faults": Kind(process_faults.engine_faults, 20),  # of three kills or stops each
    "full_disks": Kind(disk_faults.full_disks, 50),
    "io_faults": Kind(disk_faults.failing_calls, 100),
    "journals": Kind(journals.trial, 2000),
    "kills": Kind(process_faults.kills, 40),  # of five kills each
    "names": Kind(names.trial, 40),
    "special_files": Kind(special_files.trial, 60),
    "states": Kind(states.trial, 2000),
    "stops": Kind(process_faults.stops, 25),  # of four stops each
}


def run(kind: str, numbers: Iterable[int], seed: int, folder: Path) -> Iterator[Result]:
    """Run these trials of a kind, and yield the result of each.

    :param folder: gets a folder for each trial, which stays if the trial goes wrong.
    """
    for number in numbers:
        place = folder / f"{kind}-{seed}-{number}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        started, outcome, problem = time.monotonic(), "wrong", ""
        try:
            outcome = KINDS[kind].trial(random.Random(f"{kind} {seed} {number}"), place)
            assert not (left := running(place)), f"left running: {left}"
        except AssertionError as error:
            problem = str(error) or repr(error)
        else:
            shutil.rmtree(place, ignore_errors=True)
        yield Result(number, outcome if not problem else "wrong", time.monotonic() - started, problem)


def table(kind: str, results: list[Result]) -> str:
    """Return a line: the kind, how many trials were made, and how many had which outcome."""
    outcomes = Counter(result.outcome for result in results)
    seconds = sum(result.seconds for result in results)
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    return f"{kind}: {len(results)} trials in {seconds:.0f} s: {told}"
