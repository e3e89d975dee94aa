"""The status of a run at one moment."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mpirender.errors import Interrupted, PriceLimitReached, Stopped, one_line
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image
from mpirender.monitor.phases import OF_RANK, RENDERING, STARTING, phase_of
from mpirender.run_folder import events, spot
from mpirender.run_folder.cost import total_cost
from mpirender.run_folder.lock import Owner
from mpirender.run_folder.run_state import RankSession, RunHistory, RunState, progress, rate

ENDED = ("finished", "stopped", "failed", "died")
NOT_STARTED = "not started yet"


@dataclass(frozen=True)
class Failure:
    """Images of an output (``size``) that failed for the same reason; ``frames`` is a frame set of so many."""

    size: str
    frames: str
    count: int
    reason: str


@dataclass(frozen=True)
class RankStatus:
    """What a rank does, in the newest launch. Times are seconds since the epoch."""

    rank: int
    host: str = ""  # its machine, empty before it is up
    doing: str = NOT_STARTED  # in words
    frame: int | None = None  # that it renders, or rendered when it ended
    size: str | None = None  # name of the output of that
    taken: float | None = None  # when it began with that
    images: int = 0  # number of images it has completed
    seconds_per_image: float | None = None  # mean of those
    memory: int | None = None  # peak in bytes
    heard: float | None = None  # time of its newest event
    renderer: str = ""


@dataclass(frozen=True)
class Status:
    """A run at one moment. Times are seconds since the epoch."""

    time: float  # of this status
    output: str
    scene: str  # its name, empty if it is not known
    state: str = "empty"  # empty (no run has begun), running, or one of :data:`ENDED`
    phase: str = ""  # what a running one does, in words
    pid: int | None = None  # of its supervisor, while it runs, and the host of that
    host: str = ""
    job: str = ""  # number of its Slurm job
    starts_again: bool = False  # whether Slurm itself starts the job of a run that died again
    ranks_per_frame: int = 1  # ranks that render each frame together; such a group is one of ``ranks``
    since: float | None = None  # when it began
    ended: float | None = None  # when it ended or wrote its newest event
    code: int | None = None  # its exit code
    message: tuple[str, ...] = ()  # the lines that it ended with
    total: int | None = None  # number of images, as are the next three; None before they are known
    done: int | None = None
    failed: int | None = None
    left: int | None = None
    failures: tuple[Failure, ...] = ()
    rate: float | None = None  # images a second of all ranks, while it renders
    seconds_left: float | None = None  # the estimate from it
    ends: float | None = None
    node_hours: float | None = None  # of all runs in the folder that had a price; None without one
    cost: float | None = None  # of these, in dollars
    cost_per_image: float | None = None  # of images that they have rendered
    price_limit: float | None = None  # dollars that they may cost together
    spot: tuple[str, ...] = ()  # what a cloud announced about its nodes, and what was lost with them
    restarts: int = 0  # how often the ranks were started again
    deaths: tuple[str, ...] = ()  # why, for each of them
    losses: tuple[str, ...] = ()  # of renderers: which, and why
    set_aside: tuple[str, ...] = ()  # images that are not tried any more, since they killed their rank
    warnings: tuple[str, ...] = ()
    movies: tuple[str, ...] = ()  # paths of the movies of a finished run, and of its contact sheet
    contact_sheet: str = ""
    skipped_lines: int = 0  # damaged lines in the journals
    ranks: tuple[RankStatus, ...] = ()

    def news(self) -> Status:
        """Return it without the fields that change with time alone."""
        return dataclasses.replace(
            self, time=0.0, rate=None, seconds_left=None, ends=None, node_hours=None, cost=None, cost_per_image=None
        )


def status_of(
    history: RunHistory, owner: Owner | None, *, output: Path, scene: str, now: float, skipped: int
) -> Status:
    """Sum up the newest run; ``owner`` is the process that holds the lock of the folder, None if it has ended."""
    run = history.newest(owner.run if owner is not None else None)
    seen = Status(now, str(output), scene, skipped_lines=skipped)
    if run.launches:
        seen = _with_ranks(_with_counts(_with_state(seen, run, living=owner is not None), run), run)
    elif owner is not None:
        seen = dataclasses.replace(seen, state="running", phase=STARTING, since=owner.since)
    if owner is not None and seen.state == "running":
        seen = dataclasses.replace(seen, pid=owner.pid or None, host=owner.host)
    return _with_cost(_with_estimate(seen, run), run)


def _with_state(seen: Status, run: RunState, *, living: bool) -> Status:
    """Add whether it runs, what it does, or how it has ended."""
    finish = run.last
    if not isinstance(finish, events.Finish):
        if living:
            return dataclasses.replace(seen, state="running", phase=phase_of(run))
        if run.supervised:
            return dataclasses.replace(seen, state="died", ended=run.heard)
        return _with_end_by_hand(seen, run)
    stops = (Stopped.exit_code, Interrupted.exit_code, PriceLimitReached.exit_code)
    state = "finished" if finish.code == 0 else "stopped" if finish.code in stops else "failed"
    message = tuple(finish.message.splitlines())
    return dataclasses.replace(seen, state=state, code=finish.code, message=message, ended=finish.time)


def _with_end_by_hand(seen: Status, run: RunState) -> Status:
    """Add how ranks that were started by hand have ended; their errors went to their own terminal only."""
    sessions = run.now.sessions
    phase = sessions[0].phase if 0 in sessions else "start"
    signals = [session.signal for session in sessions.values() if session.signal]
    message = tuple(one_line(problem) for session in sessions.values() for problem in session.problems)
    if phase == "end":
        state = "finished"
    elif signals:
        state, message = "stopped", (f"stopped on {signals[0]}; run the same command again", *message)
    else:
        state = "failed" if phase in ("gather", "encode") else "died"
    return dataclasses.replace(seen, state=state, message=message, ended=run.heard)


def _with_counts(seen: Status, run: RunState) -> Status:
    """Add the numbers of images, and the failures."""
    images = progress(run)
    if images is None or run.planned is None:
        return seen
    seen = dataclasses.replace(seen, failures=_failures(run.planned.failures()))
    return dataclasses.replace(seen, total=images.total, done=images.done, failed=images.failed, left=images.left)


def _failures(reasons: Mapping[Image, str]) -> tuple[Failure, ...]:
    """Put images together that failed for the same reason."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for image, reason in sorted(reasons.items(), key=lambda item: (item[0].output, item[0].frame)):
        groups[image.output, one_line(reason or "no reason given")].append(image.frame)
    return tuple(Failure(output, framesets.text(group), len(group), why) for (output, why), group in groups.items())


