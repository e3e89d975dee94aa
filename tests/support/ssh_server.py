"""A real ssh server on the login node of a test cluster, unpacked from its Debian packages without installing them.

An installed one would also serve the machine that runs the tests.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from slurm_cluster import HEAD, Cluster
from waiting import wait_for

PACKAGES = ("openssh-server", "libwrap0")
PORT = 2222
CONFIGURATION = """\
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
PidFile none
SetEnv {environment}
"""
# sshd needs a user of that name, in this node's own view of the file, and a folder.
START = """\
set -eu
cp /etc/passwd {folder}/passwd
sed -i 's#^\\(root:[^:]*:[^:]*:[^:]*:[^:]*:\\)[^:]*#\1{home}#' {folder}/passwd
grep -q ^sshd: {folder}/passwd || echo sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin >>{folder}/passwd
mount --bind {folder}/passwd /etc/passwd
mkdir -p /run/sshd
export LD_LIBRARY_PATH={folder}/unpacked/usr/lib/x86_64-linux-gnu
exec {folder}/unpacked/usr/sbin/sshd -D -e -f {folder}/sshd_config
"""


class SshServer:
    """A running ssh server, and the key that it accepts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = [
            "-p", str(PORT), "-i", str(folder / "user"), "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes", "-o", "LogLevel=ERROR",
        ]  # fmt: skip

    def command(self, printed: list[str]) -> list[str]:
        """Return an ssh command as mpirender prints it, with the options for this server added."""
        assert printed[0] == "ssh"
        return ["ssh", *self.options, *printed[1:]]

    def program(self) -> Path:
        """Write a program ssh that has the options for this server, for ParaView, and return its folder."""
        place = self.folder / "bin" / "ssh"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f'#!/bin/bash\nexec {shutil.which("ssh")} {shlex.join(self.options)} "$@"\n')
        place.chmod(0o755)
        return place.parent


def unpack(folder: Path) -> None:
    """Download the server into a folder, and make the keys of host and user there."""
    commands = [["apt-get", "download", *PACKAGES]]
    commands += [["bash", "-c", "for package in *.deb; do dpkg -x $package unpacked; done"]]
    commands += [["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name] for name in ("host", "user")]
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


@contextmanager
def ssh_server(cluster: Cluster, folder: Path, environment: Mapping[str, str]) -> Iterator[SshServer]:
    """Run an ssh server on the login node during the block.

    :param folder: for its files.
    :param environment: variables of those who log in, HOME among them.
    """
    unpack(folder)
    variables = " ".join(f"{name}={value}" for name, value in environment.items())
    (folder / "sshd_config").write_text(CONFIGURATION.format(port=PORT, folder=folder, environment=variables))
    start, log = START.format(folder=folder, home=environment["HOME"]), folder / "log"
    with log.open("w") as out:
        server = subprocess.Popen(cluster.command("bash", "-c", start, on=HEAD), stdout=out, stderr=out)
    wait_for(lambda: "listening on" in log.read_text(), 20, log.read_text)
    try:
        yield SshServer(folder)
    finally:
        cluster.run("pkill", "-x", "sshd", on=HEAD)
        server.wait(20)
