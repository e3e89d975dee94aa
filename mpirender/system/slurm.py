"""Slurm: its environment variables (read here only), the allocation, the nodes that still answer, its commands."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mpirender.errors import LaunchFailed, UsageError
from mpirender.system import child_process
from mpirender.system.text import whole_number

ANSWER_SECONDS = 60.0  # for Slurm's own commands on a busy controller, and for nodes to answer
USUAL_KILL_WAIT = 30.0  # seconds
QUICK_SECONDS = 2.0  # the same where a message can do without the answer
LIVING_STATES = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED")  # of jobs

# The srun with which mpiexec reaches other nodes would otherwise wait for the end of a step that lost a node.
SETTINGS = {"SLURM_OVERLAP": "1"}
COUNTS = re.compile(r"\d{1,9}(\(x\d{1,9}\))?(,\d{1,9}(\(x\d{1,9}\))?)*", re.ASCII)
GPU_LISTS = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")  # the GPUs of a job step or of a job, as numbers on the node

NO_ARRAY = "one job renders all frames: submit it without --array"


@dataclass(frozen=True)
class Allocation:
    """The part of a cluster that Slurm gave to this job."""

    job: str  # number of the job
    cluster: str  # name of the cluster
    run: int  # 1 at first, one more each time that Slurm starts the job again
    node_list: str  # the nodes as Slurm writes them, ``n[1-4]``
    nodes: Mapping[str, int]  # for each node, how many ranks fit on it
    threads: int  # cores for each rank
    placed: bool  # whether the job has a number of tasks, so that MPI launchers which know Slurm place the ranks so
    most: int  # ranks that one per core, or per ``--cpus-per-task`` cores, would be
    uncounted: bool = False  # whether Slurm set a number of tasks though none was asked for


def job_number(environ: Mapping[str, str] = os.environ) -> str:
    """Return the number of the job that this process runs in, empty outside Slurm."""
    return environ.get("SLURM_JOB_ID", "")


def tasks_of_step(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many processes srun started together with this one, 1 outside a job step."""
    return whole_number(environ.get("SLURM_STEP_NUM_TASKS", "")) or 1


def memory_limit(environ: Mapping[str, str] = os.environ) -> int | None:
    """Return the memory of this node that the job may use, in bytes; None if there is no limit."""
    megabytes = whole_number(environ.get("SLURM_MEM_PER_NODE", ""))
    return None if megabytes is None else megabytes * 1024**2


