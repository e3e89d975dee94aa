"""Gives notice of the end of a run, however it ends."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from mpirender.cli.job_from_options import valid_part
from mpirender.errors import MpirenderError, Stopped
from mpirender.system.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from mpirender.job.render_job import RenderJob
    from mpirender.monitor.ending import Ending
    from mpirender.run_folder.events import Event
    from mpirender.supervisor.result import RenderResult

Watch = Callable[[Sequence["Event"]], None]


class EndNotice:
    """Follows a run, and gives notice of its end."""

    def __init__(self, options: dict[str, Any], *, quiet: bool) -> None:
        """Prepare for the job of these options, which may have mistakes."""
        from mpirender.run_folder.run_state import RunState

        self._options, self._quiet, self._state = dict(options), quiet, RunState()
        self._job: RenderJob | None = None
        self._began = time.monotonic()
        self.wanted = bool(options.get("on_end") or options.get("mail"))

    def following(self, job: RenderJob, watch: Watch) -> Watch:
        """Return the function that gets the events of the run of a job, and passes them on."""
        from mpirender.system import mail

        self._job = job
        if job.mail and (problem := mail.problem()):
            self._warn(f"--mail: no mail can be sent: {problem}")
        if not self.wanted:
            return watch

        def follow(new: Sequence[Event]) -> None:
            for event in new:
                self._state.apply(event)
            watch(new)

        return follow

    def finished(self, result: RenderResult, sheet: Path | None, page: Path | None) -> None:
        """Give notice of a run that has made everything."""
        from mpirender.monitor import ending

        if self.wanted and self._job is not None:
            self._give(ending.finished(self._job, result, sheet, page))

    def ended(self, error: BaseException, page: Path | None = None) -> None:
        """Give notice of a run that has failed, or was stopped.

        There is none for a command that is refused before a rank has started, if the user has just read why; nor for a
        run that goes on, because Slurm starts its job again or another run has taken over.
        """
        from mpirender.monitor import ending

        seen = not self._state.launches and sys.stderr.isatty()
        if not self.wanted or seen or (isinstance(error, Stopped) and error.continues):
            return
        job = self._job or valid_part(self._options)
        self._give(ending.ended(job, self._state, error, time.monotonic() - self._began, page))

    def _give(self, ending: Ending) -> None:
        from mpirender.monitor import notice

        try:
            notice.give(ending, self._show, self._warn)
        except Exception as problem:  # it must not change how the run has ended
            self._warn(f"the notice at the end failed: {type(problem).__name__}: {problem}")

    def _show(self, line: str) -> None:
        if not self._quiet:
            click.echo(printable(line))

    def _warn(self, line: str) -> None:
        click.echo(printable(f"mpirender: warning: {line}"), err=True)


@contextlib.contextmanager
def end_notice(options: dict[str, Any], report: Callable[[str, int], int], *, quiet: bool) -> Iterator[EndNotice]:
    """Give an object that gives notice of the end of the run in the block; an error is reported before that.

    :param report: prints an error, and returns its exit code.
    """
    notice = EndNotice(options, quiet=quiet)
    try:
        yield notice
    except MpirenderError as error:
        if not notice.wanted:
            raise
        code = report(error.message, error.exit_code)
        notice.ended(error)
        raise SystemExit(code) from None
    except Exception as error:
        notice.ended(error)
        raise
