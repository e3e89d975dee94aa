"""Start the ranks, watch their journals, start them again when they die, and turn the end into a result or an error."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from mpirender.engines import Inspection
from mpirender.errors import (
    FramesMissing,
    Interrupted,
    MpirenderError,
    NoSpace,
    Stopped,
    TakenOver,
    ToolMissing,
    UsageError,
)
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line, launch_plan
from mpirender.launcher.exit_diagnosis import printed_error
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.placement import Placement
from mpirender.launcher.process import LAUNCH_LOG, Launch, sweep
from mpirender.run_folder import events, folder, lock
from mpirender.run_folder.events import Event
from mpirender.run_folder.journal import Journal, Tail
from mpirender.run_folder.lock import Lock
from mpirender.run_folder.run_state import RunState, progress
from mpirender.supervisor import disk_estimate, memory_estimate, preflight, retry_policy
from mpirender.supervisor.in_flight import RunningRanks, time_limit
from mpirender.supervisor.result import RenderResult, result_of
from mpirender.supervisor.retry_policy import End, Fate
from mpirender.system import signals, slurm
from mpirender.system.signals import StopRequest
from mpirender.system.slurm import Allocation
from mpirender.system.text import ranks_or_groups

POLL_SECONDS = 0.05
POLL_SECONDS_A_RANK = 0.005  # looking into very many journals, on a file system for many, must not become a load
AT_ONCE_SECONDS = 3.0  # what mpiexec gets to end the ranks when time is up
LATE_SECONDS = 6.0  # a rank that stops on a signal may be one of those that mpiexec ends because another has died
PAUSE_SECONDS = 10.0  # before another start where a launcher that has worked did not start a rank
WAIT_SECONDS = 1.0  # between looks at the lock of a run before
KILL_WAIT_SECONDS = 25.0  # Slurm's KillWait is 30 s where a site has not set it


def render(
    job: RenderJob,
    watch: Callable[[Sequence[Event]], None] = lambda new: None,
    inspection: Inspection | None = None,
) -> RenderResult:
    """Render a job: check it, start its ranks, and again when they die, until frames and movies are there.

    Args:
        watch: called many times a second with the records that were written since.
        inspection: what is known of the scene, if it was inspected before.

    Raises:
        MpirenderError: one of its kinds, saying what is wrong and what to do.
    """
    started = time.monotonic()
    run_id = uuid.uuid4().hex[:12]
    try:
        with contextlib.ExitStack() as stack:
            stop = stack.enter_context(signals.on_signals())
            inspection = inspection or preflight.inspect(job)
            job = preflight.resolved(job, inspection)
            preflight.check(job, inspection)
            allocation = slurm.allocation()
            job.folder.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(lock.held(job.folder, run_id, patience(allocation, stop, watch)))
            folder.write_job(job)
            sweep(command_line.rank_words(job))  # what a run that was killed has left
            folder.tidy(job)
            log = stack.enter_context(Journal(job.folder, None, socket.gethostname()))
            run = Run(job, allocation, Fate(job, run_id), log, watch)
            run.go_on_until_done(inspection, stop, held)
    except OSError as error:
        raise folder.unwritable(job, error) from None
    return result_of(job, run.state, time.monotonic() - started, skipped=run.tail.skipped)


def patience(
    allocation: Allocation | None, stop: StopRequest, watch: Callable[[Sequence[Event]], None]
) -> Callable[[UsageError], None]:
    """Return what to do when another run holds the lock: give up, or, as a later life of a Slurm job, wait a while.

    Slurm starts a job again on other nodes, from which a dead owner is known as dead by its silence alone.
    """
    deadline = time.monotonic() + (2 * lock.DEAD_SECONDS if allocation is not None and allocation.run > 1 else 0)
    told: list[str] = []

    def refused(error: UsageError) -> None:
        if stop.requested:
            raise Stopped(f"stopped on {stop.name}", "run the same command again", signal=stop.name)
        if time.monotonic() >= deadline:
            raise error
        if not told:
            told.append(f"waiting until the run before is known as dead, at most {2 * lock.DEAD_SECONDS:.0f} s")
            note(watch, told[0])
        time.sleep(WAIT_SECONDS)

    return refused


def note(watch: Callable[[Sequence[Event]], None], text: str) -> None:
    """Let the user know."""
    watch([events.Note(text)])


def leftover(placement: Placement) -> str:
    """Say that there is room for ranks that make no whole group, empty where all do."""
    if not placement.spare:
        return ""
    left = "1 more is" if placement.spare == 1 else f"{placement.spare} more are"
    return f"{placement.ranks} ranks make {ranks_or_groups(placement.groups, placement.group)}; {left} not started"


class Run:
    """One run of the command: as many starts of the ranks as it takes."""

    def __init__(
        self,
        job: RenderJob,
        allocation: Allocation | None,
        fate: Fate,
        log: Journal,
        watch: Callable[[Sequence[Event]], None],
    ) -> None:
        self.job = job
        self.allocation = allocation
        self.plan: LaunchPlan
        self.fate = fate
        self.log = log
        self.watch = watch
        self.state = RunState(fate.run_id)
        self.tail = Tail(job.folder)
        self._estimates = [disk_estimate.shortage, memory_estimate.shortage]

    def go_on_until_done(self, inspection: Inspection, stop: StopRequest, held: Lock) -> None:
        """Start the ranks, and start them again after a death, until their work is done.

        Args:
            inspection: what is known of the scene.

        Raises:
            MpirenderError: they have said what is wrong, were asked to stop, or die too often.
        """
        started = time.monotonic()
        try:
            self._settle(inspection, stop)
            while not self._lived(stop, held):
                pass
        except TakenOver:  # the journal is the other run's now
            raise
        except MpirenderError as error:
            self._finish(error, started)
            raise
        except OSError as error:
            self._finish(folder.unwritable(self.job, error), started)
            raise
        self._finish(None, started)

    def _settle(self, inspection: Inspection, stop: StopRequest) -> None:
        """Plan the launch."""
        images = preflight.images_of(self.job, inspection)
        try:
            self.plan = launch_plan.of_job(
                self.job, inspection, images, stop=lambda: stop.requested, note=partial(note, self.watch)
            )  # fmt: skip
        except ToolMissing:
            if stop.requested:
                raise self._stopped(stop) from None
            raise
        self.fate.proven = bool(self.plan.placement.nodes)  # its launcher has passed a probe
        if rest := leftover(self.plan.placement):
            note(self.watch, rest)

    def _finish(self, error: MpirenderError | None, started: float) -> None:
        """Write down how the run has ended."""
        code, message = (0, "") if error is None else (error.exit_code, error.message)
        with contextlib.suppress(OSError):  # a full disk
            self.log.write(events.Finish(code, message, time.monotonic() - started))
        self._look()

    def _lived(self, stop: StopRequest, held: Lock) -> bool:
        """Start the ranks once; return whether their work is done, otherwise it is worth starting them again."""
        if stop.requested:
            raise self._stopped(stop)
        self.log.write(self._launch())
        ranks = RunningRanks(self.state.launch(self.fate.life))
        end = self._live(ranks, stop, held)
        # MPICH ends with 0 also if a rank does so in the midst of its work, or if one alone ends with another code.
        if end.code == 0 and ranks.finished:
            return True
        error = printed_error(end.said, end.code or ranks.code)
        if stop.requested or end.stopped or isinstance(error, Stopped):
            raise self._stopped(stop)
        if isinstance(error, FramesMissing) and not isinstance(error, NoSpace):
            raise FramesMissing("\n".join([str(error), *self.fate.advice()]))
        if error is not None:
            raise error
        if not ranks.pids:  # it may not be what it was when it was asked last
            self.plan.engine.verify(self.job.programs, afresh=True)
        end = self._call_the_roll(end, stop)
        if stop.requested:
            raise self._stopped(stop)
        self.log.write(self.fate.bury(ranks, end))
        self._look()
        self.fate.rise(ranks, end)
        if not ranks.pids and self.fate.proven:
            self._pause(stop, held)
        return False

    def _pause(self, stop: StopRequest, held: Lock) -> None:
        """Let pass what kept the ranks from starting: a node that is slow to answer, the end of a life before."""
        end = time.monotonic() + PAUSE_SECONDS
        while time.monotonic() < end and not stop.requested:
            held.beat()
            time.sleep(POLL_SECONDS)

    def _launch(self) -> events.Launch:
        """Return what to record of the launch: what the ranks are to do, and where they run."""
        placement, plan = self.plan.placement, self.fate.plan()
        launch = events.Launch(
            plan.run, plan.launch, placement.groups, os.getpid(), tuple(plan.set_aside.items()),
            tuple(sorted(plan.suspects)), ranks_per_frame=placement.group, launcher=str(placement.launcher),
        )  # fmt: skip
        if self.allocation is None:
            return launch
        whole = len(placement.nodes) in (0, len(self.allocation.nodes))
        nodes = self.allocation.node_list if whole else ",".join(placement.nodes)
        job, cluster, number = self.allocation.job, self.allocation.cluster, self.allocation.run
        return replace(launch, nodes=nodes, job=job, cluster=cluster, allocation=number)

    def _call_the_roll(self, end: End, stop: StopRequest) -> End:
        """Go on without the nodes that do not answer any more, and say that they are what the ranks died of."""
        before = self.plan.placement.nodes
        self.plan = launch_plan.on_responding_nodes(self.plan, self.allocation, lambda: stop.requested)
        lost = tuple(node for node in before if node not in self.plan.placement.nodes)
        return replace(end, lost=lost, launcher=self.plan.placement.launcher.name)

    def _live(self, ranks: RunningRanks, stop: StopRequest, held: Lock) -> End:
        """Run the ranks once, to their end."""
        ending: float | None = None  # since when they are to end
        grace = 0.0
        hung: tuple[int, ...] = ()
        over = late = False
        started = time.monotonic()
        pause = max(POLL_SECONDS, POLL_SECONDS_A_RANK * self.plan.placement.ranks)
        with self._start() as launch:
            while launch.code is None and not (hung or over or late):
                held.beat()
                self._look(estimate=True)
                if ending is None and (stop.requested or ranks.stopped(LATE_SECONDS)):
                    ending = time.monotonic()
                    launch.ask_to_stop()
                    name = stop.name or ranks.signal
                    grace = self._grace(name)
                    self.log.write(events.Stop(name, grace))
                over = ending is not None and time.monotonic() - ending > grace
                over = over or stop.interrupted > 1
                late = not over and not ranks.pids and time.monotonic() - started > retry_policy.START_SECONDS
                hung = () if over else ranks.hanging(time_limit(self.job.frame_timeout, ranks.slowest))
                time.sleep(pause)
            if hung or over or late:
                launch.end(AT_ONCE_SECONDS)
        self._look(estimate=True)
        folder.tidy(self.job)
        code = launch.code
        assert code is not None  # it has ended with the block
        return End(code, tuple(launch.output), hung, stopped=over, late=late)

    def _start(self) -> Launch:
        """Start the ranks."""
        words, log = command_line.rank_words(self.job), self.job.folder / LAUNCH_LOG
        command = self.plan.command(*words, self.fate.run_id)
        return Launch(command, self.plan.environment, rank_words=words, log=log)

    def _grace(self, signal: str) -> float:
        """Return the seconds that images in progress get to end after a signal."""
        kills = self.allocation is not None and signal == "SIGTERM"  # Slurm lets SIGKILL follow it
        return min(self.job.grace_period, KILL_WAIT_SECONDS) if kills else self.job.grace_period

    def _look(self, *, estimate: bool = False) -> None:
        """Read what is new in the journals, and pass it on; if asked for, warn once that disk or memory is short."""
        new = self.tail.read()
        for event in new:
            self.state.apply(event)
        self.watch(new)
        for shortage_of in list(self._estimates) if new and estimate else ():
            if shortage := shortage_of(self.job, self.state):
                self.log.write(events.Warning(shortage))
                self._estimates.remove(shortage_of)

    def _stopped(self, stop: StopRequest) -> MpirenderError:
        """Return the error for a run that a signal has ended."""
        images = progress(self.state)
        so_far = f"; {images.done} of {images.total} images are done" if images else ""
        again = "run the same command again and it goes on with what is left"
        if stop.interrupted:
            return Interrupted(f"interrupted{so_far}; {again}")
        name = stop.name or RunningRanks(self.state.now).signal
        return Stopped(f"stopped on {name or 'a signal'}{so_far}", again, signal=name)
