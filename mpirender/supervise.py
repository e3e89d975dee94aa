"""Start the ranks, watch their journals, start them again when they die, and turn the end into a result or an error."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence

from mpirender import launcher, lock, preflight, space, stopping
from mpirender.errors import (
    BY_EXIT_CODE,
    NO_SPACE,
    FramesMissing,
    Interrupted,
    MpirenderError,
    NoSpace,
    Stopped,
    TakenOver,
    UsageError,
    out_of_space,
)
from mpirender.fate import End, Fate
from mpirender.flight import Flight, time_limit
from mpirender.job import RenderJob
from mpirender.journal import Journal, Record, Tail
from mpirender.launch import Launch, sweep
from mpirender.lock import Lock
from mpirender.result import RenderResult, counts, result_of
from mpirender.stopping import StopRequest

POLL_SECONDS = 0.05
POLL_SECONDS_A_RANK = 0.005  # looking into very many journals, on a file system for many, must not become a load
AT_ONCE_SECONDS = 3.0  # what mpiexec gets to end the ranks when time is up
LATE_SECONDS = 3.0  # a rank that stops on a signal may be one of those that mpiexec ends because another has died
MARK = "mpirender: error: "


def render(job: RenderJob, watch: Callable[[Sequence[Record]], None] = lambda records: None) -> RenderResult:
    """Render a job: check it, start its ranks, and again when they die, until frames and movies are there.

    Args:
        watch: called many times a second with the records that were written since.

    Raises:
        MpirenderError: one of its kinds, saying what is wrong and what to do.
    """
    started = time.monotonic()
    run_id = uuid.uuid4().hex[:12]
    try:
        with contextlib.ExitStack() as stack:
            stop = stack.enter_context(stopping.on_signals())
            preflight.check(job)
            job.folder.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(lock.held(job.folder, run_id))
            write_job(job)
            sweep(job)  # what a run that was killed has left
            tidy(job)
            log = stack.enter_context(Journal(job.folder, None, socket.gethostname()))
            run = Run(job, Fate(job, run_id), log, watch)
            run.go_on_until_done(stop, held)
    except OSError as error:
        raise unwritable(job, error) from None
    return result_of(job, run.records, time.monotonic() - started)


class Run:
    """One run of the command: as many starts of the ranks as it takes."""

    def __init__(self, job: RenderJob, fate: Fate, log: Journal, watch: Callable[[Sequence[Record]], None]) -> None:
        self.job = job
        self.fate = fate
        self.log = log
        self.watch = watch
        self.records: list[Record] = []
        self._tail = Tail(job.folder)
        self._estimate = space.Estimate(job)
        self._warned = False

    def go_on_until_done(self, stop: StopRequest, held: Lock) -> None:
        """Start the ranks, and start them again after a death, until their work is done.

        Raises:
            MpirenderError: they have said what is wrong, were asked to stop, or die too often.
        """
        started = time.monotonic()
        try:
            while not self._lived(stop, held):
                pass
        except TakenOver:  # the journal is the other run's now
            raise
        except MpirenderError as error:
            self._finish(error, started)
            raise
        except OSError as error:
            self._finish(unwritable(self.job, error), started)
            raise
        self._finish(None, started)

    def _finish(self, error: MpirenderError | None, started: float) -> None:
        """Write down how the run has ended."""
        code, message = (0, "") if error is None else (error.exit_code, str(error))
        with contextlib.suppress(OSError):  # a full disk
            self.log.write("finish", code=code, message=message, seconds=time.monotonic() - started)
        self._look()

    def _lived(self, stop: StopRequest, held: Lock) -> bool:
        """Start the ranks once; return whether their work is done, otherwise it is worth starting them again."""
        if stop.asked:
            raise self._stopped(stop)
        self.log.write("launch", ranks=launcher.ranks_of(self.job), pid=os.getpid(), **self.fate.orders().record())
        flight = Flight()
        end = self._live(flight, stop, held)
        # MPICH ends with 0 also if a rank does so in the midst of its work, or if one alone ends with another code.
        if end.code == 0 and flight.finished:
            return True
        error = told(end.said, end.code or flight.code)
        if stop.asked or end.stopped or isinstance(error, Stopped):
            raise self._stopped(stop)
        if isinstance(error, FramesMissing) and not isinstance(error, NoSpace):
            raise FramesMissing("\n".join([str(error), *self.fate.advice()]))
        if error is not None:
            raise error
        self.log.write("death", **self.fate.bury(flight, end))
        self._look()
        self.fate.rise(flight, end)
        return False

    def _live(self, flight: Flight, stop: StopRequest, held: Lock) -> End:
        """Run the ranks once, to their end."""
        ending: float | None = None  # since when they are to end
        hung: tuple[int, ...] = ()
        over = False
        pause = max(POLL_SECONDS, POLL_SECONDS_A_RANK * launcher.ranks_of(self.job))
        with Launch(self.job, self.fate.run_id) as launch:
            while launch.code is None and not (hung or over):
                held.beat()
                self._look(flight)
                if ending is None and (stop.asked or flight.stopped(LATE_SECONDS)):
                    ending = time.monotonic()
                    launch.ask_to_stop()
                    self.log.write("stop", signal=stop.name or flight.signal, grace=self.job.grace_period)
                over = ending is not None and time.monotonic() - ending > self.job.grace_period
                over = over or stop.interrupted > 1
                hung = () if over else flight.hanging(time_limit(self.job.frame_timeout, flight.slowest))
                time.sleep(pause)
            if hung or over:
                launch.end(AT_ONCE_SECONDS)
        self._look(flight)
        tidy(self.job)
        code = launch.code
        assert code is not None  # it has ended with the block
        return End(code, tuple(launch.said), hung, stopped=over)

    def _look(self, flight: Flight | None = None) -> None:
        """Read what is new in the journals, and pass it on."""
        new = self._tail.read()
        self.records += new
        self.watch(new)
        if flight is None or not new:
            return
        flight.add(new)
        self._estimate.add(new)
        if not self._warned and (shortage := self._estimate.shortage()):
            self.log.write("warning", text=shortage)
            self._warned = True

    def _stopped(self, stop: StopRequest) -> MpirenderError:
        """Return the error for a run that a signal has ended."""
        done, total = counts(self.records)
        again = "run the same command again and it goes on with what is left"
        again = f"{done} of {total} images are done; {again}" if total else again
        if stop.interrupted:
            return Interrupted(f"interrupted; {again}")
        signals = [record["signal"] for record in self.records if record["event"] == "stop"]
        return Stopped(f"stopped on {stop.name or next(iter(signals), 'a signal')}; {again}")


def write_down(job: RenderJob) -> None:
    """Make the folder of the run and write the job for ranks that are started by hand.

    Raises:
        UsageError: it cannot be written, or a run lives there.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with lock.held(job.folder, lock.DRY_RUN):
            write_job(job)
    except OSError as error:
        raise unwritable(job, error) from None


