"""A running session: start pvserver, follow its output, say what happens, and start it again with --keep."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mpirender.errors import Interrupted, LaunchFailed, MpirenderError, Stopped
from mpirender.job.programs import Programs
from mpirender.launcher import exit_diagnosis
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.process import Launch, sweep
from mpirender.sessions import handshake, mail, records, server, texts
from mpirender.sessions.rank import MODULE
from mpirender.sessions.records import Event, Records
from mpirender.system import child_process
from mpirender.system.signals import StopRequest

POLL_SECONDS = 0.1
START_SECONDS = 300.0  # for pvserver to load on all nodes
WARN_SECONDS = 300.0  # before the end of the session
MOST_WRONG_IDS = 10
MOST_FAILURES = 3  # servers in a row that ended without a client
LOCAL_PORT = 11111
REFUSALS = {
    "id": "a client with a wrong connection id was refused ({count} of " + f"{MOST_WRONG_IDS}" + ")",
    "version": "a client of another version of ParaView was refused: this server is ParaView {version}",
    "garbage": "a connection was refused that is not from a ParaView client",
}
Watch = Callable[[Event], object]


@dataclass(frozen=True)
class SessionRequest:
    """What a user asks of a session."""

    programs: Programs
    launcher: str = "auto"
    ranks: int | None = None  # None for as many as the Slurm job has tasks, or one on a single machine
    seconds: float | None = None  # time limit on a machine without Slurm
    keep: bool = False  # whether the server serves again when its client has left
    login: str = ""  # user@host for the tunnel; empty for this machine
    local_port: int = LOCAL_PORT  # of the tunnel on the user's machine
    output_file: Path | None = None  # for a copy of the server's output
    mail: str = ""  # address to which the connection lines are sent
    reverse: str = ""  # HOST:PORT of a ParaView that waits for the server
    id_file: Path | None = None  # that holds the connection id, if the user knows it already; removed when read


class Ending(NamedTuple):
    """How a pvserver ended, or why it must end."""

    error: MpirenderError | None  # None if its client has left
    final: bool = False  # whether the session ends with it even with --keep


@dataclass
class Session:
    """A session whose ranks and devices are known."""

    request: SessionRequest
    files: Records
    watch: Watch
    stop: StopRequest
    plan: LaunchPlan
    facts: dict[str, Any]  # of the event `ready`, and so in the journal
    program: str  # path of pvserver
    python_path: str  # of the user, to which the launch plan adds
    output: server.Output = field(default_factory=server.Output)  # of the present server
    connected: bool = False  # whether a client is, or has been
    ready: bool = False
    wrong_ids: int = 0
    warned: bool = False  # of the end
    mailed: str = ""  # the text of the last mail

    def tell(self, what: str, text: str, facts: Mapping[str, Any] | None = None) -> None:
        """Record an event and show it."""
        event = Event(what, text, facts=dict(facts or {}))
        self.files.write(event)
        self.watch(event)

    def run(self) -> None:
        """Serve a client, or with --keep one after the other.

        :raises MpirenderError: what ended the session, if it was not a client that left.
        """
        failures = 0
        while True:
            ending = self.serve_once()
            failures = failures + 1 if ending.error and not self.connected else 0
            if ending.error and (ending.final or not self.request.keep or failures >= MOST_FAILURES):
                raise ending.error
            if not ending.error and not self.request.keep:
                return
            if self.output.problem:
                self.facts.pop("port", None)  # another process has taken it
            self.tell("restarting", f"{ending.error or 'the client has left'}; the server is started again (--keep)")

    def serve_once(self) -> Ending:
        """Start pvserver and follow it to its end."""
        self.output, self.connected, self.ready = server.Output(), False, False
        rank_words, ending = self._write_start(), None
        deadline = time.monotonic() + START_SECONDS
        with Launch(
            self.plan.command(*rank_words), self.plan.environment, rank_words=rank_words, log=self.files.log
        ) as launch:
            if self.request.reverse:
                self._tell_ready()
            while launch.code is None and ending is None:
                self._read(launch)
                ending = self._reason_to_end(deadline)
                time.sleep(POLL_SECONDS)
            if ending:
                launch.end()
        sweep(server.own_words(self.facts["connect_id"]))
        self._read(launch)
        ending = ending or self._reason_to_end(deadline) or self._ending_of(launch)
        if self.connected:
            self.tell("disconnected", "the client is no longer connected")
        return ending

    def _write_start(self) -> list[str]:
        """Write down what the ranks become; return the words that start them."""
        ends = self.facts["ends"]
        minutes = None if ends is None else int((ends - time.time()) / 60)
        port = self.facts.get("port", 0)  # of the server before this one, so that tunnels stay as they are
        words = server.words(self.program, self.facts["connect_id"], port, minutes, self.request.reverse)
        start = {
            "server": words, "devices": self.facts["devices"], "display": self.request.programs.display,
            "environment": {"PYTHONPATH": self.python_path},
        }  # fmt: skip
        records.write_json(self.files.start, start)
        return ["-m", MODULE, str(self.files.start)]

    def _read(self, launch: Launch) -> None:
        """Read new lines of the server, copy them, and act on them."""
        lines = launch.new_lines()
        if lines and self.request.output_file is not None:
            with contextlib.suppress(OSError), self.request.output_file.open("a") as copy:
                copy.writelines(f"{line}\n" for line in lines)
        for notice in self.output.read(lines):
            if notice.what == "accepting":
                self._check(notice.host, notice.port)
            elif notice.what == "connected":
                self.connected = True
                self.tell("connected", "a client has connected")
            else:
                self.wrong_ids += notice.what == "id"
                text = REFUSALS[notice.what].format(count=self.wrong_ids, version=self.facts["version"])
                self.tell("refused", text, {"why": notice.what})

    def _check(self, host: str, port: int) -> None:
        """See that the server works, and say how to connect."""
        self.output.expect_own_check()
        reached = "localhost" if host == socket.gethostname() else host  # a host may not know its own name
        problem = handshake.problem_of(reached, port, texts.short(self.facts["version"]))
        if problem:
            self.output.problem = f"pvserver does not respond on {host}:{port}: {problem}"
            return
        self.facts.update(host=host, port=port)
        self._tell_ready()

    def _tell_ready(self) -> None:
        self.ready = True
        records.write_private(self.files.server_file, texts.server_file(self.facts, self.files.id))
        text = texts.ready_text(self.facts)
        self.tell("ready", text, self.facts)
        if self.request.mail and text != self.mailed:
            self.mailed = text
            problem = mail.problem_of_sending(self.request.mail, self.facts, text)
            sent = f"not sent: {problem}" if problem else f"sent to {self.request.mail}"
            self.tell("mail", sent, {"sent": not problem})

    def _reason_to_end(self, deadline: float) -> Ending | None:
        """Return why the server must end now; None if it may go on. Warn before the time is over."""
        ends, lost = self.facts["ends"], "; what was loaded in the session is lost"
        if self.stop.interrupted:
            return Ending(Interrupted(f"interrupted{lost}"), final=True)
        over = ends is not None and time.time() >= ends
        if over or (self.stop.requested and ends is not None and time.time() >= ends - WARN_SECONDS / 5):
            return Ending(Stopped(f"the time limit is reached{lost}", signal=self.stop.name), final=True)
        if self.stop.requested:
            text = f"stopped on {self.stop.name} (scancel, or mpirender serve --stop){lost}"
            return Ending(Stopped(text, signal=self.stop.name), final=True)
        if self.wrong_ids >= MOST_WRONG_IDS:
            who = f"{MOST_WRONG_IDS} clients had a wrong connection id"
            return Ending(LaunchFailed(f"{who}: the server was ended, since somebody may be guessing it"), final=True)
        if not self.ready and (self.output.problem or time.monotonic() > deadline):
            return Ending(LaunchFailed(self.output.problem or f"pvserver is not ready after {START_SECONDS:.0f} s"))
        if ends is not None and not self.warned and time.time() >= ends - WARN_SECONDS:
            self.warned = True
            self.tell("ending", f"the time limit is reached at {texts.clock(ends)}; save your state now")
        return None

    def _ending_of(self, launch: Launch) -> Ending:
        """Return how a server ended by itself."""
        if launch.code == 0 and self.connected:
            return Ending(None)
        error = exit_diagnosis.printed_error(launch.output, launch.code or 0)
        if error is not None:
            return Ending(error)
        where = f"see {self.files.log}"
        if self.request.reverse and not self.connected:
            what = f"no ParaView waits at {self.request.reverse}; choose File > Connect there before this command"
            return Ending(LaunchFailed(f"{what} ({where})"))
        if launch.code == 0:
            return Ending(LaunchFailed(f"pvserver ended without a client: {self.output.problem or where}"))
        death = exit_diagnosis.first_death(launch.output)
        how = death.how or child_process.ending(launch.code or 0)
        who = "pvserver" if death.rank is None else f"rank {death.rank} of pvserver"
        return Ending(LaunchFailed(f"{who} died ({how}); what was loaded in the session is lost; {where}"))
