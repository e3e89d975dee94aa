"""The programs that do the work: pcluster, ssh and rsync. Each command is shown before it runs, or only shown."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpirender.cloud.configuration import INSTALL, Farm
from mpirender.errors import LaunchFailed, MpirenderError, ToolMissing, one_line
from mpirender.system import child_process
from mpirender.system.child_process import Finished

INSTALL_LINES = {
    "pcluster": INSTALL,
    "ssh": "install it with: apt-get install openssh-client",
    "rsync": "install it with: apt-get install rsync",
}
# A connection that has gone silent ends; a head node that was made a minute ago has a key that nobody knows yet.
SSH_OPTIONS = [
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4",
    "-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR",
]  # fmt: skip
UNREACHABLE = 255  # exit code of ssh if it cannot connect
RSYNC_UNREACHABLE = (10, 12, 30, 35, 255)  # and of rsync


class Unreachable(MpirenderError, exit_code=LaunchFailed.exit_code):
    """The head node does not answer."""


@dataclass
class Programs:
    """Runs programs for one cluster."""

    farm: Farm
    show: Callable[[str], object]  # gets a line for each command and step
    dry_run: bool = False  # whether commands are only shown
    ssh: str = "ssh"  # the command that reaches the head node, with options
    _address: str = field(default="", init=False)

    def need(self, *names: str) -> None:
        """Check that programs are installed.

        :raises ToolMissing: with a line for each that is missing.
        """
        missing = [f"{name} is not found; {INSTALL_LINES[name]}" for name in names if program(name) == name]
        if missing:
            raise ToolMissing("\n".join(missing))

    def run(self, *words: str, given: bytes = b"", quiet: bool = False, shown: str = "") -> Finished:
        """Run a command and return its result, or only show it in a dry run.

        :param quiet: not to show it: a question that changes nothing.
        :param shown: how to show it, without options that only matter to a program.
        """
        if not quiet or self.dry_run:
            self.show(f"$ {shown or shlex.join(words)}")
        if self.dry_run:
            return Finished(0, "", "")
        try:
            return child_process.run([program(words[0]), *words[1:]], given=given, environment=_environment())
        except OSError as error:
            raise ToolMissing(f"{words[0]}: cannot be started ({error.strerror or error})") from None

    # --- ParallelCluster ---

    def pcluster(self, command: str, *words: str, quiet: bool = False) -> dict[str, Any]:
        """Run a command of pcluster for this cluster, and return its answer; ``{}`` in a dry run.

        :raises PclusterFailed: it failed, with its answer.
        """
        line = ["pcluster", command, "--cluster-name", self.farm.name, "--region", self.farm.region, *words]
        done = self.run(*line, quiet=quiet)
        try:
            answer = json.loads(done.output or "{}")
        except ValueError:
            answer = {"message": one_line(done.output)}
        if not isinstance(answer, dict):
            answer = {"message": one_line(done.output)}
        if done.code:
            raise PclusterFailed(command, answer, one_line(done.errors) or child_process.ending(done.code))
        return answer

    # --- the head node ---

    @property
    def address(self) -> str:
        """The head node as ssh names it, ``user@host``."""
        return f"{self.farm.user}@{self._address or 'HEAD-NODE'}"

    def connect_to(self, address: str) -> None:
        """Use the head node at an address from now on."""
        self._address = address

    def on_head(self, *words: str, given: bytes = b"", quiet: bool = False) -> Finished:
        """Run a command on the head node.

        :raises Unreachable: it cannot be reached.
        """
        line, shown = [self.address, shlex.join(words)], f"{self.ssh} {self.address} {shlex.join(words)}"
        done = self.run(*self.ssh_words(), *line, given=given, quiet=quiet, shown=shown)
        if done.code == UNREACHABLE:
            raise Unreachable(f"the head node {self.address} cannot be reached: {one_line(done.errors)}")
        return done

    def copy(self, sources: Sequence[str], target: str, *options: str, given: bytes = b"", quiet: bool = False) -> None:
        """Copy files to or from the head node with rsync: only what changed, each file beside its place first.

        :raises Unreachable: it cannot be reached.
        :raises LaunchFailed: rsync failed otherwise.
        """
        # -s: names with spaces stay whole on the way.
        shell, files = shlex.join(self.ssh_words()), ["-s", "--", *sources, target]
        shown = shlex.join(["rsync", *options, "-e", self.ssh, *files])
        done = self.run("rsync", *options, "-e", shell, *files, given=given, quiet=quiet, shown=shown)
        if done.code in RSYNC_UNREACHABLE:
            raise Unreachable(f"the head node {self.address} cannot be reached: {one_line(done.errors)}")
        if done.code:
            last = (done.errors.strip().splitlines() or [child_process.ending(done.code)])[0]
            raise LaunchFailed(f"rsync: {last}")

    def there(self, path: str | Path) -> str:
        """Return a path on the head node as rsync names it."""
        return f"{self.address}:{path}"

    def ssh_words(self) -> list[str]:
        """Return the command that reaches the head node."""
        return [*shlex.split(self.ssh), *SSH_OPTIONS]


class PclusterFailed(LaunchFailed):
    """A command of pcluster failed; holds its answer."""

    def __init__(self, command: str, answer: dict[str, Any], reason: str) -> None:
        self.answer = answer
        validation = answer.get("configurationValidationErrors") or answer.get("validationMessages") or []
        found = [str(one.get("message")) for one in validation if one.get("level", "ERROR") == "ERROR"]
        said = answer.get("message")
        super().__init__(f"pcluster {command}: {one_line('; '.join(found) or str(said or reason))}")

    @property
    def missing(self) -> bool:
        """Whether there is no cluster of that name."""
        return "does not exist" in str(self.answer.get("message", ""))


def listed(paths: Iterable[str]) -> bytes:
    """Return paths as rsync reads them with ``--from0``; it may reject a last one without its end."""
    return "".join(f"{path}\0" for path in paths).encode()


def program(name: str) -> str:
    """Return the path of a program: from PATH, or that of the Python of mpirender; its name if it is not found."""
    beside = Path(sys.executable).with_name(name)
    return shutil.which(name) or (str(beside) if beside.exists() else name)


def _environment() -> dict[str, str]:
    """Return the environment of the programs: without that of Python, in which pcluster may run another one."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
