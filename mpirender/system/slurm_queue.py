"""What else Slurm could give a job: free nodes, other jobs that wait for them, and how many nodes the job asked for."""

from __future__ import annotations

import re
from typing import NamedTuple

from mpirender.system import slurm

HELD = {"Dependency", "DependencyNeverSatisfied", "JobHeldUser", "JobHeldAdmin", "BeginTime"}  # wait for no node
NODES = re.compile(r"^#SBATCH\b.*?\s(?:--nodes[=\s]\s*|-N\s*)(\d+)(?:-(\d+))?", re.MULTILINE)


class FreeNodes(NamedTuple):
    """The nodes of a partition on which a job could start."""

    up: int = 0
    powered_down: int = 0  # nodes of a cloud that Slurm boots when a job needs them


def free_nodes(partition: str) -> FreeNodes:
    """Return how many nodes of a partition run no job.

    :raises LaunchFailed: Slurm does not respond.
    """
    lines = set(slurm.run("sinfo", "-h", "-N", "-p", partition, "-o", "%N %T").splitlines())
    states = [line.split()[1] for line in lines if len(line.split()) == 2]
    return FreeNodes(states.count("idle"), states.count("idle~"))


def others_wait(partition: str, job: str) -> bool:
    """Return whether other jobs wait for nodes of a partition.

    :raises LaunchFailed: Slurm does not respond.
    """
    lines = slurm.run("squeue", "-h", "-t", "PENDING", "-p", partition, "-o", "%A %r").splitlines()
    waiting = [line.partition(" ")[::2] for line in lines if line.strip()]
    return any(number != job and reason.strip(" ()") not in HELD for number, reason in waiting)


def nodes_asked_for(job: str) -> tuple[int, int] | None:
    """Return how many nodes the batch script of a job asks for, at least and at most; None if it does not say.

    :raises LaunchFailed: Slurm does not respond, or the job has no batch script.
    """
    found = NODES.findall(slurm.run("scontrol", "write", "batch_script", job, "-"))
    return (int(found[-1][0]), int(found[-1][1] or found[-1][0])) if found else None
