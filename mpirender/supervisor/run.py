"""One run: start the ranks, follow their journals, start them again after a death, and return a result or an error."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from mpirender import engines, errors
from mpirender.engines.base import Inspection
from mpirender.errors import FramesChanged, FramesMissing, Interrupted, MpirenderError, Stopped, TakenOver, ToolMissing
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.launcher import command_line, launch_plan
from mpirender.launcher.exit_diagnosis import printed_error
from mpirender.launcher.launch_plan import LaunchPlan
from mpirender.launcher.placement import notes
from mpirender.launcher.process import LAUNCH_LOG, Launch, sweep
from mpirender.run_folder import events, folder, lock, own_files
from mpirender.run_folder.events import Event
from mpirender.run_folder.journal import Journal, Tail
from mpirender.run_folder.lock import Lock
from mpirender.run_folder.run_state import RunState, progress
from mpirender.supervisor import disk_estimate, memory_estimate, preflight, retry_policy
from mpirender.supervisor.budget import Budget
from mpirender.supervisor.crash_recovery import CrashRecovery
from mpirender.supervisor.early_end import EarlyEnd, EarlyEnds
from mpirender.supervisor.growth import Growth
from mpirender.supervisor.in_flight import RunningRanks
from mpirender.supervisor.launch_record import launch_event
from mpirender.supervisor.lock_wait import Continued, LockWait
from mpirender.supervisor.result import RenderResult, result_of
from mpirender.supervisor.retry_policy import LaunchEnd
from mpirender.supervisor.stop_period import StopPeriod
from mpirender.system import signals, slurm
from mpirender.system.signals import StopRequest
from mpirender.system.slurm import Allocation
from mpirender.system.stall import time_limit
from mpirender.system.stopped_processes import StoppedProcesses, descendants

POLL_SECONDS = 0.05
POLL_SECONDS_PER_RANK = 0.005  # reading thousands of journals must not become a load on a shared file system
LATE_SECONDS = 6.0  # after a death the launcher sends the other ranks a signal, too: these are not asked to stop
PAUSE_SECONDS = 10.0  # before another launch if a launcher that works did not start a rank
STUCK_SECONDS = 60.0  # after the work of the ranks, until the launcher has ended
SUSPENDED_SECONDS = 10.0  # a longer pause between two looks at the ranks does not count: the job was suspended

Watch = Callable[[Sequence[Event]], None]


def render(
    job: RenderJob, watch: Watch = lambda _: None, inspection: Inspection | None = None, plan: LaunchPlan | None = None,
    *, continued: Continued = lambda error: error,
) -> RenderResult:  # fmt: skip
    """Render a job: check it, start its ranks, and again after deaths, until frames and movies are complete.

    :param watch: called many times a second with the events since the last call.
    :param inspection: the inspection of the scene, if it was made before.
    :param plan: the launch plan, if it was made before.
    :param continued: called when a signal has stopped the ranks; returns the error that says how the run continues.
    :raises MpirenderError: one of its subclasses; the message says what is wrong and what to do.
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
            folder.make(job)
            waiting = LockWait(allocation, stop, watch, continued)
            held = stack.enter_context(lock.held(job.folder, run_id, waiting.refused, waiting.pause))
            folder.write_job(job)
            sweep(command_line.rank_words(job), job.folder)  # ranks of an earlier run that was killed
            own_files.tidy(job)
            budget = Budget.of(job, allocation.nodes if allocation else [socket.gethostname()])
            log = stack.enter_context(Journal(job.folder, None, socket.gethostname()))
            growth = Growth(job, allocation) if allocation is not None else None
            stack.enter_context(growth.watching() if growth is not None else contextlib.nullcontext())
            recovery = CrashRecovery(job, run_id)
            run = Run(job, allocation, recovery, log, watch, budget=budget, growth=growth, continued=continued)
            run.run_to_end(inspection, stop, held, plan)
    except OSError as error:
        raise folder.unwritable(job, error) from None
    return result_of(job, run.state, time.monotonic() - started, skipped=run.tail.skipped)


def reported_error(ranks: RunningRanks, end: LaunchEnd) -> MpirenderError | None:
    """Return the error that ranks recorded, or printed if they could not record it; None if they died without one."""
    recorded = errors.recorded((error.kind, error.message) for error in ranks.errors)
    return recorded or printed_error(end.output, end.code or next((error.code for error in ranks.errors), 0))


