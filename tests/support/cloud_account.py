"""An account in a cloud, for tests: a moto server, and a cluster that appears when the pcluster of the tests makes one.

The cluster is a real Slurm, whose nodes come and go (cloud_cluster.py); its head node is reached through a real sshd.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path

import boto3

from amazon import REGION, amazon
from cloud_cluster import CloudCluster
from repository import REPOSITORY
from slurm_cluster import HEAD
from ssh_server import unpack
from waiting import wait_for

STUB = Path(__file__).with_name("pcluster_stub.py")
USER = "ubuntu"
SSHD = """\
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
SetEnv SLURM_CONF={conf} PATH={path} HOME={home}
"""
# Each connection gets a server of its own in the namespaces of the head node, so no port is opened.
ENTER = """\
#!/bin/sh
export LD_LIBRARY_PATH={folder}/unpacked/usr/lib/x86_64-linux-gnu
exec {words} {folder}/unpacked/usr/sbin/sshd -i -f {folder}/sshd_config
"""
SSH = """\
Host *
  IdentityFile {folder}/user
  UserKnownHostsFile {folder}/known
  ProxyCommand {folder}/enter
"""
USERS = """\
cp /etc/passwd {folder}/passwd
echo sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin >>{folder}/passwd
echo {user}:x:0:0::{home}:/bin/bash >>{folder}/passwd
mount --bind {folder}/passwd /etc/passwd
mkdir -p /run/sshd
"""  # fmt: skip


class CloudAccount:
    """What pcluster, ssh and Amazon's services are for the commands under test; a context manager."""

    def __init__(self, folder: Path) -> None:
        """Prepare the account; ``folder`` is for everything, and has a short path."""
        self.folder, self.mount = folder, folder / "shared"
        self.state, self.bin = folder / "state", folder / "bin"
        self.cluster: CloudCluster | None = None
        self.work = folder  # of the test that uses it
        self.capacity = True  # whether there are nodes
        self._amazon = amazon()
        self._ended = threading.Event()
        self._service = threading.Thread(target=self._serve)

    def __enter__(self) -> CloudAccount:
        for place in (self.state, self.bin, self.folder / "ssh", self.folder / "home"):
            place.mkdir()
        unpack(self.folder / "ssh")
        (self.bin / "pcluster").write_text(f'#!/bin/sh\nexec {sys.executable} {STUB} "$@"\n')
        (self.bin / "pcluster").chmod(0o755)
        where = {"PCLUSTER_STATE": str(self.state), "PATH": f"{self.bin}:{os.environ['PATH']}"}
        self.variables = {**self._amazon.__enter__(), **where}
        self._service.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._service.join(120)
        self._stop_cluster()
        self._amazon.__exit__(None, None, None)

    @property
    def ssh(self) -> str:
        """The command that reaches the head node."""
        return f"ssh -F {self.folder}/ssh/config"

    def client(self, service: str) -> object:
        """Return a client of a service of Amazon, from this process."""
        given = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests", "region_name": REGION}
        return boto3.client(service, endpoint_url=self.variables["AWS_ENDPOINT_URL"], **given)

    def commands(self) -> list[str]:
        """Return the commands that pcluster was given."""
        place = self.state / "commands"
        return place.read_text().split() if place.exists() else []

    def refuse(self, *, at_once: bool) -> None:
        """Let the next cluster fail because of a quota: when it is asked for, or while it is made."""
        reason = "You have exceeded your quota of vCPUs"
        if at_once:
            (self.state / "refuse").write_text(json.dumps({"message": reason}))
        else:
            (self.state / "fail").write_text(reason)

    def no_nodes(self) -> None:
        """Let no node start, in the cluster that is there and in the next."""
        self.capacity = False
        if self.cluster is not None:
            self.cluster.capacity = False

    def forget(self) -> None:
        """Delete the cluster, if a test has left one, and what was special for a test."""
        for place in self.state.glob("*.json"):
            place.write_text(json.dumps({**json.loads(place.read_text()), "clusterStatus": "DELETE_IN_PROGRESS"}))
        wait_for(lambda: not list(self.state.glob("*.json")), 60)
        for name in ("refuse", "fail", "commands"):
            (self.state / name).unlink(missing_ok=True)
        self.capacity = True

    def _serve(self) -> None:
        """Make and delete the cluster as pcluster was asked."""
        while not self._ended.wait(0.2):
            for place in self.state.glob("*.json"):
                state = json.loads(place.read_text())
                if state["clusterStatus"] == "CREATE_IN_PROGRESS" and (self.state / "fail").exists():
                    why = {
                        "failureCode": "HeadNodeBootstrapFailure",
                        "failureReason": (self.state / "fail").read_text(),
                    }
                    place.write_text(json.dumps({**state, "clusterStatus": "CREATE_FAILED", "failures": [why]}))
                elif state["clusterStatus"] == "CREATE_IN_PROGRESS":
                    self._start_cluster()
                    # Deleted meanwhile?
                    state = json.loads(place.read_text())
                    if state["clusterStatus"] == "CREATE_IN_PROGRESS":
                        head = {"publicIpAddress": "192.0.2.1", "state": "running", "instanceId": "i-1"}
                        place.write_text(json.dumps({**state, "clusterStatus": "CREATE_COMPLETE", "headNode": head}))
                elif state["clusterStatus"] == "DELETE_IN_PROGRESS":
                    self._stop_cluster()
                    self._delete_resources()
                    place.unlink()

    def _start_cluster(self) -> None:
        place = self.folder / f"c{time.monotonic_ns() % 10**6}"
        place.mkdir(mode=0o755)
        self.mount.mkdir(exist_ok=True)
        self._furnish()
        shared = [self.folder, REPOSITORY, Path(sys.prefix)]
        cluster = CloudCluster(place, shared)
        cluster.capacity = self.capacity
        cluster.__enter__()
        home, folder = self.folder / "home", self.folder / "ssh"
        cluster.ask("sh", "-ec", USERS.format(folder=folder, user=USER, home=home))
        path = f"{self.bin}:{os.environ['PATH']}"
        (folder / "sshd_config").write_text(
            SSHD.format(folder=folder, conf=cluster.environment["SLURM_CONF"], path=path, home=home)
        )
        (folder / "enter").write_text(ENTER.format(folder=folder, words=shlex.join(cluster.command(on=HEAD))))
        (folder / "enter").chmod(0o755)
        (folder / "config").write_text(SSH.format(folder=folder))
        self.cluster = cluster

    def _furnish(self) -> None:
        """Make the Python environment of the head node, which an earlier cluster would have installed."""
        source = self.mount / "mpirender" / "source"
        place = source / ".venv"
        venv.create(place, symlinks=True)
        (packages,) = place.glob("lib/python*/site-packages")
        ours = Path(sys.prefix) / packages.relative_to(place)
        (packages / "own.pth").write_text(f"{source}\n{ours}\n")
        program = place / "bin" / "mpirender"
        program.write_text(f"#!{place}/bin/python\nfrom mpirender.cli.commands import main\nmain()\n")
        program.chmod(0o755)
        project = subprocess.run(
            ["cksum"], input=(REPOSITORY / "pyproject.toml").read_bytes(), capture_output=True, check=True
        )
        for purpose in ("demo", "blender"):
            (place / f"installed-for-{purpose}").write_text(f"{project.stdout.decode()}{source}\n")

    def _stop_cluster(self) -> None:
        if self.cluster is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.cluster.__exit__()
            self.cluster = None
        shutil.rmtree(self.mount, ignore_errors=True)

    def _delete_resources(self) -> None:
        """Delete what ParallelCluster deletes with a cluster; disk images stay."""
        ec2, efs = self.client("ec2"), self.client("efs")
        groups = ec2.describe_instances()["Reservations"]
        ec2.terminate_instances(InstanceIds=[one["InstanceId"] for group in groups for one in group["Instances"]])
        tagged = [{"Name": "tag-key", "Values": ["mpirender"]}]
        for volume in ec2.describe_volumes(Filters=tagged)["Volumes"]:
            ec2.delete_volume(VolumeId=volume["VolumeId"])
        for system in efs.describe_file_systems()["FileSystems"]:
            efs.delete_file_system(FileSystemId=system["FileSystemId"])
