"""A session as a Slurm job: its batch script, and how it is submitted."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpirender.batch import submit as batch
from mpirender.errors import MpirenderError, ToolMissing, UsageError
from mpirender.sessions import records, resources, server, texts
from mpirender.sessions.records import Event, Records
from mpirender.sessions.session import LOCAL_PORT, SessionRequest
from mpirender.system import site, slurm
from mpirender.system.text import plural

TEMPLATE = "mpi_serve.slurm"
SHARED = (
    "the node is shared (--shared): other users there can read the connection id with ps while the server runs, and so "
    "use the session with your permissions"
)


@dataclass(frozen=True)
class SessionJob:
    """What is asked of Slurm for a session."""

    session: SessionRequest
    ranks: int
    memory: int  # bytes, of all ranks
    nodes: int = 1
    time: str = ""  # limit, as sbatch writes it; empty for that of the batch script
    partition: str = ""
    gpus: int = 0
    shared: bool = False  # whether other jobs may run on the nodes
    options: Sequence[str] = ()  # other options of sbatch

    def words(self) -> list[str]:
        """Return the options of sbatch."""
        megabytes = -(-self.memory // resources.MEGABYTE // self.nodes)
        named = [
            f"--nodes={self.nodes}", f"--ntasks={self.ranks}", f"--mem={megabytes}M",
            *([f"--time={self.time}"] if self.time else []),
            *([f"--partition={self.partition}"] if self.partition else []),
            *([f"--gpus={self.gpus}"] if self.gpus else []),
            *([] if self.shared else ["--exclusive"]),
        ]  # fmt: skip
        return [*named, *self.options]

    def text(self, number: str) -> str:
        """Describe it for people."""
        gpus = f", {plural(self.gpus, 'GPU')}" if self.gpus else ""
        size = f"{plural(self.ranks, 'rank')} on {plural(self.nodes, 'node')}{gpus}, {resources.shown(self.memory)}"
        limit = f", {self.time}" if self.time else ""
        leave = f"(Ctrl-C leaves it queued: mpirender serve --watch {number})"
        return f"Slurm job {number}: {size}{limit}; waiting {leave}"


def mistakes(job: SessionJob) -> list[str]:
    """Return what Slurm cannot do."""
    found = batch.wrong_options(job.options)
    given = (job.time, job.partition, str(job.session.output_file or ""), job.session.login)
    found += [f"{text!r}: Slurm does not accept line breaks" for text in given if "\n" in text or "\r" in text]
    if not 0 < job.nodes <= job.ranks:
        found.append(f"--nodes {job.nodes}: the session has {plural(job.ranks, 'rank')}; each node needs one")
    if job.gpus < 0:
        found.append(f"--gpus {job.gpus} must be at least 0")
    return found


def template() -> Path:
    """Return the batch script to start from: that of the site, or the one included in mpirender.

    :raises UsageError: there is no such file, or it does not pass its arguments on.
    """
    script = batch.template(site.read(site.SERVE_SCRIPT), TEMPLATE)
    if not script.is_file():
        raise UsageError(f"{site.SERVE_SCRIPT}: {script}: no such file")
    if '"$@"' not in script.read_text(errors="replace"):
        raise UsageError(f'{script}: it does not pass its arguments on ("$@"); start from a copy of launch/{TEMPLATE}')
    return script


def script_for(job: SessionJob, folder: Path) -> str:
    """Return the batch script; nothing in it is secret, since scontrol shows it.

    :raises UsageError: something is wrong.
    """
    if found := mistakes(job):
        raise UsageError(found)
    log = f"{str(folder).replace('%', '%%')}/%j.out"
    return batch.filled(template(), [f"--output={log}", *job.words()], [], arguments(job.session, job.ranks))


def arguments(request: SessionRequest, ranks: int) -> list[str]:
    """Return the arguments of ``mpirender serve`` inside the job."""
    programs = request.programs
    values = {
        "ranks": ranks, "launcher": request.launcher if request.launcher != "auto" else None,
        "login-host": request.login, "local-port": request.local_port if request.local_port != LOCAL_PORT else None,
        "mail-user": request.mail, "output-file": request.output_file, "pvbatch": programs.pvbatch,
        "mpiexec": programs.mpiexec,
        "container": programs.container, "backend": programs.backend if programs.backend != "auto" else None,
        "display": programs.display, "reverse": request.reverse, "id-file": request.id_file,
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in values.items() if value not in (None, "")]
    return [*words, *(["--keep"] if request.keep else []), *(["--allow-software"] if programs.allow_software else [])]


def submit(job: SessionJob, connect_id: int | None = None) -> tuple[Records, Event]:
    """Submit a session; return its records and the event of its submission.

    :param connect_id: connection id that the client has chosen; by default the job makes one.
    :raises UsageError: something is wrong with it.
    :raises ToolMissing: there is no sbatch.
    :raises LaunchFailed: Slurm refused it, with its message.
    """
    if shutil.which("sbatch") is None:
        here = "to serve on this machine, add --launcher mpiexec"
        raise ToolMissing(f"sbatch is not found; use a login node of the cluster, or, {here}")
    folder = records.home()
    job, lines = with_known_id(job, folder, connect_id)
    script = folder / f".submit-{os.getpid()}.slurm"
    try:
        records.write_private(script, script_for(job, folder))
        with records.private_files():  # Slurm gives the job this mask, too
            identifier = slurm.run("sbatch", "--parsable", str(script)).split(";")[0].strip()
        files = Records(folder, identifier)
        files.remove_older_journal(script)
        script.replace(folder / f"{identifier}.slurm")
    except MpirenderError:
        script.unlink(missing_ok=True)
        if job.session.id_file is not None:
            job.session.id_file.unlink(missing_ok=True)
        raise
    text = "\n".join([job.text(identifier), *lines])
    event = Event("queued", text, facts={"job": identifier, "ranks": job.ranks, "memory": job.memory})
    records.write_json(files.submitted, event.to_json())
    return files, event


def with_known_id(job: SessionJob, folder: Path, connect_id: int | None) -> tuple[SessionJob, list[str]]:
    """Return a job that reads its connection id from a file, if the client must know it before the job starts.

    Also return the lines that tell a user how to let ParaView wait.
    """
    client = job.session.reverse
    if not connect_id and not client:
        return job, []
    number, id_file = connect_id or server.new_id(), folder / f".id-{secrets.token_hex(8)}"
    records.write_private(id_file, str(number))
    lines = texts.reverse_lines(client, number) if client else []
    return replace(job, session=replace(job.session, id_file=id_file)), lines
