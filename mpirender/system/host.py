"""What this process may use of its machine (cores, threads, memory), and the most memory that it has used."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mpirender.system import slurm

KIB = 1024
OUT_OF_MEMORY = "was killed because memory ran out"  # what messages say of a process
OOM_SCORE = 500  # of -1000 to 1000
OOM_COUNTS = ("memory.events", "memory.oom_control")  # of version 2 and 1 of cgroups
THREAD_LIMITS = (
    "LP_NUM_THREADS", "OSPRAY_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VTK_SMP_MAX_THREADS"
)  # fmt: skip


def threads() -> int:
    """Return how many threads the pools of this rank may have, 0 if there is no limit."""
    return int(os.environ.get(THREAD_LIMITS[0], "0"))


def limit_threads() -> None:
    """Limit the thread pools of this rank to the cores it may use: a launcher may have bound it to few."""
    cores = len(os.sched_getaffinity(0))
    for name in THREAD_LIMITS:
        limit = os.environ.get(name, "")
        os.environ[name] = str(min(int(limit), cores) if limit.isdigit() else cores)


def memory() -> int:
    """Return the bytes of memory that a job may use on this machine: all of it, or the limit of Slurm or a cgroup.

    The limits of the cgroup of this process and of its parents count, for both versions of cgroups (cgroups(7)).
    """
    found = re.search(r"MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text())
    limits = [int(found[1]) * KIB if found else sys.maxsize, slurm.memory_limit() or sys.maxsize]
    for folder in _cgroups():
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # the file is missing, or holds "max"
                limits.append(int((folder / name).read_text()))
    return min(filter(None, limits))


def peak() -> int:
    """Return the most memory that this process has used, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process holds now, without memory that it shares; 0 if it has ended."""
    with contextlib.suppress(OSError):
        _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
        return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
    return 0


def prefer_for_oom_kill() -> None:
    """Let the kernel kill this process rather than its parent when memory runs out (proc(5), oom_score_adj)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


def oom_kills() -> int:
    """Return how many processes the kernel has killed because memory ran out: in this cgroup, else on the machine."""
    for file in [*(folder / name for folder in _cgroups() for name in OOM_COUNTS), Path("/proc/vmstat")]:
        with contextlib.suppress(OSError):
            if found := re.search(r"^oom_kill (\d+)$", file.read_text(), re.MULTILINE):
                return int(found[1])
    return 0


def age() -> float:
    """Return the seconds since this process started: field 22 of proc_pid_stat(5), in ticks since the boot."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _cgroups() -> Iterator[Path]:
    """Yield the folders of the cgroups that may limit the memory of this process, from its own upwards."""
    lines: list[str] = []
    with contextlib.suppress(OSError):  # a kernel without cgroups
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = Path("/sys/fs/cgroup") / controllers
            own = root / path.lstrip("/")
            for folder in (own, *own.parents):
                yield folder
                if folder == root:
                    break


def cores() -> str:
    """Return the cores that this process may use, in the kernel's notation: ``0-3,8``."""
    found = re.search(r"Cpus_allowed_list:\s*(\S+)", Path("/proc/self/status").read_text())
    return found[1] if found else ""


def user_name() -> str:
    """Return the name of the user, whatever the environment says."""
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())
