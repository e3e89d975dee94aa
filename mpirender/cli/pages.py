"""Write the page about a run, at its end or while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mpirender.errors import UsageError
from mpirender.system.text import printable

if TYPE_CHECKING:
    from mpirender.job.render_job import RenderJob
    from mpirender.monitor.status.follow import Follower


def follower(output: Path, place: Path) -> Follower:
    """Return what follows a run and writes its page."""
    from mpirender.monitor.report.writing import PageFollower

    return PageFollower(output, place)


def write(job: RenderJob, began: float) -> Path | None:
    """Write the page of a run that began at this time and has ended, if it has; return its path, None without it.

    A problem is a warning: all results of the run are complete, or its error is already printed.
    """
    from mpirender.monitor.report import writing
    from mpirender.monitor.status.follow import Follower

    try:
        ended = Follower(job.output).look().ended
        return writing.of_run(job) if ended is not None and ended >= began else None
    except UsageError:  # nothing was begun here, or another run goes on
        return None
    except Exception as error:  # a mistake in the page must not hide the result
        why = getattr(error, "strerror", None) or error
        click.echo(printable(f"warning: the report could not be written: {why}"), err=True)
    return None