def write_job(job: RenderJob) -> None:
    """Write the job for the ranks; the lock must be held."""
    part = job.folder / ".part-job.json"
    try:
        part.write_text(job.to_json())
        part.replace(job.folder / "job.json")
    finally:
        part.unlink(missing_ok=True)


def unwritable(job: RenderJob, error: OSError) -> MpirenderError:
    """Return the error for an output folder that cannot be written to."""
    if out_of_space(error):
        return NoSpace(job.output)
    return UsageError(f"--output {job.output}: cannot be written ({error.strerror or error})")


def tidy(job: RenderJob) -> None:
    """Remove what ranks that died had begun to write."""
    for folder in (job.output, job.folder, *(job.output / size.name for size in job.sizes)):
        for part in folder.glob(".part-*"):
            with contextlib.suppress(OSError):
                part.unlink()


def told(said: Sequence[str], code: int) -> MpirenderError | None:
    """Return the error that the ranks themselves have told, None if they died without a word."""
    lines = list(dict.fromkeys(line[line.index(MARK) + len(MARK) :] for line in said if MARK in line))
    kind = BY_EXIT_CODE.get(code)
    if kind is None or not lines:
        return None
    if kind is FramesMissing and (full := [line for line in lines if NO_SPACE in line]):
        return NoSpace(full[0])
    return kind(lines) if issubclass(kind, UsageError) else kind("\n".join(lines))
