"""The notice at the end of a run: a command of the user, which gets the result, and a mail."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mpirender.monitor import notice_mail
from mpirender.monitor.ending import Ending
from mpirender.system import child_process, signals
from mpirender.system.text import duration

COMMAND_SECONDS = 300.0  # that the command of --on-end may take
SHELL = ("/bin/sh", "-c")


def give(ending: Ending, show: Callable[[str], object], warn: Callable[[str], object]) -> None:
    """Send the mails and run the command that the job asks for; a problem with them is only a warning.

    A stop signal ends the command. ``show`` gets its output, and ``warn`` problems, in lines.
    """
    for line in notice_mail.send(ending.job.mail, ending) if ending.job.mail else ():
        warn(line)
    if ending.job.on_end:
        with signals.on_signals() as stop:
            for line in _run(ending, lambda: stop.requested, show):
                warn(line)


def _run(ending: Ending, stop: Callable[[], bool], show: Callable[[str], object]) -> Iterator[str]:
    """Run the command of --on-end; yield what went wrong."""
    command = [*SHELL, str(ending.job.on_end)]
    try:
        code, output = child_process.run_until(
            command, stop, timeout=COMMAND_SECONDS, added=ending.variables(), given=ending.to_json().encode()
        )
    except OSError as error:
        yield f"--on-end: the command could not be started: {error.strerror or error}"
        return
    for line in output.splitlines():
        show(line)
    if code is None:
        yield f"--on-end: the command was ended after {duration(COMMAND_SECONDS)}, or by a signal"
    elif code:
        yield f"--on-end: the command ended with {child_process.ending(code) if code < 0 else f'exit code {code}'}"
