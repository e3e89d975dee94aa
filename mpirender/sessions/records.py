"""What is written down of a session: files in ``~/.mpirender/sessions`` that nobody else can read.

``ID.json`` is written when a session is submitted, ``ID.jsonl`` by the session itself, one event a line. ID is the
number of the Slurm job, or host and process on a machine without Slurm.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mpirender.errors import UsageError
from mpirender.system import files

PRIVATE_FOLDER, PRIVATE_MASK = 0o700, 0o077
# The last event of a session.
ENDED = "ended"


@dataclass(frozen=True)
class Event:
    """Something that happened in a session."""

    what: str  # starting, ready, connected, disconnected, refused, restarting, warning, ending, mail, ended
    text: str  # for people; several lines if it is to be copied from
    time: float = field(default_factory=time.time)
    facts: dict[str, Any] = field(default_factory=dict)  # the same for programs

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Records:
    """The files of a session."""

    folder: Path
    id: str

    @property
    def submitted(self) -> Path:
        """What was submitted, and when."""
        return self.folder / f"{self.id}.json"

    @property
    def journal(self) -> Path:
        """The events."""
        return self.folder / f"{self.id}.jsonl"

    @property
    def server_file(self) -> Path:
        """The file for File > Connect in ParaView; it holds the connection id, like :attr:`start`."""
        return self.folder / f"{self.id}.pvsc"

    @property
    def start(self) -> Path:
        """What the ranks read when they start."""
        return self.folder / f"{self.id}.start.json"

    @property
    def log(self) -> Path:
        """The output of the server."""
        return self.folder / f"{self.id}.log"

    def write(self, event: Event) -> None:
        """Append an event; only the session itself does this."""
        with contextlib.suppress(OSError), self.journal.open("a") as file:  # a full disk does not end a session
            file.write(json.dumps(event.to_json()) + "\n")

    def events(self) -> list[Event]:
        """Return the events so far; a line that is cut short is left out."""
        found = []
        with contextlib.suppress(OSError):
            for line in self.journal.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError, TypeError):
                    found.append(Event(**json.loads(line)))
        return found

    def remove_older_journal(self, file: Path) -> None:
        """Remove the journal if it was last written before a file: Slurm may have counted jobs from 1 again."""
        with contextlib.suppress(OSError):
            if self.journal.stat().st_mtime_ns < file.stat().st_mtime_ns:
                self.journal.unlink()

    def remove_secrets(self) -> None:
        """Remove the files that hold the connection id, when it no longer lets anybody in."""
        for path in (self.server_file, self.start):
            path.unlink(missing_ok=True)


def place() -> Path:
    """Return the path of the folder of all sessions of this user."""
    return Path.home() / ".mpirender" / "sessions"


def home() -> Path:
    """Return the folder of all sessions of this user; create it for this user alone.

    :raises UsageError: it cannot be used.
    """
    folder = place()
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER)
        if folder.stat().st_uid != os.geteuid():
            raise UsageError(f"{folder} belongs to another user; sessions are kept there: check HOME")
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}; the files of sessions are kept there") from None
    return folder


def of(identifier: str) -> Records:
    """Return the records of a session.

    :raises UsageError: there is no such session.
    """
    found = Records(home(), identifier)
    if not re.fullmatch(r"[\w.-]+", identifier) or not (found.journal.exists() or found.submitted.exists()):
        known = ", ".join(one.id for one in every()) or "none"
        raise UsageError(f"{identifier}: no such session; sessions in {found.folder}: {known}")
    return found


def every() -> list[Records]:
    """Return the records of all sessions, the newest last."""
    folder = home()
    paths = sorted(folder.glob("*.json*"), key=lambda path: path.stat().st_mtime)
    names = dict.fromkeys(re.sub(r"(\.start)?\.jsonl?$", "", path.name) for path in paths)
    return [Records(folder, name) for name in names]


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Let no other user read the files that are made during the block."""
    before = os.umask(PRIVATE_MASK)
    try:
        yield
    finally:
        os.umask(before)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, like its temporary file."""
    with private_files():
        files.write_text(path, text)


def write_json(path: Path, content: object) -> None:
    """Write a private file of JSON."""
    write_private(path, json.dumps(content, indent=2) + "\n")
