"""How a run recovers from the death of ranks: cause, blame, the next launch, and advice on images set aside."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from itertools import islice

from mpirender import engines
from mpirender.errors import FramesChanged, FramesMissing, LaunchFailed, one_line
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import OPTIONS, RenderJob
from mpirender.launcher import exit_diagnosis
from mpirender.launcher.environment import mpi_variables
from mpirender.launcher.process import LAUNCH_LOG
from mpirender.ranks.log import last_log_lines
from mpirender.run_folder.events import Death
from mpirender.run_folder.restart_plan import RestartPlan
from mpirender.run_folder.run_state import LaunchState, RunState
from mpirender.supervisor.disk_estimate import amount
from mpirender.supervisor.in_flight import SILENT_SECONDS, RunningRanks
from mpirender.supervisor.retry_policy import GiveUp, LaunchEnd, RetryPolicy
from mpirender.system import host, slurm
from mpirender.system.child_process import ending
from mpirender.system.stopped_processes import STOPPED
from mpirender.system.text import plural, rank_or_group

MAX_CHANGES = 2  # then something else keeps writing to the folder
ADVISED = 3  # images for which there is advice


class CrashRecovery:
    """The deaths of one run, and its next launch."""

    def __init__(self, job: RenderJob, run_id: str) -> None:
        self.job, self.run_id = job, run_id
        self.policy: RetryPolicy[Image] = RetryPolicy(job.max_restarts)  # its images are those of groups
        self.reason = ""
        self._moves = 0  # launches that were ended because nodes are taken away
        self._oom_kills = host.oom_kills()
        self._changes = 0  # launches after which files of frames were found changed
        self._log_tails: dict[Image, list[str]] = {}

    @property
    def launch(self) -> int:
        """Number of the launch, from 1."""
        return 1 + self.policy.restarts + self._moves

    def restart_plan(self) -> RestartPlan:
        """Return what the ranks must know at their next start."""
        return RestartPlan(self.run_id, self.launch, dict(self.policy.set_aside), self.policy.suspects)

    def record_death(self, ranks: RunningRanks, end: LaunchEnd) -> Death:
        """Find out why a launch ended; return the event to record."""
        rank, self.reason = self._cause(ranks, end)
        blamed = sorted(self._blame(ranks, end, rank))
        self.policy.record_death(blamed, self.reason, rank=rank, started=bool(ranks.pids), progress=bool(ranks.done))
        self._log_tails.update(dict.fromkeys(blamed, [] if rank is None else self._log_tail(rank)))
        lost = self._lost(ranks)
        return Death(self.launch, self.reason, in_progress=lost, blamed=tuple(blamed), lost=end.lost)

    def record_change(self, error: FramesChanged) -> Death:
        """Return the event to record of a launch that ended because files of frames were changed.

        :raises FramesChanged: this has happened too often.
        """
        self._changes += 1
        if self._changes > MAX_CHANGES or self.policy.restarts >= self.job.max_restarts:
            raise FramesChanged(f"{error}; run the same command again, which renders what has changed")
        self.reason = one_line(str(error))
        self.policy.record_death([], self.reason, started=True, progress=True)
        return Death(self.launch, self.reason)

    def record_move(self, ranks: RunningRanks, reason: str) -> Death:
        """Return the event to record of a launch that was ended because nodes are taken away; it is no restart."""
        death = Death(self.launch, reason, in_progress=self._lost(ranks))
        self._moves += 1
        return death

    @staticmethod
    def _lost(ranks: RunningRanks) -> tuple[tuple[int, Image], ...]:
        return tuple((one, image) for one, images in sorted(ranks.unwritten.items()) for image in images)

    def prepare_restart(self, end: LaunchEnd, launch: LaunchState) -> None:
        """Prepare the launch after this one, which ended so.

        :raises LaunchFailed: the ranks never started.
        :raises FramesMissing: they died too often, or several times without an image done.
        """
        verdict = self.policy.next_attempt(self.reason)
        log = self.job.folder / LAUNCH_LOG
        see = f"see {self.job.folder}/rank-*.log and {log}"
        if verdict is GiveUp.NOT_STARTED:
            reason = self.reason if end.late else ending(end.code)
            odd = "; these variables change how MPI starts: " + ", ".join(set_) if (set_ := mpi_variables()) else ""
            raise LaunchFailed(f"{end.not_started(reason)}{odd}; the log is {log}")
        if verdict is GiveUp.FRUITLESS:
            memory = f"; if memory ran out (see dmesg), {self._more_memory(launch)}" if "SIGKILL" in self.reason else ""
            raise FramesMissing(f"the ranks died repeatedly without an image done: {self.reason}{memory}; {see}")
        if verdict is GiveUp.TOO_MANY_RESTARTS:
            times = f"after {plural(self.policy.restarts, 'restart')} (--max-restarts {self.job.max_restarts})"
            again = f"{self.reason}, {times}; {see}, then run the same command again to continue"
            raise FramesMissing("\n".join([again, *self.advice(launch)]))

    def advice(self, launch: LaunchState) -> list[str]:
        """Return how to look into images that ended their rank or renderer, and failed for that in this launch.

        That is the command that renders each alone, and what its rank or renderer printed last.
        """
        tails: dict[Image, Sequence[str]] = {image: self._log_tails[image] for image in self.policy.set_aside}
        losses = (loss for session in launch.sessions.values() for loss in session.losses)
        tails.update({loss.image: loss.log for loss in losses if loss.image in launch.failed})
        lines = [f"memory ran out: {self._more_memory(launch)}"] if self._ran_out(launch) else []
        for image in islice(tails, ADVISED):
            lines.append(f"to try {image} alone: {self.command_for(image)}")
            lines += [f"    its rank's log: {line}" for line in tails[image]]
        return lines

    def ran_out(self, state: RunState) -> str:
        """Return the warning for a complete movie in a Slurm job where memory has run out; empty if it never has."""
        reasons = [*(death.reason for death in state.deaths), *(loss.reason for loss in state.losses)]
        if not any(host.OUT_OF_MEMORY in reason for reason in reasons):
            return ""
        what = "frames are" if self.job.movie == "none" else "movie is"
        return (
            f"the {what} complete, but Slurm will call this job OUT_OF_MEMORY, since one of its processes was killed "
            "when memory ran out; give the next one more --mem"
        )

    def _ran_out(self, launch: LaunchState) -> bool:
        """Return whether the kernel has ended a process of the run because memory ran out."""
        reasons = [loss.reason for session in launch.sessions.values() for loss in session.losses]
        return any(host.OUT_OF_MEMORY in reason for reason in (self.reason, *reasons))

    def _more_memory(self, launch: LaunchState) -> str:
        """Return how to give ranks more memory, with what they may take on each machine."""
        sessions = launch.sessions.values()
        most = min((one.opened.node_memory for one in sessions if one.opened and one.opened.node_memory), default=0)
        fixes = ["submit with more --mem" if slurm.job_number() else "raise the limit or use another machine"]
        if launch.ranks > 1:
            fixes.append(f"give fewer --ranks than {launch.ranks * launch.ranks_per_frame}")
        if OPTIONS["ranks_per_frame"].applies_to(engines.name_for(self.job.scene)):
            fixes.append(f"let {launch.ranks_per_frame + 1} ranks share frames (--ranks-per-frame)")
        limit = f"all ranks on a machine may take {amount(most)}; " if most else ""
        return limit + ", or ".join(fixes)

    def command_for(self, image: Image) -> str:
        """Return the command that renders one image on one rank, or one group; in stereo it renders both eyes."""
        output = next(output for output in self.job.outputs if output.name == image.output)
        return shlex.join(alone(self.job, output, str(image.frame)).command())

    def _cause(self, ranks: RunningRanks, end: LaunchEnd) -> tuple[int | None, str]:
        """Return the rank that died first, None if unknown, and the reason for people."""
        if reason := end.launcher_fault():
            return None, reason
        rank: int | None
        if suspended := ranks.ranks_of(end.suspended):
            rank, how = suspended[0], f"was {STOPPED}"
        elif end.hung:
            rank, image = next(iter(end.hung.items()))
            silent = f"was silent for {SILENT_SECONDS / 60:.0f} minutes and was ended"
            how = silent if image is None else f"took too long for {image} and was ended (--frame-timeout)"
        else:
            alone = end.launcher == "none"
            death = exit_diagnosis.Death(0) if alone else exit_diagnosis.first_death(end.output)
            rank = ranks.rank_of(death.pid) if death.pid is not None else ranks.rank_in_world(death.rank)
            how = f"died ({death.how or ending(end.code)})"
            if "SIGKILL" in how and host.oom_kills() > self._oom_kills:
                how = host.OUT_OF_MEMORY
        if rank is not None:
            return rank, f"{rank_or_group(self.job.ranks_per_frame)} {rank} on {ranks.hosts(rank)} {how}"
        return None, f"a rank {how}" if ranks.pids else end.before_start()

    def _blame(self, ranks: RunningRanks, end: LaunchEnd, rank: int | None) -> list[Image]:
        """Return the images that may have ended a rank; only ranks of groups render themselves."""
        if self.job.ranks_per_frame == 1 or end.launcher_fault() or ranks.ranks_of(end.suspended):
            return []
        if end.hung:
            return [image for image in end.hung.values() if image is not None]
        return self.policy.blame(ranks.rendering, rank)

    def _log_tail(self, rank: int) -> list[str]:
        """Return the last lines of the log of a rank, or of the logs of all ranks in a group."""
        own = self.job.folder / f"rank-{rank:04d}.log"
        logs = [own, *sorted(self.job.folder.glob(f"{own.stem}-*.log"))]
        return [line for log in logs for line in last_log_lines(log)]


def alone(job: RenderJob, output: Output, frames: str) -> RenderJob:
    """Return the job that renders some frames of one output on one rank, or one group; in stereo, for both eyes."""
    return dataclasses.replace(
        job, frames=frames, vary=(), overrides=(*job.overrides, *output.overrides), sizes=(output.asked_size,),
        views=(output.view,) if output.view else (), layouts=(output.layout,) if output.layout else (),
        ranks=job.ranks_per_frame, movie="none", max_restarts=0, on_end=None, mail=(),
    )  # fmt: skip
