"""Live progress from the journals' records: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from mpirender.monitor import rank_table
from mpirender.run_folder.journal import Record
from mpirender.system.text import rank_or_group, ranks_or_groups

FIRST_LINE_SECONDS = 5.0
RAREST_LINE_SECONDS = 300.0
ECHO = 6  # columns
STARTING = "starting the ranks"
RENDERING = "rendering"
PHASES = {
    "backend": "finding out what to render with", "load": "loading the scene",
    "survey": "finding the ranges of colour maps", "gather": "checking frames", "encode": "making the movie",
    "end": "finishing",
}  # fmt: skip


class Tally(Protocol):
    """What records add up to, as far as a bar or a log shows it."""

    total: int  # of what there is to do, 0 before it is known
    phase: str
    news: list[str]  # lines to print once
    unit_of_work: str  # in the plural

    @property
    def dealt_with(self) -> int:
        """Number of those that are done or have failed."""
        ...

    def add(self, records: Sequence[Record]) -> None:
        """Count these records in."""
        ...

    def text(self) -> str:
        """Say in a few words how it goes and when it ends."""
        ...


class Counts:
    """What the records of a run add up to."""

    unit_of_work = "images"

    def __init__(self) -> None:
        self.ranks = 0
        self.unit = "rank"
        self.total = 0
        self.kept = 0
        self.done = 0
        self.phase = STARTING
        self.first_take: float | None = None
        self.seconds: dict[int, list[float]] = defaultdict(list)
        self.news: list[str] = []  # lines to print once
        self._outcomes: dict[tuple[int, str], str] = {}
        self._warned: set[str] = set()
        self._opened: dict[int, Record] = {}

    def add(self, records: Sequence[Record]) -> None:
        """Count these records in."""
        for record in records:
            event = record["event"]
            if event in ("done", "fail"):
                self._outcomes[record["frame"], record["output"]] = event
            if event == "done":
                self.done += 1
                self.seconds[record["rank"]].append(record["seconds"])
                self._warn([f"frame {record['frame']}: {text}" for text in record["complaints"]])
            elif event == "take":
                self.first_take = self.first_take or record["time"]
            elif event == "phase":
                self._enter(record["phase"])
                self._present(record)
            elif event in ("complaint", "warning"):
                self._warn([record["text"]])
            else:
                self._turn(event, record)

    def _turn(self, event: str, record: Record) -> None:
        """Count in what changes the course of the run."""
        if event == "start":
            self.ranks = record["ranks"]
            self.unit = rank_or_group(1 + len(record.get("followers", ())))
        elif event == "note":
            self.news.append(record["text"])
        elif event == "launch" and "job" in record:
            self.news.append(headline(record))
        elif event == "plan":
            self.total, self.kept = record["total"], record["total"] - record["left"]
            self._warn(record["warnings"])
            self.phase = RENDERING
        elif event == "death":  # what was done before it counts as kept, as in the plan of the next start
            self.kept += sum(outcome == "done" for outcome in self._outcomes.values())
            self._outcomes.clear()
            self._opened.clear()
            lost = len(record["flight"])
            again = f"; {lost} image{'s were' if lost > 1 else ' was'} in flight" if lost else ""
            self.news.append(f"warning: {record['reason']}{again}; starting again")
            self.phase = "starting the ranks again"
        elif event == "stop" and "rank" not in record:
            on, again = f" on {record['signal']}", ""
            if record["signal"] == "SIGINT":
                on, again = "", "; Ctrl-C again ends at once"
            self.phase = f"stopping{on}: images in flight get {duration(record['grace'])} to end{again}"

    def _warn(self, texts: Sequence[str]) -> None:
        """Keep each warning once; one that only differs in the frame is the same."""
        for text in texts:
            about = text.split(": ", 1)[-1] if text.startswith("frame ") else text
            if about not in self._warned:
                self._warned.add(about)
                self.news.append(f"warning: {text}")

    def _present(self, record: Record) -> None:
        """Say who renders where with what, when all ranks are ready to; after a restart what is new of it."""
        if record["phase"] == "opened" and "renderer" in record:
            self._opened[record["rank"]] = record
            if len(self._opened) == self.ranks:
                self.news += [line for line in rank_table.table(self._opened) if line not in self.news]

    def _enter(self, phase: str) -> None:
        """Name the phase; what follows rendering counts only when all images are dealt with: ranks get there singly."""
        if phase in ("gather", "encode", "end") and self.dealt_with < self.total:
            return
        self.phase = PHASES.get(phase, self.phase)

    @property
    def dealt_with(self) -> int:
        """Number of images that are there or have failed."""
        return self.kept + len(self._outcomes)

    @property
    def failed(self) -> int:
        """Number of images that have failed."""
        return sum(event == "fail" for event in self._outcomes.values())

    def rate(self) -> float:
        """Return images a second since the first frame was taken up, 0 before the first is done."""
        if not self.done or self.first_take is None:
            return 0.0
        return self.done / max(time.time() - self.first_take, 1e-3)

    def left_seconds(self) -> float | None:
        """Return the time until the last image at the present rate, None while it is not known."""
        rate = self.rate()
        return (self.total - self.dealt_with) / rate if rate else None

    def slowest(self) -> tuple[int, float] | None:
        """Return the rank whose images take longest and their mean seconds, None with fewer than two ranks at work."""
        means = {rank: sum(times) / len(times) for rank, times in self.seconds.items()}
        if len(means) < 2:
            return None
        rank = max(means, key=lambda rank: means[rank])
        return rank, means[rank]

    def text(self) -> str:
        """Say in a few words how fast it goes and when it ends."""
        if self.phase != RENDERING:
            return self.phase
        parts = [f"{self.rate():.2f} images/s" if self.done else "rendering the first frames"]
        left = self.left_seconds()
        if left is not None:
            parts.append(f"{duration(left)} left")
        slowest = self.slowest()
        if slowest:
            parts.append(f"slowest {self.unit} {slowest[0]}: {slowest[1]:.2f} s/image")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)


def headline(record: Record) -> str:
    """Say where the ranks of a Slurm job are started, and in which of its lives."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["time"]))
    life = f", started for the {ordinal(record['job_life'])} time" if record["job_life"] > 1 else ""
    ranks = ranks_or_groups(record["ranks"], record.get("ranks_per_frame", 1))
    return f"{at}  Slurm job {record['job']}{life}: {ranks} on {record['nodes']} by {record['launcher']}"