def has_gpus(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the job was given GPUs on this node."""
    return any(environ.get(name) for name in GPU_LISTS) or environ.get("SLURM_GPUS_ON_NODE", "0") != "0"


def allocation(environ: Mapping[str, str] = os.environ) -> Allocation | None:
    """Return the allocation that this process runs in, None outside Slurm.

    If the job asks for no number of tasks, a rank gets ``--cpus-per-task`` cores, or one, and the nodes are filled.

    :raises LaunchFailed: the names of the nodes cannot be found.
    :raises UsageError: a variable is missing, or is not what Slurm writes.
    """
    if not job_number(environ) or "SLURM_JOB_NODELIST" not in environ:
        return None
    node_list = environ["SLURM_JOB_NODELIST"]
    names = hostnames(node_list)
    cores = per_node(environ, "SLURM_JOB_CPUS_PER_NODE", len(names))
    threads = number(environ, "SLURM_CPUS_PER_TASK", 1) or 1
    tasks = filling = [max(count // threads, 1) for count in cores]
    uncounted = has_default_tasks(environ, len(names))
    placed = "SLURM_NTASKS" in environ and not uncounted
    if placed:
        tasks = per_node(environ, "SLURM_TASKS_PER_NODE", len(names))
    if "SLURM_CPUS_PER_TASK" not in environ:
        threads = min(max(count // ranks, 1) for count, ranks in zip(cores, tasks))
    run = 1 + number(environ, "SLURM_RESTART_COUNT", 0)
    cluster, nodes = environ.get("SLURM_CLUSTER_NAME", ""), dict(zip(names, tasks))
    return Allocation(
        job_number(environ), cluster, run, node_list, nodes, threads, placed, most=sum(filling), uncounted=uncounted
    )


def has_default_tasks(environ: Mapping[str, str], nodes: int) -> bool:
    """Return whether the number of tasks is the one that Slurm sets by itself.

    With a number of nodes and ``--threads-per-core``, which ``--hint`` implies, sbatch and salloc set so many tasks per
    node as a core has threads. Nothing tells them from tasks that were asked for with the same ``--ntasks``.
    """
    threads = whole_number(environ.get("SLURM_THREADS_PER_CORE", "")) or 0
    default = environ.get("SLURM_NTASKS") == str(threads * nodes)
    return default and "SLURM_NTASKS_PER_NODE" not in environ


def in_array(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process runs in a task of a job array with several tasks."""
    return bool(job_number(environ)) and (whole_number(environ.get("SLURM_ARRAY_TASK_COUNT", "")) or 0) > 1


def node_count(environ: Mapping[str, str] = os.environ) -> int:
    """Return the number of nodes of the job that this process runs in, 1 outside Slurm."""
    return max(number(environ, "SLURM_JOB_NUM_NODES", 1), 1) if job_number(environ) else 1


def number(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return the number in a variable."""
    if (value := whole_number(environ.get(name, str(default)))) is None:
        raise odd(name, environ[name], "a number")
    return value


def per_node(environ: Mapping[str, str], name: str, nodes: int) -> list[int]:
    """Return Slurm's list of counts per node, for at most so many nodes: ``8(x2),4`` is 8, 8, 4."""
    text = environ.get(name, "")
    if not COUNTS.fullmatch(text):
        raise odd(name, text, "a list of counts such as 8(x2),4")
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(each) for each, times in found for _ in range(min(int(times or 1), nodes))][:nodes]


def odd(name: str, value: str, wanted: str) -> UsageError:
    """Return the error about a variable that is not as Slurm sets it."""
    is_ = f"is {value!r}, not" if value else "is not set; Slurm sets it to"
    return UsageError(f"{name} {is_} {wanted}; start mpirender in the Slurm job itself, or unset SLURM_JOB_ID")


def hostnames(node_list: str) -> list[str]:
    """Return the names in a node list of Slurm.

    :raises LaunchFailed: the list has ranges, which only scontrol can expand, and scontrol failed or is missing.
    """
    if "[" not in node_list:
        return node_list.split(",")
    return run("scontrol", "show", "hostnames", node_list).split()


def nodes_left(job: str) -> list[str]:
    """Return the nodes that a job still has; under ``--no-kill`` Slurm removes dead nodes from it."""
    found = re.search(r"\sNodeList=(\S+)", run("scontrol", "show", "job", "--oneliner", job))
    return hostnames(found[1]) if found else []


def job_fields(job: str, seconds: float = ANSWER_SECONDS) -> dict[str, str]:
    """Return what Slurm knows of a job, by Slurm's names of the fields.

    :raises LaunchFailed: there is no such job, or Slurm does not respond.
    """
    words = run("scontrol", "show", "job", "--oneliner", job, seconds=seconds).split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def setting(name: str) -> str:
    """Return a setting of the cluster that this machine belongs to, empty if it cannot be found."""
    try:
        output = run("scontrol", "show", "config", seconds=QUICK_SECONDS)
    except LaunchFailed:
        return ""
    found = re.search(rf"^{name}\s*= (.*)", output, re.MULTILINE)
    return found[1].strip() if found else ""


def kill_wait() -> float:
    """Return the seconds that Slurm waits between SIGTERM and SIGKILL when it ends a job; its default if not known."""
    found = re.match(r"\d+", setting("KillWait"))
    return float(found[0]) if found else USUAL_KILL_WAIT


def cluster() -> str:
    """Return the name of the cluster that this machine belongs to, empty if there is none."""
    return setting("ClusterName")


def starts_again(job: str, run: int) -> bool:
    """Return whether Slurm itself starts a job again, or has done so, after its run of this number, from 1.

    It does so after a preemption, after the loss of a node, and when an operator asks for it.
    """
    try:
        fields = job_fields(job, seconds=QUICK_SECONDS)
    except LaunchFailed:
        return False
    return fields.get("JobState") in LIVING_STATES and (whole_number(fields.get("Restarts", "")) or 0) >= run


def starting_again(job: str) -> str:
    """Return the text for a job that Slurm itself starts again."""
    return f"Slurm starts job {job} again by itself"


def end_time(job: str) -> float | None:
    """Return when Slurm ends a job at the latest, in seconds since 1970; None if it has no limit or is not known."""
    try:
        fields = job_fields(job)
        if fields.get("TimeLimit") == "UNLIMITED":
            return None
        return time.mktime(time.strptime(fields.get("EndTime", ""), "%Y-%m-%dT%H:%M:%S"))
    except (LaunchFailed, ValueError):
        return None


def down_nodes(nodes: Sequence[str]) -> list[str]:
    """Return those of these nodes that Slurm knows to be down, or that do not respond to it."""
    try:
        output = run("sinfo", "-h", "-N", f"--nodes={','.join(nodes)}", "--format=%N %T", seconds=QUICK_SECONDS)
    except LaunchFailed:
        return []
    states = dict(line.split()[:2] for line in output.splitlines() if len(line.split()) > 1)
    return [node for node in nodes if re.match(r"(down|fail)|.*\*$", states.get(node, ""))]


def responding_nodes(nodes: Sequence[str], stop: Callable[[], bool]) -> list[str]:
    """Return the nodes of this allocation that can start a process; Slurm notices a dead node only after minutes.

    ``stop`` is called often; when it is true, the nodes that have answered so far are returned.
    """
    command = [
        "srun", "--overlap", "--no-kill", "--mpi=none", "--ntasks-per-node=1", f"--nodes={len(nodes)}",
        f"--ntasks={len(nodes)}", f"--nodelist={','.join(nodes)}", "printenv", "SLURMD_NODENAME",
    ]  # fmt: skip
    _, output = child_process.run_until(command, stop, timeout=ANSWER_SECONDS, errors=subprocess.DEVNULL)
    responding = set(output.split())
    return [node for node in nodes if node in responding]


def mpi_plugins() -> list[str]:
    """Return srun's names for its MPI plugins, the likely ones first; a plugin may not work."""
    try:
        output = run("srun", "--mpi=list")
    except LaunchFailed:
        return []
    names = set(re.findall(r"\b(pmix\w*|pmi2|cray_shasta)\b", output))
    return sorted(names, key=lambda name: (not name.startswith("pmi"), name == "pmi2", name))


def requeue(job: str) -> None:
    """Put this job back into the queue; Slurm ends its processes, or refuses (LaunchFailed with its message)."""
    run("scontrol", "requeue", job)


def run(*command: str, seconds: float = ANSWER_SECONDS) -> str:
    """Run one of Slurm's commands, which must answer within so many seconds, and return its output.

    :raises LaunchFailed: the command is missing, gave no answer or failed, with its message.
    """
    try:
        done = child_process.run(command, timeout=seconds)
    except FileNotFoundError:
        raise LaunchFailed(f"{command[0]} is not found; put Slurm's commands on PATH") from None
    except TimeoutError:
        raise LaunchFailed(f"{command[0]} does not answer; check Slurm's controller: scontrol ping") from None
    if done.code:
        raise LaunchFailed(f"{command[0]}: {'; '.join(messages(done.errors)) or f'exit code {done.code}'}")
    return done.output + done.errors


def messages(errors: str) -> list[str]:
    """Return the error messages of one of Slurm's commands, without the prefix of each line."""
    return [re.sub(r"^\w+: (error: |fatal: )?", "", line.strip()) for line in errors.splitlines() if line.strip()]
