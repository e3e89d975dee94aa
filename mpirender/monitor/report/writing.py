"""Write the page of a run: into its folder when it has ended, or to any file."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

from mpirender.errors import UsageError
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.monitor.report import page
from mpirender.monitor.report.pictures import Album
from mpirender.monitor.report.reading import Reading
from mpirender.monitor.status.follow import Follower, job_of
from mpirender.monitor.status.view import ENDED, Status
from mpirender.run_folder import own_files
from mpirender.run_folder.journal import OF_SUPERVISOR
from mpirender.system import files

REFRESH_SECONDS = 20  # after which a browser loads the page of a run in progress again
LEAST_PAUSE = 8.0  # seconds between two pages; making one takes at most a 20th of the time
SHARE = 20
MARK, MARK_WITHIN = b'<meta name="generator" content="mpirender ', 1000  # in the first bytes of a page


def of_run(job: RenderJob, follower: Follower) -> Path:
    """Write the page of a run that has ended into its folder; return its path.

    :param follower: that of its folder, which may have read the journals already.
    :raises OSError: it cannot be written.
    :raises UsageError: a run uses the folder, or a file is in the way that mpirender did not make.
    """
    place = job.output / own_files.REPORT
    text = of_folder(follower, Album(), job.output)  # before the lock is taken, since it takes seconds
    with own_files.recording(job) as made:
        own_files.refuse(job, place, OF_SUPERVISOR)
        files.write_text(place, text, made=made)
    return place


def again(output: Path) -> Path:
    """Write the page of the run in an output folder again; return its path.

    :raises UsageError: the folder is not that of a run, a run uses it, or it cannot be written.
    """
    elsewhere = f"write the page elsewhere: mpirender status {shlex.quote(str(output))} --html FILE"
    follower = Follower(output)
    if follower.look().state == "running":
        raise UsageError(f"{output}: a run is in progress, which writes its page at its end; {elsewhere}")
    if (job := job_of(output / FOLDER)) is None:
        raise UsageError(f"{output / FOLDER / 'job.json'}: missing, damaged or of another version; {elsewhere}")
    try:
        return of_run(job, follower)
    except OSError as error:
        why = f"cannot be written ({error.strerror or error})"
        raise UsageError(f"{output / own_files.REPORT}: {why}; {elsewhere}") from None


def trial(output: Path) -> None:
    """Make the page of the run in an output folder, and do not keep it."""
    of_folder(Follower(output), Album(), output)


def of_folder(follower: Follower, album: Album, place: Path, *, status: Status | None = None, refresh: int = 0) -> str:
    """Return the page of the run in a folder as it is now, for a file in the folder ``place``.

    :param status: that of the run, if the follower has just returned it.
    :param refresh: seconds after which a browser loads the page of a run in progress again.
    :raises UsageError: the folder is not that of a run, or cannot be read.
    """
    status = status or follower.look()
    reading = Reading(status, job_of(follower.output / FOLDER), follower.history)
    return page.html(reading, album, place.absolute(), refresh * (status.state == "running"))


class PageFollower(Follower):
    """Follows a run, and writes its page into a file each time that it looks; of a run in progress not too often."""

    def __init__(self, output: Path, place: Path) -> None:
        super().__init__(output)
        self._place, self._album = place, Album()
        self._pause, self._written, self._state = 0.0, 0.0, ""
        if place.resolve() == (output / own_files.REPORT).resolve():
            raise UsageError(f"--html {place}: the run writes this file at its end; choose another name")
        if place.is_dir() or (os.path.lexists(place) and not _is_page(place)):
            raise UsageError(f"--html {place}: mpirender did not make this; choose another name")

    def look(self) -> Status:
        """Return what the run is doing now, and write the page if it is time for that.

        :raises UsageError: the folder is not that of a run, or the page cannot be written for the first time.
        """
        status, began = super().look(), time.monotonic()
        if status.state == self._state and (status.state in ENDED or began - self._written < self._pause):
            return status
        text = of_folder(self, self._album, self._place.parent, status=status, refresh=REFRESH_SECONDS)
        try:
            files.write_text(self._place, text)
        except OSError as error:
            if not self._state:
                raise UsageError(f"--html {self._place}: cannot be written ({error.strerror or error})") from None
            return status  # the next look tries again
        self._written, self._state = time.monotonic(), status.state
        self._pause = max(LEAST_PAUSE, SHARE * (self._written - began))
        return status


def _is_page(place: Path) -> bool:
    """Return whether a file is a page that mpirender wrote."""
    try:
        return MARK in files.content(place)[:MARK_WITHIN]
    except OSError:
        return False
