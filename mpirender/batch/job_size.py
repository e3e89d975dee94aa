"""Nodes and time limit of a Slurm job, taken from an estimate of its run."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender.batch import submit
from mpirender.errors import LaunchFailed
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import folder
from mpirender.supervisor import estimate_report
from mpirender.supervisor.estimate_report import Row
from mpirender.system import files, site, slurm
from mpirender.system.text import duration, plural, whole_number

NODES = (1, 2, 4, 8, 16, 32, 64)  # that an estimate considers
WASTE = 1.25  # times the core-hours of one node that a job may take
MARGIN = 1.25  # of the time limit over the longest time of the estimate
STEP = 300.0  # seconds; time limits are multiples of it
HOUR, DAY = 3600, 86400
LIMIT = re.compile(r"(?:(?P<days>\d{1,4})-)?(?P<first>\d{1,6})(?::(?P<second>\d{1,2}))?(?::(?P<third>\d{1,2}))?")
SCRIPT = "mpi_estimate.slurm"
SHORT = "0:30:00"  # time limit of a job that makes an estimate
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class JobSize:
    """Nodes and time limit of a job."""

    nodes: int
    seconds: float  # time limit
    row: Row  # of the estimate

    @property
    def limit(self) -> str:
        """The time limit as sbatch takes it."""
        whole = int(self.seconds)
        return f"{whole // HOUR}:{whole % HOUR // 60:02d}:00"

    @property
    def text(self) -> str:
        """Describe it for people."""
        one = self.row.prediction
        takes = f"the run takes about {duration(one.total)} ± {duration(one.error)}"
        return f"{takes} on {plural(one.nodes, 'node')} with {plural(one.ranks, 'rank')}; time limit {self.limit}"


def seconds_of(limit: str) -> float | None:
    """Return the seconds of a time limit as sbatch takes it; None for another text, such as UNLIMITED."""
    match = LIMIT.fullmatch(limit.strip())
    if match is None:
        return None
    first, second, third = (int(match[name] or 0) for name in ("first", "second", "third"))
    if match["days"]:
        return int(match["days"]) * DAY + first * HOUR + second * 60 + third
    if match["third"]:
        return first * HOUR + second * 60 + third
    return first * 60 + second


def limit_of(row: Row) -> float:
    """Return the time limit for a run, in seconds."""
    longest = MARGIN * (row.prediction.total + row.prediction.error)
    return (longest // STEP + 1) * STEP


def counts(given: Mapping[str, str]) -> list[int]:
    """Return the numbers of nodes to estimate: what the user asks for, or 1, 2, 4 …"""
    nodes = whole_number(given.get("nodes", "").partition("-")[0])
    return [nodes] if nodes else list(NODES)


def choose(rows: Sequence[Row], given: Mapping[str, str]) -> JobSize:
    """Return the size of a job.

    That is the fewest nodes that end within the time limit of the user. Without one, it is the most nodes that take no
    more than 1.25 times the core-hours of the fewest.

    :param rows: of the estimate, from few nodes to many; only one if the user gave the number of nodes.
    :param given: options of sbatch, by name.
    """
    limit = seconds_of(given.get("time", ""))
    if limit is not None:
        row = next((row for row in rows if row.prediction.total + row.prediction.error <= limit), rows[-1])
        return JobSize(row.prediction.nodes, limit, row)
    row = [row for row in rows if row.core_hours <= WASTE * rows[0].core_hours][-1]
    return JobSize(row.prediction.nodes, limit_of(row), row)


def estimate_in_job(
    job: RenderJob, options: Sequence[str], template: Path, words: Sequence[str], note: Callable[[str], object]
) -> list[Row]:
    """Make the estimate in a short Slurm job on one node, wait for it, and return what it says.

    :param options: of sbatch.
    :param words: further arguments of ``mpirender estimate``.
    :param note: is called with a line that says which job this is.
    :raises MpirenderError: Slurm refused the job, or it failed.
    """
    submit.need_sbatch()
    log = f"{str(job.output).replace('%', '%%')}/mpirender-estimate-%j.log"
    own = [f"--job-name=estimate-{job.scene.stem}", f"--output={log}"]
    exports = [f"export {site.BATCH_COMMAND}=estimate"]
    short = [*own, f"--time={SHORT}", *options, "--nodes=1", "--no-requeue"]
    script = submit.filled(template, short, exports, [*words, *job.arguments()])
    place = job.folder / SCRIPT
    try:
        folder.make(job)
        (job.folder / estimate_report.NAME).unlink(missing_ok=True)
        files.write_text(place, script)
    except OSError as error:
        raise folder.unwritable(job, error) from None
    number = submit.sbatch(place)
    note(f"Slurm job {number} makes the estimate; waiting (Ctrl-C cancels it)")
    try:
        state = _ended(number)
    except KeyboardInterrupt:
        slurm.run("scancel", number)
        raise
    see = log.replace("%%", "%").replace("%j", number)
    if state != "COMPLETED":
        raise LaunchFailed(f"Slurm job {number}, which makes the estimate, ended as {state}; see {see}")
    return estimate_report.read_rows(job)


def _ended(number: str) -> str:
    """Wait until a job has ended; return its state."""
    while (state := slurm.job_fields(number).get("JobState", "")) in slurm.LIVING_STATES:
        time.sleep(POLL_SECONDS)
    return state