class Run:
    """One run of the command: as many launches of the ranks as it takes."""

    def __init__(
        self,
        job: RenderJob,
        allocation: Allocation | None,
        recovery: CrashRecovery,
        log: Journal,
        watch: Watch,
        *,
        budget: Budget | None = None,
        growth: Growth | None = None,
        continued: Continued = lambda error: error,
    ) -> None:
        self.job, self.allocation, self.recovery, self.log, self.watch = job, allocation, recovery, log, watch
        self.plan: LaunchPlan
        self.state, self.tail = RunState(recovery.run_id), Tail(job.folder)
        self.continued = continued
        self.stop_period = StopPeriod(job.grace_period, in_slurm=allocation is not None)
        self.budget, self.growth = budget, growth
        self.early_ends = EarlyEnds(self.state, budget, growth)
        self.early: EarlyEnd | None = None  # why the ranks were asked to end before their work is done
        self._estimates = [disk_estimate.shortage, memory_estimate.shortage]

    def run_to_end(self, inspection: Inspection, stop: StopRequest, held: Lock, plan: LaunchPlan | None) -> None:
        """Start the ranks, and again after deaths, until their work is done.

        :raises MpirenderError: the ranks reported it, a signal came, or they died too often.
        """
        started = time.monotonic()
        try:
            self.plan = plan or self._make_plan(inspection, stop)
            if slurm.in_array():
                self._note(
                    f"warning: this is a task of a job array; {slurm.NO_ARRAY}, unless each task has its own scene"
                )
            if scripts := preflight.script_note(inspection):
                self._note(scripts)
            self.recovery.policy.launcher_works = bool(self.plan.placement.nodes)  # it has passed a probe
            for line in notes(self.plan.placement):
                self._note(line)
            while not self._launch(stop, held):
                pass
        except TakenOver:  # the journal belongs to the other run now
            raise
        except (MpirenderError, OSError) as error:
            problem = error if isinstance(error, MpirenderError) else folder.unwritable(self.job, error)
            problem = self.continued(problem) if isinstance(problem, Stopped) else problem
            self._record_end(problem, started)
            if problem is error:
                raise
            raise problem from None
        if slurm.job_number() and (warning := self.recovery.ran_out(self.state)):
            self.log.write(events.Warning(warning))
        self._record_end(None, started)

    def _make_plan(self, inspection: Inspection, stop: StopRequest) -> LaunchPlan:
        images = preflight.images_of(self.job, inspection)
        try:
            return launch_plan.of_job(self.job, inspection, images, stop=lambda: stop.requested, note=self._note)
        except ToolMissing:
            if stop.requested:
                raise self._stopped(stop) from None
            raise

    def _note(self, text: str) -> None:
        self.watch([events.Note(text)])

    def _record_end(self, error: MpirenderError | None, started: float) -> None:
        code, message = (0, "") if error is None else (error.exit_code, error.message)
        lost: list[str] = []
        if self.allocation is not None and isinstance(error, Stopped) and error.signal == "SIGTERM":
            lost = slurm.down_nodes(list(self.allocation.nodes))
        with contextlib.suppress(OSError):  # a full disk
            self.log.write(events.Finish(code, message, time.monotonic() - started, tuple(lost)))
        self._read_journals()

    def _launch(self, stop: StopRequest, held: Lock) -> bool:
        """Start the ranks once; return whether their work is done, otherwise they are to be started again."""
        if stop.requested:
            raise self._stopped(stop)
        self.early = None
        if early := self.early_ends.look(self.plan.placement):
            self._continue_without(early)
        self.log.write(launch_event(self.plan.placement, self.recovery.restart_plan(), self.allocation))
        if self.budget is not None:
            self.log.write(self.budget.record())
        ranks = RunningRanks(self.state.launch(self.recovery.launch))
        end = self._follow(ranks, stop, held)
        held.check()
        # The code of the launcher says less: MPICH ends with 0 even if a rank exits with 0 in the middle of its work.
        if ranks.finished:
            return True
        error = reported_error(ranks, end)
        if self.early and not stop.requested and (error is None or isinstance(error, Stopped)):
            self._continue_without(self.early)
            self.log.write(self.recovery.record_move(ranks, self.early.text))
            self._read_journals()
            return False
        if changed := self._raise_error(error, ranks, end, stop):
            self.log.write(self.recovery.record_change(changed))
            self._read_journals()
            self.recovery.prepare_restart(end, self.state.now)
            return False
        self.plan, lost = launch_plan.on_responding_nodes(self.plan, self.allocation, lambda: stop.requested)
        end = replace(end, lost=lost)
        self._forget(lost)
        if stop.requested:
            raise self._stopped(stop)
        self.log.write(self.recovery.record_death(ranks, end))
        self._read_journals()
        self.recovery.prepare_restart(end, self.state.now)
        if not ranks.pids and self.recovery.policy.launcher_works:
            self._pause(stop, held)
        return False

    def _continue_without(self, early: EarlyEnd) -> None:
        """Leave out the nodes that are taken away, or raise the error with which the run is to end."""
        if early.error is not None:
            raise early.error()
        self.plan = launch_plan.without(self.plan, early.nodes)
        self._forget(early.nodes)

    def _forget(self, nodes: Collection[str]) -> None:
        """Count nodes no longer that are lost."""
        if self.budget is not None:
            self.budget.forget(nodes)
        if self.growth is not None:
            self.growth.forget(nodes)

    def _raise_error(
        self, error: MpirenderError | None, ranks: RunningRanks, end: LaunchEnd, stop: StopRequest
    ) -> FramesChanged | None:
        """Raise the error that ended a launch, unless it was a death, or files of frames have changed: return that."""
        if stop.requested or end.stopped or isinstance(error, Stopped):
            raise self._stopped(stop)
        if type(error) is FramesMissing:
            raise FramesMissing("\n".join([str(error), *self.recovery.advice(self.state.now)]))
        if isinstance(error, FramesChanged):
            return error
        if error is not None:
            raise error
        if not ranks.pids:  # the program may have changed since it was last checked
            self.plan.engine.verify(self.job.programs, afresh=True)
        return None

    def _pause(self, stop: StopRequest, held: Lock) -> None:
        """Wait until the reason has passed: a node that responds slowly, or processes of an earlier launch."""
        end = time.monotonic() + PAUSE_SECONDS
        while time.monotonic() < end and not stop.requested:
            held.beat()
            time.sleep(POLL_SECONDS)

    def _follow(self, ranks: RunningRanks, stop: StopRequest, held: Lock) -> LaunchEnd:
        """Start the ranks and follow them to their end; end them if they hang or the grace period is over."""
        deadline: float | None = None  # of the grace period
        hung: Mapping[int, Image | None] = {}
        over = late = stuck = False
        suspended: list[int] = []
        started = looked = time.monotonic()
        pause = max(POLL_SECONDS, POLL_SECONDS_PER_RANK * self.plan.placement.ranks)
        with self._start() as launch:
            watched = StoppedProcesses(lambda: descendants(os.getpid()))
            while launch.code is None and not (hung or over or late or stuck):
                held.beat()
                self._read_journals(estimate=True)
                now = time.monotonic()
                if (gap := now - looked) > SUSPENDED_SECONDS:
                    ranks.forget(gap)
                    started += gap
                looked = now
                suspended += watched.end()
                self._end_early(launch, ranks)
                if deadline is None and (stop.requested or (not self.early and ranks.stopped(LATE_SECONDS))):
                    deadline = now + self._ask_to_stop(launch, stop.name or ranks.signal)
                over = (deadline is not None and now > deadline) or stop.interrupted > 1 or self._too_late()
                late = not over and not ranks.pids and now - started > retry_policy.START_SECONDS
                stuck = ranks.finished_for(STUCK_SECONDS)
                hung = {} if over else self._hung(ranks)
                time.sleep(pause)
            if hung or over or late or stuck:
                launch.end(self.stop_period.launcher)
        self._read_journals(estimate=True)
        own_files.tidy(self.job)
        assert launch.code is not None  # the block has ended the launcher
        return LaunchEnd(
            launch.code, tuple(launch.output), hung, late=late, stopped=over, suspended=tuple(suspended),
            launcher_suspended=launch.pid in suspended, launcher=self.plan.placement.launcher.name,
        )  # fmt: skip

    def _hung(self, ranks: RunningRanks) -> Mapping[int, Image | None]:
        """Return the ranks that hang: those of groups render themselves and cannot record anything meanwhile."""
        if self.job.ranks_per_frame == 1:
            return ranks.silent()
        return ranks.hanging(time_limit(self.job.frame_timeout, ranks.slowest))

    def _start(self) -> Launch:
        words, log = command_line.rank_words(self.job), self.job.folder / LAUNCH_LOG
        # Renderers warm up with the engine's name; ranks of groups render themselves. An empty word ends pvbatch.
        engine = [engines.name_for(self.job.scene)] if self.job.ranks_per_frame == 1 else []
        command = self.plan.command(*words, self.recovery.run_id, folder.job_digest(self.job), *engine)
        return Launch(command, self.plan.environment, rank_words=[*words, self.recovery.run_id], log=log)

    def _end_early(self, launch: Launch, ranks: RunningRanks) -> None:
        """Ask the ranks to stop if there is a reason; images in progress may take as long as any, or until a time."""
        up = len(ranks.pids) == self.plan.placement.groups  # a rank that starts does not handle the signal yet
        if not up or (self.early is not None and self.early.deadline is not None):
            return
        early = self.early_ends.look(self.plan.placement, ranks.slowest)
        if early is None or (self.early is not None and early.deadline is None):
            return
        if self.early is None:
            launch.ask_to_stop()
        self.early = early
        self.log.write(events.Stop(early.reason, early.grace()))

    def _too_late(self) -> bool:
        """Return whether the ranks must end now, since their node is taken away."""
        return self.early is not None and self.early.deadline is not None and time.time() > self.early.deadline

    def _ask_to_stop(self, launch: Launch, signal: str) -> float:
        """Ask the ranks to stop; return the seconds that images in progress get."""
        launch.ask_to_stop()
        grace = self.stop_period.images(signal)
        self.log.write(events.Stop(signal, grace))
        return grace

    def _read_journals(self, *, estimate: bool = False) -> None:
        """Read the new events, and pass them on; with ``estimate``, warn once that disk or memory will run short."""
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
        again = "run the same command again to continue"
        if stop.interrupted:
            return Interrupted(f"interrupted{so_far}; {again}")
        name = stop.name or RunningRanks(self.state.now).signal
        return Stopped(f"stopped on {name or 'a signal'}{so_far}", again, signal=name)
