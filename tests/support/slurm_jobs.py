"""Write scenes for Slurm jobs, wait for the jobs and read their records."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mpirender.run_folder.events import Event
from records import records
from repository import REPOSITORY
from slurm_cluster import Cluster
from waiting import wait_for

SCRIPT = REPOSITORY / "launch" / "mpi_render.slurm"
TWO_BY_TWO = ("--nodes=2", "--ntasks-per-node=2")
SMALL = ("--size", "80x50")
PROGRAM = Path(sys.executable).with_name("mpirender")
Submit = Callable[..., str]


def slow_scene(folder: Path, frames: int = 60, seconds: float | list[float] = 0.2, **more: object) -> Path:
    path = folder / "slow.pattern"
    path.write_text(json.dumps({"frames": frames, "seconds": seconds, **more}))
    return path


def ended(cluster: Cluster, number: str, seconds: float = 120) -> dict[str, str]:
    """Wait until a job has ended, restarting it at once if it is requeued; return Slurm's description of it."""

    def over() -> dict[str, str] | None:
        job = cluster.job(number)
        if job["JobState"] == "PENDING" and job["Restarts"] != "0":
            start_now(cluster, number)
        return None if job["JobState"] in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING") else job

    return wait_for(over, seconds)


def waits(cluster: Cluster, number: str) -> bool:
    """Return whether a job is in the queue."""
    return cluster.job(number)["JobState"] == "PENDING"


def start_now(cluster: Cluster, number: str) -> None:
    """Shorten the two minutes that a requeued job would wait in the queue.

    Slurm waits because it kills all remaining processes of the job, and would kill those of the next allocation, too.
    If the job has started since it was last seen in the queue, the busy processes belong to its next allocation.
    """
    wait_for(lambda: not cluster.busy() or not waits(cluster, number), 60)
    time.sleep(3)
    cluster.run("scontrol", "update", f"jobid={number}", "StartTime=now")
    time.sleep(1)


def deaths(output: Path) -> list[Event]:
    """Return the deaths in launches in which all ranks had started.

    On a busy machine, srun --mpi=pmix of Debian 12 sometimes loses messages between the starting ranks of a node. MPI
    then aborts, mostly before mpirender runs (in 1 of 40 launches of a minimal program), and mpirender launches again.
    """
    came = Counter((record.launch, record.ranks) for record in records(output, "start"))
    up = {life for (life, ranks), count in came.items() if count == ranks}
    return [record for record in records(output, "death") if record.launch in up]


def some_are_done(output: Path, count: int = 4) -> None:
    """Wait until this many images are done; a launcher that does not respond delays the probe by a minute."""
    wait_for(lambda: (output / ".mpirender").is_dir() and len(records(output, "done")) >= count, 180, story(output))


def story(output: Path) -> Callable[[], str]:
    """Return a function that describes the state of a run: its logs, its journals and all processes."""

    def told() -> str:
        own = output / ".mpirender"
        places = [output.parent / "log", own / "launch.log", own / "run.jsonl", *sorted(own.glob("rank-*.jsonl"))]
        texts = [(place, place.read_text(errors="replace")[-3000:]) for place in places if place.exists()]
        listing = ["ps", "-eo", "pid,ppid,stat,etimes,args", "--forest"]
        running = subprocess.run(listing, capture_output=True, text=True, check=False)
        return "\n".join(["it never came to be", *(f"--- {place}\n{text}" for place, text in texts), running.stdout])

    return told


def assert_each_frame_was_done_once(output: Path, frames: int) -> None:
    assert sorted(record.image.frame for record in records(output, "done")) == list(range(frames))
    assert json.loads((output / ".mpirender" / "manifest.json").read_text())["complete"]


def status(cluster: Cluster, output: Path) -> dict[str, object]:
    done = cluster.run(PROGRAM, "status", output, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
