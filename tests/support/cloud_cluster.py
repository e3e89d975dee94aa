"""A real Slurm cluster whose nodes start when a job needs them and end afterwards, like rented ones in a cloud."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from slurm_cluster import CONFIGURATION, HEAD, Cluster
from waiting import wait_for

CLOUD = """\
SuspendProgram={folder}/cloud/suspend
ResumeProgram={folder}/cloud/resume
SuspendTime=10
ResumeTimeout=60
SuspendTimeout=5
ResumeRate=0
SuspendRate=0
TreeWidth=100
PrivateData=cloud
NodeName={nodes} CPUs=2 RealMemory=8000 State=CLOUD
PartitionName=spot Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
WISHES = {"down": "power_down_force", "down*": "power_down_force", "down~": "resume"}  # by the state of a node
WISH = """\
#!/bin/bash
for node in $(scontrol show hostnames "$1"); do echo {wish} >{folder}/cloud/wish-$node; done
"""


class CloudCluster(Cluster):
    """A login node, and nodes that are booted when Slurm asks for them; a context manager.

    A node that was lost is made available again, as ParallelCluster does it.
    """

    configuration = CONFIGURATION + CLOUD
    daemon = ("slurmd", "-D", "-b", "-N")  # -b: booted just now; Slurm ignores nodes that seem to have been up before

    def __init__(self, folder: Path, shared: Sequence[Path], *, count: int = 3, network: str = "10.89.0") -> None:
        super().__init__(folder, shared, count=count, network=network)
        self.capacity = True  # whether there are nodes at all
        self._ended = threading.Event()
        self._provider = threading.Thread(target=self._provide)

    def __enter__(self) -> CloudCluster:
        wishes = self.folder / "cloud"
        wishes.mkdir(parents=True)
        for wish in ("resume", "suspend"):
            (wishes / wish).write_text(WISH.format(wish=wish, folder=self.folder))
            (wishes / wish).chmod(0o755)
        super().__enter__()
        self._provider.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._provider.is_alive():
            self._provider.join(60)
        super().__exit__(*error)

    def there(self) -> list[str]:
        """Return the nodes that exist now."""
        return [name for name in self.nodes if name in self._first]

    def reclaim(self, name: str) -> None:
        """Take a node away, as the provider does with spot nodes."""
        self.crash(name)

    def first_nodes(self) -> list[str]:
        """Return no nodes: they come when Slurm wants them."""
        return []

    def _wait_until_idle(self) -> None:
        wait_for(lambda: self.run("sinfo", "-h", timeout=20).returncode == 0, 60)

    def _provide(self) -> None:
        """Boot and end nodes as Slurm wishes, and tell Slurm where they are."""
        while not self._ended.wait(0.3):
            for place in sorted((self.folder / "cloud").glob("wish-*")):
                name, wish = place.name.removeprefix("wish-"), place.read_text().strip()
                if not wish or (wish == "resume" and not self.capacity):
                    continue  # it is being written, or there is no node
                place.unlink()
                if name in self._first:
                    self.crash(name)
                if wish == "resume":
                    self.boot(name)
                    where = f"nodeaddr={self.network}.{name[1:]}"
                    self.run("scontrol", "update", f"nodename={name}", where, f"nodehostname={name}")
            self._repair_lost()

    def _repair_lost(self) -> None:
        """Make nodes available again whose loss Slurm has noticed, as the daemon of ParallelCluster does."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            answer = self.run("sinfo", "-h", "-N", "-o", "%N %T", on=HEAD, timeout=20)
            states = dict(line.split() for line in answer.stdout.splitlines() if len(line.split()) == 2)
            for name, state in states.items():
                if (wish := WISHES.get(state)) is not None:
                    self.run("scontrol", "update", f"nodename={name}", f"state={wish}", timeout=20)
