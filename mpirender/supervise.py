"""Start the ranks, watch their journals, and turn the way they end into a result or an error."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender import frames as framesets
from mpirender import journal, launcher, preflight
from mpirender.display import end_with_parent
from mpirender.errors import BY_EXIT_CODE, FramesMissing, Interrupted, LaunchFailed, MpirenderError, UsageError
from mpirender.job import RenderJob
from mpirender.journal import Record, Tail

POLL_SECONDS = 0.05
END_SECONDS = 20.0  # for ranks to end after they were told to
MARK = "mpirender: error: "
LAUNCH_LOG = "launch.log"


@dataclass(frozen=True)
class RenderResult:
    """What a run has made.

    Args:
        frames: the images of each size, by its name, in frame order.
        movies: the movies, one per size, in the order of the sizes.
        rendered: number of images rendered by this run.
        kept: number of images that an earlier run had completed.
        seconds: wall-clock time of the run.
        seconds_per_image: mean time to render and write an image on one rank; 0 when none was rendered.
        complained: number of images kept although the engine reported an error (``on_error="warn"``).
        busy: fraction of the ranks' time, from first to last frame, that was spent on frames; 0 to 1.
        warnings: what the run warned of.
    """

    frames: dict[str, list[Path]]
    movies: list[Path]
    rendered: int
    kept: int
    seconds: float
    seconds_per_image: float
    busy: float
    complained: int
    warnings: tuple[str, ...]


def render(job: RenderJob, watch: Callable[[Sequence[Record]], None] = lambda records: None) -> RenderResult:
    """Render a job: check it, start its ranks, wait until frames and movies are there.

    Args:
        watch: called many times a second with the records that the ranks have written since.

    Raises:
        MpirenderError: one of its kinds, saying what is wrong and what to do.
    """
    preflight.check(job)
    started = time.monotonic()
    prepare_folder(job)
    tail = Tail(job.folder)
    records: list[Record] = []
    try:
        with ranks(job) as process:
            while process.poll() is None:
                records += tell(tail.read(), watch)
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; run the same command again and it goes on with what is left") from None
    records += tell(tail.read(), watch)
    if process.returncode != 0:
        raise error_of(job, process.returncode)
    return result_of(job, records, time.monotonic() - started)


def tell(records: list[Record], watch: Callable[[Sequence[Record]], None]) -> list[Record]:
    """Pass records on to the watcher, also when there are none: it shows the time."""
    watch(records)
    return records


def prepare_folder(job: RenderJob) -> None:
    """Make the folder of the run and write the job for the ranks.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        part = job.folder / ".part-job.json"
        part.write_text(job.to_json())
        part.replace(job.folder / "job.json")
    except OSError as error:
        raise UsageError(f"--output {job.output}: cannot be written ({error.strerror})") from None


@contextlib.contextmanager
def ranks(job: RenderJob) -> Iterator[subprocess.Popen[bytes]]:
    """Run the ranks for the time of the block; none is left behind after it."""
    added = launcher.settings_here(job)
    with (job.folder / LAUNCH_LOG).open("wb") as log:
        try:
            # In a session of their own, so that Ctrl-C reaches them through this process, once and in order.
            process = subprocess.Popen(
                launcher.command(job), env={**os.environ, **added}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it calls the kernel alone
            )  # fmt: skip
        except OSError as error:
            raise LaunchFailed(f"{launcher.mpiexec(job)} cannot be started: {error.strerror}") from None
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End mpiexec and all its ranks if they still run; mpiexec passes SIGTERM on to ranks on every node."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def error_of(job: RenderJob, code: int) -> MpirenderError:
    """Turn the end of the ranks into an error, from what they said in the launch log."""
    log = job.folder / LAUNCH_LOG
    lines = log.read_text(errors="replace").splitlines()
    said = list(dict.fromkeys(line[line.index(MARK) + len(MARK) :] for line in lines if MARK in line))
    kind = BY_EXIT_CODE.get(code)
    if kind is not None and said:
        return kind(said) if issubclass(kind, UsageError) else kind("\n".join(said))
    if said or any(record["event"] == "done" for record in journal.read(job.folder)):
        reason = said[0] if said else f"a rank died ({ending(code)})"
        return FramesMissing(f"{reason}; run the same command again to go on, or look into {job.folder}/rank-*.log")
    tail = "; ".join(line.strip() for line in lines if line.strip(" -"))[-300:]
    return LaunchFailed(f"the ranks did not start ({ending(code)}): {tail or 'no output'}; the log is {log}")


def ending(code: int) -> str:
    """Say how a process ended: by which signal or with which exit code."""
    number = -code if code < 0 else code - 128
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(number).name}"
    return f"exit code {code}"


def result_of(job: RenderJob, records: Sequence[Record], seconds: float) -> RenderResult:
    """Sum up a finished run from its records."""
    plan = next(record for record in records if record["event"] == "plan")
    frames = framesets.parse(plan["frames"])
    done = [record for record in records if record["event"] == "done"]
    spent = sum(record["seconds"] for record in done)
    complaints = [record["text"] for record in records if record["event"] == "complaint"]
    complaints += [text for record in done for text in record["complaints"]]
    return RenderResult(
        frames={size.name: [job.image(size, frame) for frame in frames] for size in job.sizes},
        movies=[job.movie_path(size) for size in job.sizes] if job.movie != "none" else [],
        rendered=len(done),
        kept=plan["total"] - plan["left"],
        seconds=seconds,
        seconds_per_image=spent / len(done) if done else 0.0,
        busy=busy(records),
        complained=sum(bool(record["complaints"]) for record in done),
        warnings=(*plan["warnings"], *dict.fromkeys(complaints)),
    )


def busy(records: Sequence[Record]) -> float:
    """Return the share of the ranks' time between first and last frame that was spent on frames, 0 to 1."""
    done = [record for record in records if record["event"] == "done"]
    takes = [record["time"] for record in records if record["event"] == "take"]
    if not done or not takes:
        return 0.0
    window = max(record["time"] for record in done) - min(takes)
    count = next(record["ranks"] for record in records if record["event"] == "start")
    return min(sum(record["seconds"] for record in done) / (count * window), 1.0) if window > 0 else 1.0
