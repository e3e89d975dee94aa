"""Run a session where this process is: on this machine, or in the Slurm job that it belongs to."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mpirender import engines
from mpirender.errors import LaunchFailed, MpirenderError, Stopped, UsageError, one_line
from mpirender.launcher import command_line, exit_diagnosis, launch_plan
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.placement import RankRequest
from mpirender.sessions import records, server
from mpirender.sessions.rank import DEVICES, FOUND, MODULE
from mpirender.sessions.records import ENDED, Event, Records
from mpirender.sessions.session import Session, SessionRequest, Watch
from mpirender.system import child_process, signals, slurm
from mpirender.system.signals import StopRequest
from mpirender.system.slurm import Allocation
from mpirender.system.text import plural

DEVICES_SECONDS = 300.0  # for ParaView to load and be probed on all nodes
OUTPUT_SHOWN = 300  # characters


def serve(request: SessionRequest, watch: Watch) -> None:
    """Serve a client, or with ``keep`` one after the other, and leave no process behind.

    :param watch: called with every event.
    :raises MpirenderError: what prevented or ended the session, if it was not a client that left.
    """
    allocation = slurm.allocation()
    files = Records(records.home(), identifier(allocation))
    with records.private_files(), signals.on_signals() as stop:
        files.journal.unlink(missing_ok=True)  # of an earlier cluster that counted from 1, or an earlier process
        try:
            check(request)
            start(request, allocation, files, watch, stop).run()
        except MpirenderError as error:
            end(files, error.exit_code, error.message)
            raise
        except OSError as error:
            problem = UsageError(f"{error.filename or files.folder}: {error.strerror}")
            end(files, problem.exit_code, problem.message)
            raise problem from None
        except BaseException as error:
            end(files, 1, f"{type(error).__name__}: {error}")
            raise
        watch(end(files, 0, "the client has left"))


def end(files: Records, code: int, text: str) -> Event:
    """Record the end of a session, and remove the files that are of use only before."""
    files.remove_secrets()
    event = Event(ENDED, text, facts={"code": code})
    files.write(event)
    return event


def identifier(allocation: Allocation | None) -> str:
    """Return the name of the session: the number of the Slurm job, or host and process."""
    return allocation.job if allocation else f"{socket.gethostname().split('.')[0]}-{os.getpid()}"


def check(request: SessionRequest) -> None:
    """Raise UsageError for options that cannot work."""
    mistakes = list(request.programs.mistakes())
    if request.launcher == "none" and request.ranks not in (None, 1):
        mistakes.append(f"--launcher none starts one rank, not {request.ranks}; leave out --ranks")
    if request.output_file is not None:
        try:
            request.output_file.open("a").close()
        except OSError as error:
            mistakes.append(f"--output-file {request.output_file}: {error.strerror}")
    if mistakes:
        raise UsageError(mistakes)


def start(
    request: SessionRequest, allocation: Allocation | None, files: Records, watch: Watch, stop: StopRequest
) -> Session:
    """Find out where and with what the ranks run."""
    engine, programs = engines.get("paraview"), request.programs
    path = server.program(engine, programs)
    engine.verify(programs)
    plan = plan_of(request, allocation, files.folder, stop, lambda text: watch(Event("warning", text)))
    nodes = ", ".join(plan.placement.nodes) or "this machine"
    files.write(started := Event("starting", f"{path} on {nodes} with {plan.placement.launcher}"))
    watch(started)
    devices = devices_of(plan, request, stop)
    facts: dict[str, Any] = {
        "session": files.id, "version": engine.version(programs), "host": devices[0]["host"], "devices": devices,
        "connect_id": connect_id(request), "ends": end_time(request, allocation), "keep": request.keep,
        "login": request.login, "local_port": request.local_port, "reverse": request.reverse,
        "server_file": str(files.server_file), "here": allocation is None,
    }  # fmt: skip
    python_path = os.environ.get("PYTHONPATH", "")
    return Session(request, files, watch, stop, plan, facts, path, python_path)


def connect_id(request: SessionRequest) -> int:
    """Return the connection id: that of the file, which is removed, or a new one."""
    if request.id_file is None:
        return server.new_id()
    number = int(request.id_file.read_text())
    request.id_file.unlink()
    return number


def version(request: SessionRequest) -> str:
    """Return the version of ParaView that would serve; empty if it is not known here."""
    return engines.get("paraview").version(request.programs)


def plan_of(
    request: SessionRequest, allocation: Allocation | None, folder: Path, stop: StopRequest,
    note: Callable[[str], object],
) -> LaunchPlan:  # fmt: skip
    """Plan where the ranks run and what starts them; ``stop`` ends the plan's probe, ``note`` takes its messages."""
    wanted = RankRequest(request.launcher, request.ranks if request.ranks or allocation else 1)
    return launch_plan.make(
        engines.get("paraview"), request.programs, wanted, allocation, folders=[folder], stop=lambda: stop.requested,
        note=note,
    )  # fmt: skip


def dry_run_lines(request: SessionRequest) -> list[str]:
    """Check a request, and return what would be started; nothing is.

    :raises MpirenderError: it cannot be started.
    """
    check(request)
    engine, programs, allocation = engines.get("paraview"), request.programs, slurm.allocation()
    path, version = server.program(engine, programs), engine.version(programs)
    with signals.on_signals() as stop:
        plan = plan_of(request, allocation, records.place(), stop, lambda text: None)
    nodes = ", ".join(plan.placement.nodes) or "this machine"
    head = f"ParaView {version} on {nodes}: {plural(plan.placement.ranks, 'rank')} of {path}"
    start_file = records.Records(records.place(), identifier(allocation)).start
    return [head, "", command_line.for_shell(plan.command("-m", MODULE, str(start_file)), plan.environment)]


def devices_of(plan: LaunchPlan, request: SessionRequest, stop: StopRequest) -> list[dict[str, Any]]:
    """Let the ranks agree on a backend; return host, backend and device of each.

    :raises MpirenderError: what the ranks reported, or that they did not start.
    """
    command = plan.command("-m", MODULE, DEVICES, json.dumps(asdict(request.programs)))
    code, output = child_process.run_until(
        command, lambda: stop.requested, timeout=DEVICES_SECONDS, added=plan.environment
    )
    lines = output.splitlines()
    found = [line.removeprefix(FOUND) for line in lines if line.startswith(FOUND)]
    if found:
        devices: list[dict[str, Any]] = json.loads(found[-1])
        return devices
    if stop.requested:
        raise Stopped(f"stopped on {stop.name} before the server was started", signal=stop.name)
    if code is None:
        raise LaunchFailed(f"the ranks did not start within {DEVICES_SECONDS:.0f} s; check the nodes and the launcher")
    shown = one_line(output)[-OUTPUT_SHOWN:]
    raise exit_diagnosis.printed_error(lines, code) or LaunchFailed(
        f"the ranks ended before the server was started ({child_process.ending(code)}): {shown}"
    )


def end_time(request: SessionRequest, allocation: Allocation | None) -> float | None:
    """Return when the time of the session is over, in seconds since 1970; None for never."""
    if allocation is not None:
        return slurm.end_time(allocation.job)
    return None if request.seconds is None else time.time() + request.seconds
