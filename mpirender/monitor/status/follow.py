"""Read the folder of a run, once or until the run has ended; nothing is written into it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mpirender.errors import MpirenderError, UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.monitor.status import text
from mpirender.monitor.status.view import ENDED, Status, status_of
from mpirender.run_folder import lock, own_files
from mpirender.run_folder.folder import no_run
from mpirender.run_folder.journal import Tail
from mpirender.run_folder.run_state import RunHistory
from mpirender.system import files, slurm

WATCH_SECONDS = 2.0


class Follower:
    """Reads the journals of a folder; each later reading covers only what was appended since."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.history = RunHistory()
        self._tail = Tail(output / FOLDER, from_start=True)

    def look(self) -> Status:
        """Return what the run is doing now.

        :raises UsageError: the folder is not that of a run, or cannot be read.
        """
        folder = self.output / FOLDER
        try:
            if not folder.is_dir():
                raise no_run(self.output)
            # The lock first: a run that ends in between has recorded its end.
            owner = lock.living_owner(folder)
            if owner is not None and owner.run in lock.NO_RUNS:
                owner = None  # the status is that of the last run
            if self._tail.replaced():
                self.history, self._tail = RunHistory(), Tail(folder, from_start=True)
            for event in self._tail.each():
                self.history.apply(event)
        except OSError as error:
            raise UsageError(f"{self.output}: cannot be read ({error.strerror or error})") from None
        job, skipped = job_of(folder), self._tail.skipped
        scene = "" if job is None else job.scene.name
        seen = status_of(self.history, owner, output=self.output, scene=scene, now=time.time(), skipped=skipped)
        if seen.state == "died" and (launch := self.history.newest(None).now.launch) is not None and launch.job:
            again = launch.cluster in ("", slurm.cluster()) and slurm.starts_again(launch.job, launch.allocation)
            return dataclasses.replace(seen, starts_again=again)
        return _with_results(seen, job) if job is not None and seen.state == "finished" else seen


def job_of(folder: Path) -> RenderJob | None:
    """Return the job of a folder, which may have been moved, None if it cannot be read."""
    try:
        job = RenderJob.from_json(files.content(folder / "job.json").decode())
    except (OSError, ValueError, TypeError, KeyError, MpirenderError):  # e.g. written by another version
        return None
    return dataclasses.replace(job, output=folder.parent)


def _with_results(seen: Status, job: RenderJob) -> Status:
    """Add the movies and the contact sheet, as far as they are there."""
    movies = [] if job.movie == "none" else [job.movie_path(output) for output in job.outputs]
    sheet = job.output / own_files.CONTACT_SHEET
    return dataclasses.replace(
        seen, movies=tuple(str(path) for path in movies if path.exists()), contact_sheet=str(sheet) * sheet.exists()
    )


def as_text(seen: Status) -> str:
    """Write a status for people."""
    return "\n".join(text.lines(seen)) + "\n"


def as_json(seen: Status) -> str:
    """Write a status as a line of JSON."""
    return json.dumps(dataclasses.asdict(seen)) + "\n"


def watch(
    follower: Follower, stream: TextIO, *, json_lines: bool = False, unread: Callable[[], bool] = lambda: False
) -> None:
    """Show a run until it has ended: in place on a terminal, elsewhere as a block whenever it changes.

    :param unread: says whether nobody reads the stream any more, which ends the watching, too.
    """
    seen = looks(follower, unread)
    if json_lines:
        on_news(seen, stream, as_json)
    elif stream.isatty():
        on_terminal(seen, stream)
    else:
        on_news(seen, stream, as_text, between="\n")


def looks(follower: Follower, unread: Callable[[], bool]) -> Iterator[Status]:
    """Yield the status every two seconds, at last that of the ended run."""
    while True:
        seen = follower.look()
        yield seen
        if seen.state in ENDED or unread():
            return
        time.sleep(WATCH_SECONDS)


def on_terminal(looks: Iterator[Status], stream: TextIO) -> None:
    """Show a run in place until it has ended, and leave the last status on the screen."""
    console = Console(file=stream)
    seen = None
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            for seen in looks:
                shown = text.fitting(seen, console.width, console.height)
                live.update(Text("\n".join(shown), no_wrap=True, overflow="crop"), refresh=True)
    finally:
        if seen is not None:
            stream.write(as_text(seen))
            stream.flush()


def on_news(looks: Iterator[Status], stream: TextIO, write: Callable[[Status], str], between: str = "") -> None:
    """Write the status whenever it changes, until the run has ended, with a text between two of them."""
    before = None
    for seen in looks:
        if seen.news() != before:
            stream.write(between * (before is not None) + write(seen))
            stream.flush()
        before = seen.news()
