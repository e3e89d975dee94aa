"""The command ``serve``: its options become a session, its events lines, and its end an exit code."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from mpirender.errors import Interrupted, UsageError
from mpirender.job.options import mail_address
from mpirender.job.programs import Programs
from mpirender.sessions import desktop, follow, job, mail, records, relay, resources, serve, server, texts
from mpirender.sessions.job import SessionJob
from mpirender.sessions.records import ENDED, Event, Records
from mpirender.sessions.session import SessionRequest, Watch
from mpirender.system import files, host, site, slurm

Value = TypeVar("Value")
HERE = ("mpiexec", "none")  # launchers that, outside a Slurm job, serve on this machine


def run(options: dict[str, Any]) -> None:
    """Do what the options ask for."""
    watch = printer(as_json=options["as_json"])
    if options["list_all"]:
        list_sessions(as_json=options["as_json"])
    elif options["stop"]:
        click.echo(follow.stop(records.of(options["stop"])))
    elif options["desktop_file"]:
        write_desktop_file(options)
    elif options["relay"]:
        relay_session(job_of(options), watch, options["relay"], options["client_version"] or "")
    elif options["watch"]:
        exit_with(watched(records.of(options["watch"]), watch, lambda event: False))
    elif slurm.allocation() is None and options["launcher"] not in HERE:
        submit(job_of(options), watch, dry_run=options["dry_run"], print_only=options["print_only"])
    elif options["dry_run"]:
        click.echo("\n".join(serve.dry_run_lines(request_of(options))))
    else:
        serve.serve(request_of(options), watch)


def submit(wanted: SessionJob, watch: Watch, *, dry_run: bool, print_only: bool) -> None:
    """Submit a session, and wait until it is ready."""
    if print_only or dry_run:
        click.echo(job.script_for(wanted, records.place()), nl=False)
        return
    files, event = job.submit(wanted)
    if wanted.shared:
        watch(Event("warning", job.SHARED))
    watch(event)
    last = watched(files, watch, lambda event: event.what == "ready")
    if last.what == "ready" and wanted.session.mail:
        watch(mailed(files, last, wanted.session.mail))
    exit_with(last)


def relay_session(wanted: SessionJob, watch: Watch, port: int, client_version: str) -> None:
    """Submit a session for a ParaView that has started this command through ssh, and lead its tunnel to the server."""
    relay.check_version(client_version, serve.version(wanted.session))
    number = site.read(site.CONNECT_ID)
    if not number.isdigit() or not int(number):
        raise UsageError(f"{site.CONNECT_ID} is not set; ParaView sets it with the file of --desktop-file")
    with relay.relaying(port) as opened:
        session, event = job.submit(wanted, int(number))
        watch(event)
        relay.when_input_ends(lambda: follow.cancel(session))

        def lead(event: Event) -> None:
            if event.what == "ready":
                opened.lead_to(event.facts["host"], event.facts["port"])
            watch(event)

        last = watched(session, lead, lambda event: False)
    exit_with(last)


def write_desktop_file(options: dict[str, Any]) -> None:
    """Write the file with which ParaView's Connect dialog starts sessions here."""
    path = Path(options["desktop_file"])
    program = Path(sys.executable).with_name("mpirender")
    text = desktop.server_file(login(options["login_host"]), str(program), options["local_port"])
    try:
        files.write_text(path, text)
    except OSError as error:
        raise UsageError(f"--desktop-file {path}: {error.strerror}") from None
    click.echo(f"{path}: copy it to your computer and import it in ParaView (File > Connect > Load Servers)")


def mailed(files: Records, ready: Event, address: str) -> Event:
    """Return whether the mail was sent, from the node or, since nodes often cannot send mail, from here."""
    last = follow.follow(files, lambda event: None, lambda event: event.what == "mail")
    if last.what != "mail" or last.facts.get("sent"):
        return last
    problem = mail.problem_of_sending(address, ready.facts, ready.text)
    return Event("warning", f"the mail was not sent: {problem}") if problem else Event("mail", f"sent to {address}")


