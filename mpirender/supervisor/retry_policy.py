"""What becomes of a run whose ranks die: which image is blamed, what is set aside, and when to give up."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mpirender.errors import FramesMissing, LaunchFailed
from mpirender.job.options import DYNAMIC
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.launcher import exit_diagnosis
from mpirender.launcher.process import LAUNCH_LOG
from mpirender.run_folder.events import Death
from mpirender.run_folder.restart_plan import RestartPlan
from mpirender.supervisor.in_flight import RunningRanks
from mpirender.system.text import rank_or_group

DEADLY = 2  # deaths for which an image is blamed, then it is set aside
FRUITLESS = 3  # starts in a row that end without an image done or blamed: it is not the images then
LOG_LINES = 5
BACKTRACE = re.compile(r"\[\S+:\d+\] (\[ ?\d+\]|\*\*\*)")  # Open MPI's, which tells a scientist nothing
START_SECONDS = 600.0  # until a rank says that it is up and connected; very many read their program at once
OUT_OF_MEMORY = "if memory ran out (dmesg tells), give fewer --ranks, or let some share frames (--ranks-per-frame)"
TOLD = 3  # images set aside for which it is said how to try them


@dataclass(frozen=True)
class End:
    """How a start of the ranks ended.

    Args:
        code: exit code of the launcher, negative for a signal.
        said: what it and the ranks printed.
        hung: ranks that were ended since they took too long for an image.
        late: whether they were ended since none had come up for too long.
        stopped: whether they were ended since the grace period after a signal was over.
        lost: nodes that do not answer any more.
        launcher: what had started them.
    """

    code: int
    said: tuple[str, ...] = ()
    hung: tuple[int, ...] = ()
    stopped: bool = False
    late: bool = False
    lost: tuple[str, ...] = ()
    launcher: str = "mpiexec"

    def of_launch(self) -> str:
        """Say what went wrong that is no rank's doing, empty for nothing."""
        if self.lost:
            names = f"node{'s' if len(self.lost) > 1 else ''} {', '.join(self.lost)}"
            return f"{names} {'do' if len(self.lost) > 1 else 'does'} not answer any more"
        if self.late:
            return f"{self.launcher} had started no rank after {START_SECONDS / 60:.0f} minutes and was ended"
        if self.code < 0 and self.launcher != "none" and not self.hung:
            return f"{self.launcher} was ended by {exit_diagnosis.ending(self.code)}"
        return ""


