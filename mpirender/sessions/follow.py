"""Sessions from outside: watch one, list all, stop one. Slurm says what a session could not write down itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from mpirender.errors import LaunchFailed, Stopped, UsageError
from mpirender.sessions import records
from mpirender.sessions.records import ENDED, Event, Records
from mpirender.sessions.session import Watch
from mpirender.system import slurm

POLL_SECONDS = 1.0
ASK_SECONDS = 5.0  # between questions to Slurm
PATIENCE_SECONDS = 10.0  # for the last events to arrive through a network file system
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
ALIVE = (*WAITING, "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
STOPPED_BY_SLURM = ("CANCELLED", "TIMEOUT", "PREEMPTED", "DEADLINE")


def follow(files: Records, watch: Watch, enough: Callable[[Event], bool]) -> Event:
    """Pass on the events of a session until one is enough, or it has ended; return that event.

    :param enough: called with each event.
    """
    shown, asked, reason = 0, 0.0, ""
    while True:
        for event in files.events()[shown:]:
            shown += 1
            if event.what == ENDED or enough(event):
                return event
            watch(event)
        if time.monotonic() - asked >= ASK_SECONDS:
            asked = time.monotonic()
            gone, why = state(files)
            if gone:
                return last_event(files, shown, watch, gone)
            if why not in ("", "None", reason):
                reason = why
                watch(Event("queued", f"waiting: {why}"))
        time.sleep(POLL_SECONDS)


def last_event(files: Records, shown: int, watch: Watch, gone: Event) -> Event:
    """Return the last event of a session that is over, which may still be on its way; ``gone`` if there is none."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for event in files.events()[shown:]:
            shown += 1
            if event.what == ENDED:
                return event
            watch(event)
        time.sleep(POLL_SECONDS)
    files.remove_secrets()
    return gone


def state(files: Records) -> tuple[Event | None, str]:
    """Return how a session has ended without writing it down, None if it goes on; and why it still waits."""
    if not files.id.isdigit():
        host, process = process_of(files)
        gone = host == short_name() and not serves(process)
        return (over("the session's process was killed", LaunchFailed.exit_code) if gone else None), ""
    try:
        fields = slurm.job_fields(files.id)
    except LaunchFailed as error:
        if "Invalid job id" not in str(error):
            return None, ""  # the controller does not respond
        return over("Slurm no longer knows the job", LaunchFailed.exit_code), ""
    name = fields.get("JobState", "").split()[0].split("+")[0]
    if name in ALIVE:
        return None, fields.get("Reason", "") if name in WAITING else ""
    code = Stopped.exit_code if name in STOPPED_BY_SLURM else LaunchFailed.exit_code
    return over(f"Slurm has ended the job: {name}{last_line(files.folder / f'{files.id}.out')}", code), ""


def over(text: str, code: int) -> Event:
    """Return the last event of a session that could not write it down."""
    return Event(ENDED, text, facts={"code": code})


def last_line(log: Path) -> str:
    """Return the last line of a log, to be added to a text."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return f" ({lines[-1]}; see {log})" if lines else ""


def short_name() -> str:
    """Return the name of this host, as in the name of a session."""
    return socket.gethostname().split(".")[0]


def process_of(files: Records) -> tuple[str, int]:
    """Return host and process of a session without Slurm."""
    host, _, process = files.id.rpartition("-")
    return host, int(process) if process.isdigit() else 0


def serves(process: int) -> bool:
    """Return whether a process of this machine is a session."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"serve" in words


def stop(files: Records) -> str:
    """End a session; return a message about it.

    :raises UsageError: it runs on another machine, or has ended.
    :raises LaunchFailed: Slurm refuses, with its message.
    """
    if any(event.what == ENDED for event in files.events()):
        raise UsageError(f"session {files.id} has ended already")
    if files.id.isdigit():
        slurm.run("scancel", files.id)
        return f"Slurm job {files.id} is canceled"
    host, process = process_of(files)
    if host != short_name():
        raise UsageError(f"session {files.id} runs on {host}; stop it there")
    if not serves(process):
        raise UsageError(f"session {files.id} has ended already")
    os.kill(process, signal.SIGTERM)
    return f"session {files.id} is ended"


def cancel(files: Records) -> None:
    """End a session that nobody waits for any more."""
    with contextlib.suppress(LaunchFailed, UsageError):
        stop(files)


def running() -> list[tuple[Records, Event]]:
    """Return the sessions that have not ended, each with what happened last."""
    found = []
    for files in records.every():
        events = files.events()
        if any(event.what == ENDED for event in events) or state(files)[0] is not None:
            continue
        steady = [event for event in events if event.what in ("starting", "ready", "connected", "restarting")]
        found.append((files, steady[-1] if steady else Event("queued", "in the queue")))
    return found