def watched(files: Records, watch: Watch, enough: Callable[[Event], bool]) -> Event:
    """Show the events of a session until one is enough or it has ended; return that event."""
    try:
        last = follow.follow(files, watch, enough)
    except KeyboardInterrupt:
        raise Interrupted(f"the session goes on; mpirender serve --watch {files.id}") from None
    watch(last)
    return last


def exit_with(last: Event) -> None:
    """Exit with the code of a session that has ended."""
    if last.what == ENDED and last.facts.get("code"):
        sys.exit(int(last.facts["code"]))


def list_sessions(*, as_json: bool) -> None:
    """Print the sessions that have not ended."""
    running = follow.running()
    if as_json:
        click.echo(json.dumps([{"session": session.id, **event.to_json()} for session, event in running]))
    elif not running:
        click.echo("no session is running")
    for session, event in [] if as_json else running:
        click.echo(f"{session.id:>{texts.LABEL_WIDTH}}  {event.what}: {event.text.splitlines()[0]}")


def printer(*, as_json: bool) -> Callable[[Event], None]:
    """Return the function that prints an event at once."""

    def show(event: Event) -> None:
        click.echo(json.dumps(event.to_json()) if as_json else texts.labeled(event.what, event.text))
        with contextlib.suppress(OSError):
            sys.stdout.flush()

    return show


class Reading:
    """Reads values of options, and collects the mistakes in them."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.mistakes: list[str] = []

    def read(self, option: str, reader: Callable[[str], Value]) -> Value | None:
        """Return the value of an option, None if it was not given or is wrong."""
        text = self.options[option.strip("-").replace("-", "_")]
        try:
            return None if text is None else reader(text)
        except ValueError as error:
            self.mistakes.append(f"{option} {error}")
            return None


def request_of(options: dict[str, Any]) -> SessionRequest:
    """Make a request of the options.

    :raises UsageError: with every mistake in them.
    """
    reading = Reading(options)
    address, reverse = reading.read("--mail-user", mail_address), reading.read("--reverse", server.client_address)
    memory, seconds = reading.read("--memory", resources.parse), reading.read("--time", resources.seconds)
    ranks = options["ranks"]
    if ranks is not None and ranks < 1:
        reading.mistakes.append(f"--ranks {ranks} must be at least 1")
    if not 0 < options["local_port"] < 65536:
        reading.mistakes.append(f"--local-port {options['local_port']} is not the number of a port")
    if reading.mistakes:
        raise UsageError(reading.mistakes)
    if ranks is None and memory is not None:
        ranks = resources.ranks_for(memory, resources.rank_memory(), resources.most_ranks())
    programs = Programs(**{one.name: options[one.name] for one in fields(Programs) if one.name in PROGRAMS})
    output_file, id_file = options["output_file"], options["id_file"]
    return SessionRequest(
        programs, options["launcher"], ranks, seconds, options["keep"], login(options["login_host"]),
        options["local_port"], Path(output_file).absolute() if output_file else None, address or "", reverse or "",
        Path(id_file) if id_file else None,
    )  # fmt: skip


PROGRAMS = ("pvbatch", "mpiexec", "container", "backend", "allow_software", "display")


def job_of(options: dict[str, Any]) -> SessionJob:
    """Make a Slurm job of the options.

    :raises UsageError: with every mistake in them.
    """
    request = request_of(options)
    each = resources.rank_memory()
    memory = resources.parse(options["memory"]) if options["memory"] else each * (request.ranks or 1)
    ranks = request.ranks or 1
    gpus = options["gpus"]
    if gpus is None:
        gpus = ranks * resources.gpus_of_rank()
    return SessionJob(
        request, ranks, memory, options["nodes"], options["time"] or "", options["partition"] or "", gpus,
        options["shared"], options["sbatch_options"],
    )  # fmt: skip


def login(given: str | None) -> str:
    """Return user and host for the tunnel."""
    name = given or site.read(site.LOGIN_HOST) or socket.getfqdn()
    name = socket.gethostname() if name == "localhost" else name
    return name if "@" in name else f"{host.user_name()}@{name}"
