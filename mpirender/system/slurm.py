"""What Slurm tells and does: the allocation we run in, which of its nodes still answer, the way back into the queue."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mpirender.errors import LaunchFailed

ANSWER_SECONDS = 60.0  # for Slurm's own commands on a busy controller, and for nodes to answer
PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Allocation:
    """The part of a cluster that Slurm gave to this job.

    Args:
        job: its number.
        cluster: name of the cluster.
        life: 1 at first, one more each time that Slurm started the job again.
        node_list: the nodes as Slurm writes them, ``n[1-4]``.
        nodes: name of each node, and the ranks for which Slurm has room there.
        threads: cores for each rank.
        placed: whether MPI launchers that know Slurm would place the ranks so, too.
    """

    job: str
    cluster: str
    life: int
    node_list: str
    nodes: Mapping[str, int]
    threads: int
    placed: bool


def allocation(environ: Mapping[str, str] = os.environ) -> Allocation | None:
    """Return the allocation that this process runs in, None outside of Slurm.

    Without a number of tasks it has room for as many ranks as for what a rank needs: ``--cpus-per-task`` cores, or one.

    Raises:
        LaunchFailed: Slurm does not tell its nodes.
    """
    if "SLURM_JOB_ID" not in environ or "SLURM_JOB_NODELIST" not in environ:
        return None
    node_list = environ["SLURM_JOB_NODELIST"]
    names = hostnames(node_list)
    cores = per_node(environ["SLURM_JOB_CPUS_PER_NODE"])
    each = int(environ.get("SLURM_CPUS_PER_TASK", "1"))
    placed = "SLURM_NTASKS" in environ
    tasks = per_node(environ["SLURM_TASKS_PER_NODE"]) if placed else [max(count // each, 1) for count in cores]
    room = dict(zip(names, tasks))
    if "SLURM_CPUS_PER_TASK" not in environ:
        each = min(max(count // ranks, 1) for count, ranks in zip(cores, tasks))
    life = 1 + int(environ.get("SLURM_RESTART_COUNT", "0"))
    return Allocation(
        environ["SLURM_JOB_ID"], environ.get("SLURM_CLUSTER_NAME", ""), life, node_list, room, each, placed
    )


def per_node(text: str) -> list[int]:
    """Read what Slurm writes of one node after the other: ``8(x2),4`` is 8, 8, 4."""
    counts: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        counts += [int(count)] * int(times or 1)
    return counts


def hostnames(node_list: str) -> list[str]:
    """Return the nodes of a list as Slurm writes it.

    Raises:
        LaunchFailed: it is short for many, which Slurm's own command must say; a container may lack that.
    """
    if "[" not in node_list:
        return node_list.split(",")
    return ask("scontrol", "show", "hostnames", node_list).split()


def nodes_left(job: str) -> list[str]:
    """Return the nodes that a job still has: under ``--no-kill`` those that Slurm found dead are gone from it."""
    found = re.search(r"\sNodeList=(\S+)", ask("scontrol", "show", "job", "--oneliner", job))
    return hostnames(found[1]) if found else []


def answering(nodes: Sequence[str], stop: Callable[[], bool]) -> list[str]:
    """Return those of the nodes of this allocation that start a process when asked to, in the order given.

    Slurm itself notices a dead node only after minutes.

    Args:
        stop: called often; when it says so, the nodes that have answered by then are returned.
    """
    command = [
        "srun", "--overlap", "--no-kill", "--mpi=none", "--ntasks-per-node=1", f"--nodes={len(nodes)}",
        f"--ntasks={len(nodes)}", f"--nodelist={','.join(nodes)}", "printenv", "SLURMD_NODENAME",
    ]  # fmt: skip
    deadline = time.monotonic() + ANSWER_SECONDS
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        while process.poll() is None:
            if stop() or time.monotonic() > deadline:
                process.kill()
            time.sleep(PAUSE_SECONDS)
        assert process.stdout is not None
        here = set(process.stdout.read().split())
    return [node for node in nodes if node in here]


def mpi_plugins() -> list[str]:
    """Return srun's names for its ways to start MPI programs, whether they work or not, the likely ones first."""
    try:
        told = ask("srun", "--mpi=list")
    except LaunchFailed:
        return []
    names = set(re.findall(r"\b(pmix\w*|pmi2|cray_shasta)\b", told))
    return sorted(names, key=lambda name: (not name.startswith("pmi"), name == "pmi2", name))


def requeue(job: str) -> None:
    """Put this job back into the queue; Slurm ends what is left of it.

    Raises:
        LaunchFailed: with what Slurm said.
    """
    ask("scontrol", "requeue", job)


def ask(*command: str) -> str:
    """Run one of Slurm's commands and return what it says.

    Raises:
        LaunchFailed: it is not there, or failed; with what it said.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise LaunchFailed(f"{command[0]} is not found; put Slurm's commands on PATH") from None
    except subprocess.TimeoutExpired:
        raise LaunchFailed(f"{command[0]} does not answer; see whether Slurm is well: scontrol ping") from None
    if done.returncode:
        raise LaunchFailed(f"{command[0]}: {'; '.join(complaints(done.stderr)) or f'exit code {done.returncode}'}")
    return done.stdout + done.stderr


def complaints(said: str) -> list[str]:
    """Return what one of Slurm's commands complained of, without the words that it puts before each line."""
    return [re.sub(r"^\w+: (error: |fatal: )?", "", line.strip()) for line in said.splitlines() if line.strip()]
