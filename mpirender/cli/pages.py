"""Write the page about a run, at its end or while it goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mpirender.errors import MpirenderError, NoSpace, UsageError, out_of_space
from mpirender.system.text import printable

if TYPE_CHECKING:
    from mpirender.job.render_job import RenderJob
    from mpirender.monitor.status.follow import Follower


def follower(output: Path, place: Path) -> Follower:
    """Return what follows a run and writes its page."""
    from mpirender.monitor.report.writing import PageFollower

    return PageFollower(output, place)


def again(output: Path) -> str:
    """Write the page of a run again; return its path, size and the time that this took.

    :raises UsageError: the folder is not that of a run, a run uses it, or it cannot be written.
    """
    from mpirender.monitor.report import writing
    from mpirender.supervisor.disk_estimate import amount

    began = time.monotonic()
    place = writing.again(output)
    return f"{place} ({amount(place.stat().st_size)}, made in {time.monotonic() - began:.1f} s)"


def write(job: RenderJob, began: float, error: MpirenderError | None = None) -> Path | None:
    """Write the page of a run that began at this time and has ended, if it has; return its path, None without it.

    A problem is a warning: all results of the run are complete, or its ``error`` is already printed. A full disk is
    named only once.
    """
    from mpirender.monitor.report import writing
    from mpirender.monitor.status.follow import Follower

    try:
        follower = Follower(job.output)
        ended = follower.look().ended
        return writing.of_run(job, follower) if ended is not None and ended >= began else None
    except UsageError:  # nothing was begun here, or another run goes on
        return None
    except Exception as problem:  # a mistake in the page must not hide the result
        if isinstance(error, NoSpace) and out_of_space(problem):
            return None
        why = getattr(problem, "strerror", None) or problem
        click.echo(printable(f"mpirender: warning: the report could not be written: {why}"), err=True)
    return None