class Fate:
    """The deaths of one run."""

    def __init__(self, job: RenderJob, run_id: str) -> None:
        self.job = job
        self.run_id = run_id
        self.life = 1
        self.set_aside: dict[Image, str] = {}
        self.reason = ""
        self.unit = rank_or_group(job.ranks_per_frame)
        self.proven = False  # whether the launcher has started ranks in a trial
        self._blamed: Counter[Image] = Counter()
        self._log_tails: dict[Image, list[str]] = {}
        self._fruitless = 0
        self._started = False

    def plan(self) -> RestartPlan:
        """Return what the next launch is to do."""
        suspects = frozenset(image for image in self._blamed if image not in self.set_aside)
        return RestartPlan(self.run_id, self.life, dict(self.set_aside), suspects)

    def bury(self, ranks: RunningRanks, end: End) -> Death:
        """Find out what the ranks died of; return what to record of it.

        Args:
            ranks: what they were doing.
        """
        rank, self.reason = self._cause(ranks, end)
        blamed = self._blame(ranks, end, rank)
        for image in blamed:
            self._remember(image, rank)
        self._fruitless = 0 if ranks.done or blamed else self._fruitless + 1
        lost = tuple((one, image) for one, images in sorted(ranks.unwritten.items()) for image in images)
        return Death(self.life, self.reason, in_progress=lost, blamed=tuple(blamed))

    def rise(self, ranks: RunningRanks, end: End) -> None:
        """Prepare the next start.

        Raises:
            LaunchFailed: the ranks never started.
            FramesMissing: they die too often, or without getting anywhere.
        """
        log = self.job.folder / LAUNCH_LOG
        self._started = self._started or bool(ranks.pids)
        # What a signal has killed, or what has worked before, is worth another try; else it would end by itself again.
        worth = "signal" in self.reason or self.proven
        if not self._started and (not worth or self._fruitless >= FRUITLESS):
            tail = "; ".join(line.strip() for line in end.said if line.strip(" -"))[-300:]
            ending = self.reason if end.late else exit_diagnosis.ending(end.code)
            raise LaunchFailed(f"the ranks did not start ({ending}): {tail or 'no output'}; the log is {log}")
        look = f"look into {self.job.folder}/rank-*.log and {log}"
        if self._fruitless >= FRUITLESS:
            out = f"; {OUT_OF_MEMORY}" if "SIGKILL" in self.reason else ""
            raise FramesMissing(f"the ranks die again and again without an image done: {self.reason}{out}; {look}")
        if self.life > self.job.max_restarts:
            times = f"after {self.life - 1} restarts (--max-restarts {self.job.max_restarts})"
            again = f"{self.reason}, {times}; {look}, then run the same command again to go on"
            raise FramesMissing("\n".join([again, *self.advice()]))
        self.life += 1

    def advice(self) -> list[str]:
        """Say of each image set aside how to try it alone, and what its rank's log ended with."""
        lines = []
        for image in list(self.set_aside)[:TOLD]:
            lines.append(f"to try {image} alone: {self.alone(image)}")
            lines += [f"    its rank's log: {line}" for line in self._log_tails[image]]
        return lines

    def alone(self, image: Image) -> str:
        """Return the command that renders one image on one rank, or one group; with it that of the other eye."""
        output = next(output for output in self.job.outputs if output.name == image.output)
        job = dataclasses.replace(
            self.job, frames=str(image.frame), vary=(), overrides=(*self.job.overrides, *output.overrides),
            sizes=(output.asked_size,),
            views=(output.view,) if output.view else (), layouts=(output.layout,) if output.layout else (),
            ranks=self.job.ranks_per_frame, movie="none", max_restarts=0,
        )  # fmt: skip
        return shlex.join(job.command())

    def _cause(self, ranks: RunningRanks, end: End) -> tuple[int | None, str]:
        """Return the rank that ended first, as far as is known, and words for what happened."""
        if reason := end.of_launch():
            return None, reason
        if end.hung:
            rank: int | None = end.hung[0]
            how = f"took too long for {ranks.rendering[end.hung[0]]} and was ended (--frame-timeout)"
        else:
            death = exit_diagnosis.Death(0) if end.launcher == "none" else exit_diagnosis.first_death(end.said)
            rank = ranks.rank_of(death.pid) if death.pid is not None else ranks.rank_in_world(death.rank)
            how = f"died ({death.how or exit_diagnosis.ending(end.code)})"
        if self._desk_died(ranks, end):
            return None, f"the process that hands out frames {how}"
        if rank is not None:
            return rank, f"{self.unit} {rank} on {ranks.hosts(rank)} {how}"
        if not ranks.pids:
            return None, f"{end.launcher} ended before a rank had started ({exit_diagnosis.ending(end.code)})"
        return None, f"a rank {how}"

    def _blame(self, ranks: RunningRanks, end: End, rank: int | None) -> list[Image]:
        """Return the images suspected of a death: that of the rank that died, where it is known.

        Where it is not, all images in progress are suspects, but those that were so before rather than the others.
        """
        if end.hung:
            return [ranks.rendering[one] for one in end.hung]
        if end.of_launch() or self._desk_died(ranks, end):
            return []  # it was not the images
        if rank is not None:
            return [ranks.rendering[rank]] if rank in ranks.rendering else []
        flown = set(ranks.rendering.values())
        return sorted(flown & set(self._blamed) or flown, key=lambda image: (image.frame, image.output))

    def _desk_died(self, ranks: RunningRanks, end: End) -> bool:
        """Say whether it was the process that hands out frames: the launcher names one that is no rank."""
        death = exit_diagnosis.first_death(end.said).rank if self.job.schedule == DYNAMIC and not end.hung else None
        return death is not None and bool(ranks.pids) and ranks.rank_in_world(death) is None

    def _remember(self, image: Image, rank: int | None) -> None:
        self._blamed[image] += 1
        self._log_tails[image] = [] if rank is None else self._log_tail(rank)
        if self._blamed[image] >= DEADLY:
            self.set_aside[image] = f"set aside after {self._blamed[image]} deaths at it; the last: {self.reason}"

    def _log_tail(self, rank: int) -> list[str]:
        """Return what the logs of a rank, or of all in a group, end with."""
        lines = []
        own = self.job.folder / f"rank-{rank:04d}.log"
        for log in (own, *sorted(self.job.folder.glob(f"{own.stem}-*.log"))):
            lines += tail_of(log)
        return lines


def tail_of(log: Path) -> list[str]:
    """Return what the log of a rank ends with; nothing where it cannot be read."""
    with contextlib.suppress(OSError):
        words = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return [line for line in words if not BACKTRACE.match(line)][-LOG_LINES:]
    return []
