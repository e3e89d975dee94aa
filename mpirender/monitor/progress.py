"""Live progress of a run: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from mpirender.monitor import cost, rank_table
from mpirender.monitor.background_stream import BackgroundStream
from mpirender.monitor.phases import RENDERING, STARTING, phase_of
from mpirender.run_folder import events, spot
from mpirender.run_folder.cost import total_cost
from mpirender.run_folder.events import Event, Launch
from mpirender.run_folder.run_state import RunState, progress, rate
from mpirender.system.text import duration, ordinal, printable, rank_or_group, ranks_or_groups

FIRST_LINE_SECONDS = 5.0
RAREST_LINE_SECONDS = 300.0
ECHO = 6  # columns
LEAST_BAR = 1  # columns


class Tally:
    """What a bar or a log shows of a run, or of a pool of jobs."""

    unit_of_work = "images"

    def __init__(self, total: int = 0) -> None:
        self.total = total  # number of images or jobs, 0 before it is known
        self.dealt_with = self.failed = 0  # images or jobs that are done or failed, and that failed
        self.phase = STARTING
        self.news: list[str] = []  # lines to print once
        self._warned: set[str] = set()

    def add(self, new: Sequence[Any]) -> None:
        """Count these events in."""
        raise NotImplementedError

    def text(self) -> str:
        """Return speed and remaining time in a few words."""
        raise NotImplementedError

    def warn(self, texts: Sequence[str], where: str = "") -> None:
        """Report each warning once, wherever it occurs."""
        new = [text for text in dict.fromkeys(texts) if text not in self._warned]
        self._warned.update(new)
        self.news += [f"warning: {where}{text}" for text in new]

    def with_failures(self, parts: Sequence[str]) -> str:
        """Join the parts of a text, and the number of failures if there are some."""
        return ", ".join([*parts, *([f"{self.failed} failed"] if self.failed else [])])


class RunTally(Tally):
    """What a bar or a log shows of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RunState()

    def add(self, new: Sequence[Event]) -> None:
        """Count these events in."""
        for event in new:
            self.state.apply(event)
            self._report(event)
        if images := progress(self.state):
            self.total, self.failed, self.dealt_with = images.total, images.failed, images.done + images.failed
        self.phase = phase_of(self.state)
        if self.phase.startswith("stopping on SIGINT"):
            self.phase += "; Ctrl-C again ends at once"

    def _report(self, event: Event) -> None:
        """Add the lines that are to be printed of an event."""
        if isinstance(event, events.Note):
            self.news.append(event.text)
        elif isinstance(event, Launch) and event.job:
            self.news.append(headline(event))
        elif isinstance(event, events.Opened):
            self._report_ranks()
        elif isinstance(event, events.Death):
            lost = len(event.in_progress)
            images = f"; {lost} image{'s were' if lost > 1 else ' was'} in progress" if lost else ""
            self.news.append(f"warning: {event.reason}{images}; starting again")
        elif isinstance(event, events.Notice):
            found = progress(self.state)
            end = "; its ranks end their images" if event.at and (found is None or found.left) else ""
            self.news.append(f"warning: {spot.announced(event)}{end}")
        elif isinstance(event, events.Reload) and not event.planned:
            where = f"the renderer of rank {event.rank} on {event.host}"
            image = f" at {event.image}" if event.image is not None else ""
            self.news.append(f"warning: {where} {event.reason}{image}; it loads the scene again")
        elif isinstance(event, events.Done):
            self.warn(event.complaints, f"frame {event.image.frame}: ")
        elif isinstance(event, events.Plan):
            self.warn(event.warnings)
        elif isinstance(event, (events.Warning, events.Complaint)):
            self.warn([event.text])

    def _report_ranks(self) -> None:
        """Report where the ranks render when all have loaded the scene; after a restart only what is new."""
        opened = {rank: session.opened for rank, session in self.state.now.sessions.items() if session.opened}
        if len(opened) == self.state.now.ranks:
            self.news += [line for line in rank_table.table(opened) if line not in self.news]

    def text(self) -> str:
        """Return speed and remaining time in a few words."""
        if self.phase != RENDERING:
            return self.phase
        speed = rate(self.state, time.time())
        parts = [f"{speed:.2f} images/s" if speed else "rendering the first frames"]
        if speed:
            parts.append(f"{duration((self.total - self.dealt_with) / speed)} left")
        means = {rank: one.seconds / one.count for rank, one in self.state.now.sessions.items() if one.count}
        if len(means) > 1:
            slowest = max(means, key=lambda rank: means[rank])
            unit = rank_or_group(self.state.now.ranks_per_frame)
            parts.append(f"slowest {unit} {slowest}: {means[slowest]:.2f} s/image")
        if spent := total_cost(self.state, time.time()):
            parts += cost.parts(spent.hours, spent.dollars, spent.per_image)
        return self.with_failures(parts)


