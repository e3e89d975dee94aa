"""How a run recovers from the death of ranks: cause, blame, the next launch, and advice on images set aside."""

from __future__ import annotations

import dataclasses
import shlex
from itertools import islice

from mpirender.errors import FramesMissing, LaunchFailed
from mpirender.job.options import DYNAMIC
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.launcher import exit_diagnosis
from mpirender.launcher.process import LAUNCH_LOG
from mpirender.run_folder.events import Death
from mpirender.run_folder.restart_plan import RestartPlan
from mpirender.supervisor.in_flight import RunningRanks
from mpirender.supervisor.retry_policy import GiveUp, LaunchEnd, RetryPolicy, last_log_lines
from mpirender.system.text import plural, rank_or_group

OUT_OF_MEMORY = "if memory ran out (see dmesg), give fewer --ranks, or let several share frames (--ranks-per-frame)"
ADVISED = 3  # images set aside for which there is advice


class CrashRecovery:
    """The deaths of one run, and its next launch."""

    def __init__(self, job: RenderJob, run_id: str) -> None:
        self.job, self.run_id = job, run_id
        self.policy: RetryPolicy[Image] = RetryPolicy(job.max_restarts)
        self.reason = ""
        self._log_tails: dict[Image, list[str]] = {}

    @property
    def launch(self) -> int:
        """Number of the launch, from 1."""
        return 1 + self.policy.restarts

    def restart_plan(self) -> RestartPlan:
        """Return what the ranks must know at their next start."""
        return RestartPlan(self.run_id, self.launch, dict(self.policy.set_aside), self.policy.suspects)

    def record_death(self, ranks: RunningRanks, end: LaunchEnd) -> Death:
        """Find out why a launch ended; return the event to record."""
        rank, self.reason = self._cause(ranks, end)
        blamed = sorted(self._blame(ranks, end, rank))
        self.policy.record_death(blamed, self.reason, rank=rank, started=bool(ranks.pids), progress=bool(ranks.done))
        self._log_tails.update(dict.fromkeys(blamed, [] if rank is None else self._log_tail(rank)))
        lost = tuple((one, image) for one, images in sorted(ranks.unwritten.items()) for image in images)
        return Death(self.launch, self.reason, in_progress=lost, blamed=tuple(blamed))

    def prepare_restart(self, end: LaunchEnd) -> None:
        """Prepare the next launch.

        :raises LaunchFailed: the ranks never started.
        :raises FramesMissing: they died too often, or several times without an image done.
        """
        verdict = self.policy.next_attempt(self.reason)
        log = self.job.folder / LAUNCH_LOG
        see = f"see {self.job.folder}/rank-*.log and {log}"
        if verdict is GiveUp.NOT_STARTED:
            ending = self.reason if end.late else exit_diagnosis.ending(end.code)
            raise LaunchFailed(f"{end.not_started(ending)}; the log is {log}")
        if verdict is GiveUp.FRUITLESS:
            memory = f"; {OUT_OF_MEMORY}" if "SIGKILL" in self.reason else ""
            raise FramesMissing(f"the ranks died repeatedly without an image done: {self.reason}{memory}; {see}")
        if verdict is GiveUp.TOO_MANY_RESTARTS:
            times = f"after {plural(self.policy.restarts, 'restart')} (--max-restarts {self.job.max_restarts})"
            again = f"{self.reason}, {times}; {see}, then run the same command again to continue"
            raise FramesMissing("\n".join([again, *self.advice()]))

    def advice(self) -> list[str]:
        """Return, for images set aside, the command that renders each alone, and the end of its rank's log."""
        lines: list[str] = []
        for image in islice(self.policy.set_aside, ADVISED):
            lines.append(f"to try {image} alone: {self.command_for(image)}")
            lines += [f"    its rank's log: {line}" for line in self._log_tails[image]]
        return lines

    def command_for(self, image: Image) -> str:
        """Return the command that renders one image on one rank, or one group; in stereo it renders both eyes."""
        output = next(output for output in self.job.outputs if output.name == image.output)
        job = dataclasses.replace(
            self.job, frames=str(image.frame), vary=(), overrides=(*self.job.overrides, *output.overrides),
            sizes=(output.asked_size,),
            views=(output.view,) if output.view else (), layouts=(output.layout,) if output.layout else (),
            ranks=self.job.ranks_per_frame, movie="none", max_restarts=0,
        )  # fmt: skip
        return shlex.join(job.command())

    def _cause(self, ranks: RunningRanks, end: LaunchEnd) -> tuple[int | None, str]:
        """Return the rank that died first, None if unknown, and the reason for people."""
        if reason := end.launcher_fault():
            return None, reason
        if end.hung:
            rank: int | None = end.hung[0]
            how = f"took too long for {ranks.rendering[end.hung[0]]} and was ended (--frame-timeout)"
        else:
            alone = end.launcher == "none"
            death = exit_diagnosis.Death(0) if alone else exit_diagnosis.first_death(end.output)
            rank = ranks.rank_of(death.pid) if death.pid is not None else ranks.rank_in_world(death.rank)
            how = f"died ({death.how or exit_diagnosis.ending(end.code)})"
        if self._frame_server_died(ranks, end):
            return None, f"the process that hands out frames {how}"
        if rank is not None:
            return rank, f"{rank_or_group(self.job.ranks_per_frame)} {rank} on {ranks.hosts(rank)} {how}"
        return None, f"a rank {how}" if ranks.pids else end.before_start()

    def _blame(self, ranks: RunningRanks, end: LaunchEnd, rank: int | None) -> list[Image]:
        if end.hung:
            return [ranks.rendering[one] for one in end.hung]
        if end.launcher_fault() or self._frame_server_died(ranks, end):
            return []
        return self.policy.blame(ranks.rendering, rank)

    def _frame_server_died(self, ranks: RunningRanks, end: LaunchEnd) -> bool:
        """Return whether the frame server died: the launcher then names a process that is no rank."""
        if self.job.schedule != DYNAMIC or end.hung:
            return False
        death = exit_diagnosis.first_death(end.output).rank
        return death is not None and bool(ranks.pids) and ranks.rank_in_world(death) is None

    def _log_tail(self, rank: int) -> list[str]:
        """Return the last lines of the log of a rank, or of the logs of all ranks in a group."""
        own = self.job.folder / f"rank-{rank:04d}.log"
        logs = [own, *sorted(self.job.folder.glob(f"{own.stem}-*.log"))]
        return [line for log in logs for line in last_log_lines(log)]
