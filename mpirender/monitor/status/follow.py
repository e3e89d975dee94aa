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
from mpirender.monitor.status.history import History
from mpirender.monitor.status.view import ENDED, Status, status_of
from mpirender.run_folder import lock
from mpirender.run_folder.journal import Tail

WATCH_SECONDS = 2.0


class Follower:
    """Reads the journals of a folder, and when asked again only what was appended since."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self._history = History()
        self._tail = Tail(output / FOLDER, from_start=True)

    def look(self) -> Status:
        """Return what the run is doing now.

        Raises:
            UsageError: no run was ever asked for in this folder, or it cannot be read.
        """
        folder = self.output / FOLDER
        try:
            if not folder.is_dir():
                hint = "give the folder that render wrote to (--output; SCENE_renders by default)"
                raise UsageError(f"{self.output}: no run of mpirender here; {hint}")
            # The lock first: a run that ends in between has then written how.
            owner = lock.living_owner(folder)
            if owner is not None and owner.run in (lock.ENCODE, lock.DRY_RUN):
                owner = None  # what is told is the run before
            self._read_on()
        except OSError as error:
            raise UsageError(f"{self.output}: cannot be read ({error.strerror or error})") from None
        return status_of(self._history, owner, output=self.output, scene=_scene(folder), now=time.time())

    def _read_on(self) -> None:
        """Count in what was written since the last time."""
        if self._tail.replaced():
            self._history, self._tail = History(), Tail(self._tail.folder, from_start=True)
        for record in self._tail.each():
            self._history.add(record)


def _scene(folder: Path) -> str:
    """Return the name of the scene, empty when the job does not tell."""
    try:
        return RenderJob.from_json((folder / "job.json").read_text()).scene.name
    except (OSError, ValueError, TypeError, KeyError, MpirenderError):  # perhaps written by another version
        return ""


def as_text(seen: Status) -> str:
    """Write a status for people."""
    return "\n".join(text.lines(seen)) + "\n"


def as_json(seen: Status) -> str:
    """Write a status as a line of JSON."""
    return json.dumps(dataclasses.asdict(seen)) + "\n"


def watch(follower: Follower, stream: TextIO, *, json_lines: bool = False) -> None:
    """Show a run until it has ended: on a terminal in place, elsewhere a block whenever there is news."""
    if json_lines:
        on_news(follower, stream, as_json)
    elif stream.isatty():
        on_terminal(follower, stream)
    else:
        on_news(follower, stream, as_text, between="\n")


def looks(follower: Follower) -> Iterator[Status]:
    """Yield what is to be seen every two seconds, last the end of the run."""
    while True:
        seen = follower.look()
        yield seen
        if seen.state in ENDED:
            return
        time.sleep(WATCH_SECONDS)


def on_terminal(follower: Follower, stream: TextIO) -> None:
    """Show a run in place until it has ended, and leave the last that was seen on the screen."""
    console = Console(file=stream)
    seen = None
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            for seen in looks(follower):
                shown = text.fitting(seen, console.width, console.height)
                live.update(Text("\n".join(shown), no_wrap=True, overflow="crop"), refresh=True)
    finally:
        if seen is not None:
            stream.write(as_text(seen))
            stream.flush()


def on_news(follower: Follower, stream: TextIO, write: Callable[[Status], str], between: str = "") -> None:
    """Write a run down whenever there is news of it, until it has ended.

    Args:
        between: goes between what is written.
    """
    before = None
    for seen in looks(follower):
        if seen.news() != before:
            stream.write(between * (before is not None) + write(seen))
            stream.flush()
        before = seen.news()
