"""A real Slurm cluster inside this machine: a login node with the controller, and compute nodes.

Every node has its own namespaces (network, host name, processes, mounts, shared memory), so it has its own address,
/tmp and /dev/shm, and killing its first process crashes it. Needs root; nothing is left running after the cluster.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from waiting import wait_for

HEAD = "head"
CORES = 8  # that each node reports
NODE_LOST_SECONDS = 12  # until Slurm marks a silent node as down; minutes on real clusters
PMIX = Path("/usr/lib/x86_64-linux-gnu/pmix2/lib")  # Debian's srun looks for libpmix.so there, but it is missing
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "ip", "unshare", "nsenter", "setpriv")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={head}({network}.254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout={lost}
KillWait=5
MinJobAge=3600
MailProg=/bin/true
"""
NODES = """\
NodeName={nodes} CPUs={cores} RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
WITH_THIS_PROCESS = ("setpriv", "--pdeathsig", "KILL")  # so that an interrupted test run leaves no node behind
# The first process of a node; bash also reaps orphans.
INIT = "sleep infinity & wait"
FURNISH = """\
set -eu
hostname {name}
mount --make-rprivate /
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount --bind {folder}/hosts /etc/hosts
if [ -d {pmix} ]; then mount --bind {folder}/pmix {pmix}; fi
mkdir -p {folder}/tmp/{name}; chmod 1777 {folder}/tmp/{name}
for shared in {shared}; do
    case $shared in /tmp/*)
        mkdir -p {folder}/tmp/{name}/"${{shared#/tmp/}}"
        mount --rbind "$shared" {folder}/tmp/{name}/"${{shared#/tmp/}}" ;;
    esac
done
mount --rbind {folder}/tmp/{name} /tmp
"""


class Cluster:
    """A login node and compute nodes n1, n2, …; a context manager."""

    configuration = CONFIGURATION + NODES
    daemon = ("slurmd", "-D", "-N")

    def __init__(self, folder: Path, shared: Sequence[Path], *, count: int = 3, network: str = "10.88.0") -> None:
        """Set the paths and names; nothing is started yet.

        :param folder: for the cluster's own files; a short path, because it holds sockets.
        :param shared: folders that all nodes see; nodes see no other folders of the outer /tmp.
        """
        self.folder, self.shared, self.network = folder, shared, network
        self.nodes = [f"n{number}" for number in range(1, count + 1)]
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._first: dict[str, int] = {}  # first process of each node, by its PID outside
        self._starters: list[subprocess.Popen[bytes]] = []
        self._munge: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cluster:
        try:
            self._write_files()
            self._start_munge()
            for name in (HEAD, *self.first_nodes()):
                self.boot(name)
            self._wait_until_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for name in list(self._first):
            self.crash(name)
        if self._munge is not None:
            self._munge.terminate()
            self._munge.wait(20)
        for starter in self._starters:
            starter.wait(20)

    def first_nodes(self) -> list[str]:
        """Return the nodes that are booted at the start."""
        return self.nodes

    def run(self, *command: object, on: str = HEAD, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command on a node, the login node by default."""
        settings = {"env": self.environment, "timeout": 120, "cwd": self.folder, **options}
        words = self.command(*command, on=on, cwd=settings["cwd"])
        return subprocess.run(words, capture_output=True, text=True, check=False, **settings)

    def command(self, *command: object, on: str = HEAD, cwd: object = "/") -> list[str]:
        """Return the command that runs a command on a node."""
        return [*self._inside(on, cwd=cwd), *map(str, command)]

    def ask(self, *command: object) -> str:
        """Run a command that must succeed on the login node; return what it prints."""
        done = self.run(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def job(self, number: str) -> dict[str, str]:
        """Return Slurm's description of a job by Slurm's field names."""
        words = self.ask("scontrol", "show", "job", "--oneliner", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def boot(self, name: str) -> None:
        """Start a node and its daemon."""
        namespaces = ["--net", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child"]
        starter = subprocess.Popen(
            [*WITH_THIS_PROCESS, "unshare", *namespaces, "bash", "-c", INIT],
            stderr=subprocess.DEVNULL,  # it prints an error when it is killed
        )
        self._starters.append(starter)
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        self._first[name] = int(wait_for(lambda: children.read_text().split())[0])
        wait_for(lambda: Path(f"/proc/{self._first[name]}/comm").read_text() == "bash\n")
        self._wire(name)
        texts = {"folder": self.folder, "pmix": PMIX, "shared": " ".join(map(str, self.shared)), "name": name}
        self._do(self._inside(name), "bash", "-c", FURNISH.format(**texts))
        if name == HEAD:
            daemon = ["slurmctld", "-D", "-c"]
        else:
            (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
            daemon = [*self.daemon, name]
        with (self.folder / f"{name}.out").open("ab") as out:
            process = subprocess.Popen([*self._inside(name), *daemon], env=self.environment, stdout=out, stderr=out)
        self._starters.append(process)

    def busy(self) -> bool:
        """Return whether any node still runs a process of a job."""
        there = [name for name in self.nodes if name in self._first]
        return any(self.run("pgrep", "-x", "slurmstepd", on=name).returncode == 0 for name in there)

    def crash(self, name: str) -> None:
        """Kill all processes of a node at once."""
        subprocess.run(["kill", "-KILL", str(self._first.pop(name))], check=False)

    def repair(self) -> None:
        """Boot crashed nodes, resume nodes that are down, and wait until all nodes are idle."""
        for name in self.nodes:
            if name not in self._first:
                self.boot(name)
        for line in self.ask("sinfo", "-h", "-N", "-o", "%N %T").splitlines():
            if line.split()[1] in ("down", "drained", "draining"):
                self.run("scontrol", "update", f"nodename={line.split()[0]}", "state=resume")
        self._wait_until_idle()

    def _inside(self, name: str, cwd: object = "/") -> list[str]:
        return ["nsenter", "-t", str(self._first[name]), "-n", "-u", "-i", "-p", "-m", f"--wd={cwd}", "--"]

    def _wire(self, name: str) -> None:
        """Create a node's network: a bridge on the login node, a veth pair from it to every other node."""
        inside = self._inside(name)
        self._do(inside, "ip", "link", "set", "lo", "up")
        if name == HEAD:
            self._do(inside, "ip", "link", "add", "br0", "type", "bridge")
            device, number = "br0", "254"
        else:
            device, number = "eth0", name[1:]
            self._do(self._inside(HEAD), "sh", "-c", f"! ip link show v{name} >/dev/null 2>&1 || ip link del v{name}")
            ends = ["netns", str(self._first[HEAD]), "type", "veth", "peer", "name", "eth0"]
            self._do([], "ip", "link", "add", f"v{name}", *ends, "netns", str(self._first[name]))
            self._do(self._inside(HEAD), "ip", "link", "set", f"v{name}", "master", "br0", "up")
        # The same MAC address after a reboot, as with real hardware, because the other nodes cache it.
        self._do(inside, "ip", "link", "set", device, "address", f"02:00:00:00:00:{int(number):02x}")
        self._do(inside, "ip", "addr", "add", f"{self.network}.{number}/24", "dev", device)
        self._do(inside, "ip", "link", "set", device, "up")

    def _write_files(self) -> None:
        for name in ("munge", "controller", "spool", "pmix"):
            (self.folder / name).mkdir(mode=0o755)
        names = {"folder": self.folder, "network": self.network, "head": HEAD, "cores": CORES}
        nodes = f"n[1-{len(self.nodes)}]"
        (self.folder / "slurm.conf").write_text(self.configuration.format(nodes=nodes, lost=NODE_LOST_SECONDS, **names))
        version = subprocess.run(["slurmd", "-V"], capture_output=True, text=True, check=True).stdout.split()[-1]
        old = int(version.split(".")[0]) < 23  # older versions start the cgroup layer even if nothing uses it
        (self.folder / "cgroup.conf").write_text(f"CgroupPlugin={'cgroup/v1' if old else 'disabled'}\n")
        numbers = [(HEAD, 254), *((name, int(name[1:])) for name in self.nodes)]
        lines = ["127.0.0.1 localhost", *(f"{self.network}.{number} {name}" for name, number in numbers)]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        if PMIX.is_dir():
            shutil.copytree(PMIX, self.folder / "pmix", dirs_exist_ok=True, symlinks=False)
            library = self.folder / "pmix" / "libpmix.so"
            if not library.exists():
                library.symlink_to("libpmix.so.2")

    def _start_munge(self) -> None:
        home = self.folder / "munge"
        (home / "key").write_bytes(os.urandom(128))
        (home / "key").chmod(0o400)
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        options = [f"--{option}={home / name}" for option, name in names.items()]
        words = [*WITH_THIS_PROCESS, "munged", "--foreground", "--force", *options]
        with (home / "log").open("wb") as log:
            self._munge = subprocess.Popen(words, stdout=log, stderr=log)
        wait_for((home / "socket").exists)

    def _wait_until_idle(self) -> None:
        def idle() -> bool:
            answer = self.run("sinfo", "-h", "-N", "-o", "%T", timeout=20)
            return answer.stdout.split() == ["idle"] * len(self.nodes)

        wait_for(idle, 60)

    @staticmethod
    def _do(inside: Sequence[str], *command: str) -> None:
        done = subprocess.run([*inside, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