def _with_ranks(seen: Status, run: RunState) -> Status:
    """Add the ranks of the newest launch, how often they died, of what, and which images are set aside for it."""
    launch, running = run.now, seen.state == "running"
    job, aside = (launch.launch.job, launch.launch.set_aside) if launch.launch is not None else ("", ())
    numbers = sorted({*range(launch.ranks), *launch.sessions})
    return dataclasses.replace(
        seen, since=run.began, job=job, ranks_per_frame=launch.ranks_per_frame,
        warnings=tuple(map(one_line, run.warnings)), spot=tuple(spot.story(run, seen.time)), restarts=launch.number - 1,
        deaths=tuple(one_line(death.reason) for death in run.deaths),
        losses=tuple(f"the renderer of rank {loss.rank} {loss.reason}" for loss in run.losses),
        set_aside=tuple(names(image for image, _ in aside)),
        ranks=tuple(_rank(rank, launch.sessions.get(rank), running=running) for rank in numbers),
    )  # fmt: skip


def _with_estimate(seen: Status, run: RunState) -> Status:
    """Add how fast it goes since the newest launch, and when it ends."""
    speed = rate(run, seen.time) if seen.state == "running" and seen.phase == RENDERING else 0.0
    if not speed:
        return seen
    seconds = (seen.left or 0) / speed
    return dataclasses.replace(seen, rate=speed, seconds_left=seconds, ends=seen.time + seconds)


def _with_cost(seen: Status, run: RunState) -> Status:
    """Add what its nodes and those of the runs before have cost."""
    cost = total_cost(run, seen.time if seen.state == "running" else None)
    if cost is None:
        return seen
    return dataclasses.replace(
        seen, node_hours=cost.hours, cost=cost.dollars, cost_per_image=cost.per_image or None,
        price_limit=run.nodes[-1].limit or None,
    )  # fmt: skip


def _rank(rank: int, session: RankSession | None, *, running: bool) -> RankStatus:
    """Return what a rank does, or did last if the run has ended."""
    if session is None:
        return RankStatus(rank, doing=NOT_STARTED if running else "did not start")
    hosts = dict.fromkeys(member.host for member in session.start.members)
    seen = RankStatus(
        rank, ",".join(hosts), OF_RANK.get(session.phase, session.phase) if running else "ended", images=session.count,
        seconds_per_image=session.seconds / session.count if session.count else None,
        memory=session.memory or None, heard=session.heard, renderer=session.renderer,
    )  # fmt: skip
    if session.taken is None:
        return seen
    doing, image = RENDERING if running else seen.doing, session.taken.image
    return dataclasses.replace(seen, doing=doing, frame=image.frame, size=image.output, taken=session.taken.time)


def names(images: Iterable[Image]) -> list[str]:
    """Name images, a text for each output: ``HD frames 12-13``."""
    frames: dict[str, list[int]] = defaultdict(list)
    for image in images:
        frames[image.output].append(image.frame)
    return [f"{output} {framesets.named(group)}" for output, group in frames.items()]
