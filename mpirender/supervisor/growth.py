"""Whether a Slurm job that has fewer nodes than it may have is to start again on more of them.

Slurm gives a running job no nodes. A job that requeues itself gets as many as are free, up to the number that it asked
for, but waits two minutes for that.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mpirender.errors import LaunchFailed
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import journal
from mpirender.run_folder.run_state import RunHistory, RunState, progress, rate
from mpirender.system import background, slurm, slurm_queue
from mpirender.system.slurm import Allocation
from mpirender.system.slurm_queue import FreeNodes
from mpirender.system.text import duration, plural, whole_number

MORE_NODES = "more nodes"  # what the ranks stop "on"
LOOK_SECONDS = 30.0  # between two questions to Slurm
REQUEUE_SECONDS = 125.0  # Slurm starts a requeued job after 121 s
BOOT_SECONDS = 300.0  # of a node that is powered down
MARGIN = 1.25  # what is left must take so many times longer than with a restart
IMAGES_PER_RANK = 4  # that must be left


@dataclass(frozen=True)
class Possible:
    """What Slurm could give the job."""

    nodes: int = 0  # with those that it has
    boots: bool = False  # whether some of them are powered down


class Growth:
    """Asks Slurm for free nodes, and decides."""

    def __init__(self, job: RenderJob, allocation: Allocation) -> None:
        self.allocation = allocation
        self.nodes = len(allocation.nodes)  # nodes of the job that still work
        self.possible = Possible()
        self._range: tuple[int, int] | None = None  # of the numbers of nodes with which the job may start again
        self._wanted = job.ranks is None and allocation.run <= job.max_requeues and not self._in_vain(job)

    def _in_vain(self, job: RenderJob) -> bool:
        """Return whether an earlier allocation of this Slurm job ended for more nodes, and this one has no more."""
        if self.allocation.run == 1:
            return False
        for run in RunHistory(journal.read(job.folder)).runs.values():
            launch = run.now.launch
            if launch is None or run.stopped_on != MORE_NODES:
                continue
            same = (launch.job, launch.cluster) == (self.allocation.job, self.allocation.cluster)
            try:
                if same and len(slurm.hostnames(launch.nodes)) >= self.nodes:
                    return True
            except LaunchFailed:  # Slurm does not respond: better no restart than one after the other
                return True
        return False

    def forget(self, lost: Collection[str]) -> None:
        """Leave out nodes that are lost."""
        self.nodes -= len(lost)
        self.possible = Possible()  # what was asked before the loss counts the lost nodes

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Ask Slurm during the block, from a thread."""

        def watch(ended: threading.Event) -> None:
            while not ended.wait(LOOK_SECONDS):
                try:
                    self.possible = self.look()
                except LaunchFailed:  # Slurm does not respond; the next look may succeed
                    self.possible = Possible()

        if not self._wanted:
            yield
            return
        with background.working(watch):
            yield

    def look(self) -> Possible:
        """Return what Slurm could give the job.

        :raises LaunchFailed: Slurm does not respond, or the job has no batch script.
        """
        number, nodes = self.allocation.job, self.nodes
        if self._range is None:
            self._range = self._allowed()
        least, most = self._range
        if nodes >= most:
            return Possible()
        partition = slurm.job_fields(number).get("Partition", "")
        if slurm_queue.others_wait(partition, number):
            return Possible()
        found = possible(nodes, least, most, slurm_queue.free_nodes(partition))
        return found if nodes == self.nodes else Possible()  # one was lost meanwhile

    def _allowed(self) -> tuple[int, int]:
        """Return with how many nodes the job may start again, at least and at most; 0 if it may not."""
        fields = slurm.job_fields(self.allocation.job)
        if fields.get("Requeue") != "1" or fields.get("BatchFlag") != "1":
            return 0, 0
        had = len(self.allocation.nodes)
        asked = slurm_queue.nodes_asked_for(self.allocation.job)
        if asked is None or asked[1] < had:  # the command line of sbatch said something else
            return had, had  # the job can get back what it had
        least, most = asked
        tasks = least * (whole_number(fields.get("NtasksPerN:B:S:C", "").partition(":")[0]) or most)
        return least, max(min(most, tasks), had)  # Slurm gives a job no more nodes than it has tasks on the least

    def reason(self, run: RunState, slowest: float) -> str:
        """Return why the run is to start again on more nodes, empty if it is not.

        :param slowest: seconds of the slowest image.
        """
        found = self.possible
        if found.nodes <= self.nodes:
            return ""
        images, speed = progress(run), rate(run, time.time())
        if images is None or not speed:
            return ""
        if images.left < IMAGES_PER_RANK * run.now.ranks or len(run.now.done) < run.now.ranks:
            return ""
        left = images.left / speed
        wait = slowest + REQUEUE_SECONDS + (BOOT_SECONDS if found.boots else 0.0) + start_seconds(run)
        again = wait + left * self.nodes / found.nodes
        if left < MARGIN * again:
            return ""
        return (
            f"{plural(found.nodes, 'node')} are available instead of {self.nodes}: "
            f"what is left takes {duration(left)}, with a restart about {duration(again)}"
        )


def possible(nodes: int, least: int, most: int, free: FreeNodes) -> Possible:
    """Return what a job that has so many nodes could get, if it asked for at least and at most so many."""
    up, all_of_them = min(nodes + free.up, most), min(nodes + free.up + free.powered_down, most)
    if all_of_them < least:
        return Possible()
    return Possible(all_of_them, boots=all_of_them > up)


def start_seconds(run: RunState) -> float:
    """Return how long the newest launch took until its ranks began to render."""
    takes = [one.first_take for one in run.now.sessions.values() if one.first_take is not None]
    launch = run.now.launch
    return max(min(takes) - launch.time, 0.0) if takes and launch is not None else 0.0