def ordinal(number: int) -> str:
    """Write ``1st``, ``2nd``, ``3rd``, ``11th``."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """Write a time span as people say it: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Bar:
    """One bar for the whole run, on a terminal."""

    def __init__(self, stream: TextIO, counts: Tally | None = None) -> None:
        self._stream = stream
        console = Console(file=stream)
        self.counts: Tally = counts or Counts()
        self._progress = Progress(
            TaskProgressColumn(), BarColumn(bar_width=None), MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False), console=console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task(STARTING, total=None)
        self._told = 0

    def __enter__(self) -> Bar:
        self._leave_room()
        self._progress.start()
        return self

    def _leave_room(self) -> None:
        """Keep the bar from the last columns: what the terminal echoes at its end (^C) must not begin a new line."""
        with contextlib.suppress(OSError):
            self._progress.console.width = max(os.get_terminal_size(self._stream.fileno()).columns - ECHO, 1)

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def __call__(self, records: Sequence[Record]) -> None:
        """Count the records in and draw."""
        self.counts.add(records)
        self._leave_room()
        for line in self.counts.news[self._told :]:
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._told = len(self.counts.news)
        self._progress.update(
            self._task, total=self.counts.total or None, completed=self.counts.dealt_with,
            description=self.counts.text(),
        )  # fmt: skip


class Lines:
    """A line every few seconds at first and rarer later, for batch logs."""

    def __init__(self, stream: TextIO, counts: Tally | None = None) -> None:
        self.counts: Tally = counts or Counts()
        self._stream = stream
        self._started = time.monotonic()
        self._next = FIRST_LINE_SECONDS
        self._phase = ""
        self._told = 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, records: Sequence[Record]) -> None:
        """Count the records in; write a line when the phase changes or it is time for one."""
        self.counts.add(records)
        for line in self.counts.news[self._told :]:
            self._write(line)
        self._told = len(self.counts.news)
        elapsed = time.monotonic() - self._started
        changed = self.counts.phase != self._phase
        if changed or elapsed >= self._next:
            self._phase = self.counts.phase
            self._next = elapsed + min(max(elapsed / 2, FIRST_LINE_SECONDS), RAREST_LINE_SECONDS)
            counts = self.counts
            done = f"{counts.dealt_with}/{counts.total} {counts.unit_of_work}, " if counts.total else ""
            self._write(f"{duration(elapsed):>9}  {done}{self.counts.text()}")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class Silent:
    """Says nothing but warnings at the end; for --quiet."""

    def __init__(self) -> None:
        self.counts = Counts()

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, records: Sequence[Record]) -> None:
        """Count the records in."""
        self.counts.add(records)
