"""The pvserver of a session: its command line, and what its output says."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender.engines.base import Engine
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs

NAME = "pvserver"
OFFSCREEN = "--force-offscreen-rendering"
MOST_ID = 2**31 - 1  # of connection ids, which ParaView reads as int
OWN_CHECK = {"version": 1, "id": 1}  # refusals that handshake.problem_of causes
PATTERNS = {
    "accepting": re.compile(r"Accepting connection\(s\): (?P<host>\S+):(?P<port>\d+)"),
    "connected": re.compile(r"Client connected\."),
    "id": re.compile(r"connection ids do not match"),
    "version": re.compile(r"version hash mismatch|Version hash handshake failed"),
    "garbage": re.compile(r"Endian handshake failed"),
}
PROBLEM = re.compile(
    r"Address already in use|Failed to set up server socket|bad X server connection|error while loading"
)
COLOR = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Notice:
    """What a line of a server's output says: a key of PATTERNS, with the address if it accepts connections."""

    what: str
    host: str = ""
    port: int = 0


def program(engine: Engine, programs: Programs) -> str:
    """Return the pvserver in the folder of the pvbatch in use; in a container the program of that name there.

    :raises ToolMissing: there is none.
    """
    pvbatch = Path(engine.command(programs)[0])
    if programs.container:
        return NAME if pvbatch.name == str(pvbatch) else str(pvbatch.with_name(NAME))
    beside = [pvbatch.with_name(NAME), pvbatch.resolve().with_name(NAME)]
    found = next((path for path in beside if path.is_file()), None)
    if found is None:
        fix = "load your site's ParaView module, or name a pvbatch that has one beside it with --pvbatch PATH"
        raise ToolMissing(f"{beside[0]} is not found; {fix}")
    return str(found)


def new_id() -> int:
    """Return a random connection id, which nobody can guess within the tries that a server allows."""
    return secrets.randbelow(MOST_ID) + 1


def client_address(text: str) -> str:
    """Return HOST:PORT of a client.

    :raises ValueError: it is none.
    """
    if not re.fullmatch(r"[\w.-]+:\d{1,5}", text):
        raise ValueError(f"{text!r} is not HOST:PORT of a ParaView that waits for the server")
    return text


def words(path: str, connect_id: int, port: int, minutes: int | None, reverse: str = "") -> list[str]:
    """Return the command line of the server.

    :param port: to listen on; 0 for a free one.
    :param minutes: until the session ends, of which the client then warns; None for no limit.
    :param reverse: HOST:PORT of a client that listens, to connect to instead of waiting for one.
    """
    limit = [] if minutes is None else [f"--timeout={max(minutes, 1)}"]
    if reverse:
        host, _, port_of_client = reverse.rpartition(":")
        where = ["--reverse-connection", f"--client-host={host}", f"--server-port={port_of_client}"]
    else:
        where = [f"--server-port={port}"]
    return [path, *where, *own_words(connect_id), *limit]


def own_words(connect_id: int) -> list[str]:
    """Return the words that only this server has on its command line; a client has the first of them, too."""
    return [id_word(connect_id), OFFSCREEN]


def id_word(connect_id: int) -> str:
    """Return the option of a server or a client with a connection id."""
    return f"--connect-id={connect_id}"


class Output:
    """The output of a server so far."""

    def __init__(self) -> None:
        self.problem = ""  # why the server cannot start, if it has said so
        self._own = Counter[str]()

    def expect_own_check(self) -> None:
        """Do not report the refusals of the check that is about to be made."""
        self._own.update(OWN_CHECK)

    def read(self, lines: Sequence[str]) -> Iterator[Notice]:
        """Yield what new lines say."""
        for line in (COLOR.sub("", line) for line in lines):
            if not self.problem and PROBLEM.search(line):
                self.problem = " ".join(line.split())
            for what, pattern in PATTERNS.items():
                found = pattern.search(line)
                if found is None:
                    continue
                if self._own[what] > 0:
                    self._own[what] -= 1
                    continue
                fields = found.groupdict()
                yield Notice(what, fields.get("host", ""), int(fields.get("port", 0)))