def headline(launch: Launch) -> str:
    """Write where the ranks of a Slurm job are started, and which allocation of the job this is."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(launch.time))
    again = f", started for the {ordinal(launch.allocation)} time" if launch.allocation > 1 else ""
    ranks = ranks_or_groups(launch.ranks, launch.ranks_per_frame)
    return f"{at}  Slurm job {launch.job}{again}: {ranks} on {launch.nodes} by {launch.launcher}"


@contextlib.contextmanager
def shown(stream: TextIO, tally: Tally) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Show a tally on a stream during the block; yield the function that counts new events in."""
    with BackgroundStream(stream) as stalling_nobody:
        background = cast(TextIO, stalling_nobody)
        if stream.isatty():
            bar = Bar(background, tally)
            with bar.progress:
                yield bar
        else:
            yield Lines(background, tally)


class Bar:
    """One bar for the whole run, on a terminal."""

    def __init__(self, stream: TextIO, tally: Tally) -> None:
        self._stream, self._tally = stream, tally
        self.progress = Progress(
            TaskProgressColumn(table_column=Column(no_wrap=True)), BarColumn(bar_width=None),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            console=Console(file=stream), transient=True,
        )  # fmt: skip
        self._task = self.progress.add_task(STARTING, total=None)
        self._printed = 0
        self._leave_margin()

    def _leave_margin(self) -> None:
        """Keep the last columns free: what the terminal echoes there (^C) must not begin a new line."""
        with contextlib.suppress(OSError):
            self.progress.console.width = max(os.get_terminal_size(self._stream.fileno()).columns - ECHO, 1)

    def __call__(self, new: Sequence[Any]) -> None:
        """Count new events in and draw."""
        tally, console = self._tally, self.progress.console
        tally.add(new)
        self._leave_margin()
        for line in tally.news[self._printed :]:
            console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
        self._printed = len(tally.news)
        taken = len(f"100% {LEAST_BAR * '-'} {tally.dealt_with}/{tally.total or '?'} ")
        text = fitting(printable(tally.text()), max(console.width - taken, 1))
        self.progress.update(self._task, total=tally.total or None, completed=tally.dealt_with, description=text)


def fitting(text: str, room: int) -> str:
    """Return as many parts of a text as fit, the remaining time before all others."""
    parts, kept = text.split(", "), list[str]()
    for part in sorted(parts, key=lambda part: not part.endswith(" left")):
        if len(", ".join([*kept, part])) <= room:
            kept.append(part)
    if not kept:
        return f"{parts[0][: room - 1]}…"
    return ", ".join(part for part in parts if part in kept)


class Lines:
    """A line every few seconds at first, less often later; for batch logs."""

    def __init__(self, stream: TextIO, tally: Tally) -> None:
        self._stream, self._tally = stream, tally
        self._started = time.monotonic()
        self._next = FIRST_LINE_SECONDS
        self._phase = ""
        self._printed = 0

    def __call__(self, new: Sequence[Any]) -> None:
        """Count new events in; write a line when the phase changes or one is due."""
        tally = self._tally
        tally.add(new)
        lines = tally.news[self._printed :]
        self._printed = len(tally.news)
        elapsed = time.monotonic() - self._started
        if tally.phase != self._phase or elapsed >= self._next:
            self._phase = tally.phase
            self._next = elapsed + min(max(elapsed / 2, FIRST_LINE_SECONDS), RAREST_LINE_SECONDS)
            done = f"{tally.dealt_with}/{tally.total} {tally.unit_of_work}, " if tally.total else ""
            lines.append(f"{duration(elapsed):>9}  {done}{tally.text()}")
        self._stream.writelines(f"{printable(line)}\n" for line in lines)
        self._stream.flush()
