"""What there is to say of a run at one moment."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mpirender.errors import Interrupted, Stopped, one_line
from mpirender.job import frames as framesets
from mpirender.monitor.progress import PHASES, RENDERING, STARTING
from mpirender.monitor.status.history import History, Key, Run, Stretch
from mpirender.run_folder.lock import Owner

ENDED = ("finished", "stopped", "failed", "died")
LOOKING = "looking for what is left"
WAITING = "waiting for the others"
NOT_UP = "not started yet"
# What a rank does, in the order in which it does it; a run is where the last of its ranks is.
STEPS = {"start": "starting", "backend": PHASES["backend"], "load": PHASES["load"], "opened": LOOKING,
         "survey": PHASES["survey"], "render": WAITING, "gather": WAITING, "encode": PHASES["encode"],
         "end": "ended"}  # fmt: skip
RUN_STEPS = {**PHASES, "start": STARTING, "opened": LOOKING, "render": RENDERING}


@dataclass(frozen=True)
class Failure:
    """Images of a size that failed for the same reason; ``frames`` is a frame set of so many."""

    size: str
    frames: str
    count: int
    reason: str


@dataclass(frozen=True)
class RankStatus:
    """What a rank does, in the newest start of the ranks. Times are seconds since the epoch.

    Args:
        host: its machine, empty before it is up.
        doing: in words; ``rendering`` goes with frame, size and ``taken``, when it was taken up. A rank that has ended
            with an image in hand still names it.
        images: number of images it has made.
        seconds_per_image: mean of those.
        memory: peak in bytes.
        heard: time of its newest record.
    """

    rank: int
    host: str = ""
    doing: str = NOT_UP
    frame: int | None = None
    size: str | None = None
    taken: float | None = None
    images: int = 0
    seconds_per_image: float | None = None
    memory: int | None = None
    heard: float | None = None
    renderer: str = ""


@dataclass(frozen=True)
class Status:
    """A run at one moment. Times are seconds since the epoch.

    Args:
        time: when this was seen.
        state: empty (no run has begun), running, or one of :data:`ENDED`.
        phase: what a running one does, in words.
        pid, host: who leads it, while it runs.
        job: number of its Slurm job.
        ranks_per_frame: ranks that render each frame together; such a group is one of ``ranks``.
        since, ended: when it began, and when it ended or was last heard of.
        code, message: exit code and words that it ended with.
        total, done, failed, left: numbers of images, None before they are known.
        rate: images a second of all ranks, while it renders.
        seconds_left, ends: the estimate from it.
        restarts: how often the ranks were started again.
        deaths: why, for each time that they died.
        set_aside: images that are not tried any more, since they killed their rank.
    """

    time: float
    output: str
    scene: str
    state: str = "empty"
    phase: str = ""
    pid: int | None = None
    host: str = ""
    job: str = ""
    ranks_per_frame: int = 1
    since: float | None = None
    ended: float | None = None
    code: int | None = None
    message: tuple[str, ...] = ()
    total: int | None = None
    done: int | None = None
    failed: int | None = None
    left: int | None = None
    failures: tuple[Failure, ...] = ()
    rate: float | None = None
    seconds_left: float | None = None
    ends: float | None = None
    restarts: int = 0
    deaths: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    ranks: tuple[RankStatus, ...] = ()

    def news(self) -> Status:
        """Return it without what changes by time alone."""
        return dataclasses.replace(self, time=0.0, rate=None, seconds_left=None, ends=None)


def status_of(history: History, owner: Owner | None, *, output: Path, scene: str, now: float) -> Status:
    """Sum up the newest run.

    Args:
        owner: who holds the lock of the folder, if it lives.
        scene: name of the scene, empty when not known.
        now: the time.
    """
    run = history.newest(owner)
    seen = Status(now, str(output), scene)
    if not run.begun and owner is None:
        return seen
    if not run.begun and owner is not None:
        seen = dataclasses.replace(seen, state="running", phase=STARTING, since=owner.since)
    else:
        seen = _with_deaths(_with_counts(_with_state(seen, run, living=owner is not None), run), run)
        ranks = tuple(
            _rank(run, rank, running=seen.state == "running") for rank in sorted({*range(run.ranks), *run.now})
        )
        job = str(run.launches[-1].get("job", "")) if run.launches else ""
        warnings = tuple(map(one_line, run.warnings()))
        seen = dataclasses.replace(
            seen, since=run.began(), job=job, ranks_per_frame=run.ranks_per_frame, warnings=warnings, ranks=ranks
        )
    if owner is not None and seen.state == "running":
        seen = dataclasses.replace(seen, pid=owner.pid or None, host=owner.host)
    return _with_estimate(seen, run)


def _with_state(seen: Status, run: Run, *, living: bool) -> Status:
    """Add whether it runs, what it does, or how it has ended."""
    finish = run.last("finish")
    if finish is None and living:
        return dataclasses.replace(seen, state="running", phase=_phase(run))
    if finish is None and run.launches:
        return dataclasses.replace(seen, state="died", ended=run.heard())
    if finish is None:
        return _with_end_by_hand(seen, run)
    code = int(finish["code"])
    stops = (Stopped.exit_code, Interrupted.exit_code)
    state = "finished" if code == 0 else "stopped" if code in stops else "failed"
    message = tuple(str(finish.get("message", "")).splitlines())
    return dataclasses.replace(seen, state=state, code=code, message=message, ended=finish["time"])


def _with_end_by_hand(seen: Status, run: Run) -> Status:
    """Add how ranks that were started by hand have ended; what went wrong they tell on their own terminal alone."""
    step = run.now[0].step if 0 in run.now else "start"
    signals = [stretch.signal for stretch in run.now.values() if stretch.signal]
    message = tuple(one_line(problem) for stretch in run.now.values() for problem in stretch.problems)
    if step == "end":
        state = "finished"
    elif signals:
        state, message = "stopped", (f"stopped on {signals[0]}; run the same command again", *message)
    else:
        state = "failed" if step in ("gather", "encode") else "died"
    return dataclasses.replace(seen, state=state, message=message, ended=run.heard())


def _phase(run: Run) -> str:
    """Say what a run does: what the last of its ranks does, unless it is being stopped or started again."""
    stop = run.last("stop")
    signals = [stretch.signal for stretch in run.now.values() if stretch.signal]
    if stop is not None or signals:
        return f"stopping on {stop['signal'] if stop else signals[0]}"
    up = len(run.now) >= max(run.ranks, 1)
    if run.last("death") is not None or (len(run.launches) > 1 and not up):
        return f"{STARTING} again"
    if not up:
        return STARTING
    order = list(STEPS)
    last = min(
        (stretch.step for stretch in run.now.values()), key=lambda step: order.index(step) if step in order else 0
    )
    return RUN_STEPS.get(last, last)


def _with_counts(seen: Status, run: Run) -> Status:
    """Add the numbers of images, and those that failed."""
    plan = run.plan()
    if plan is None:
        return seen
    words = run.words()
    reasons = {key: word.reason for key, word in words.items() if word.reason}
    done = plan["total"] - plan["left"] + len(words) - len(reasons)
    return dataclasses.replace(
        seen, total=plan["total"], done=done, failed=len(reasons),
        left=max(plan["total"] - done - len(reasons), 0), failures=_failures(reasons),
    )  # fmt: skip


def _failures(reasons: Mapping[Key, str]) -> tuple[Failure, ...]:
    """Put images together that failed for the same reason."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (size, frame), reason in sorted(reasons.items()):
        groups[size, one_line(reason)].append(frame)
    return tuple(Failure(size, framesets.text(group), len(group), why) for (size, why), group in groups.items())


def _with_deaths(seen: Status, run: Run) -> Status:
    """Add how often the ranks died, of what, and which images are set aside for it."""
    reasons = [record["reason"] for record in run.records if record["event"] == "death"]
    return dataclasses.replace(
        seen, restarts=max(len(run.launches) - 1, 0), deaths=tuple(map(one_line, reasons)),
        set_aside=tuple(names((size, frame) for frame, size, _ in run.set_aside)),
    )  # fmt: skip


def _with_estimate(seen: Status, run: Run) -> Status:
    """Add how fast it goes since the newest start of the ranks, and when it ends.

    Each rank counts by its own clock, as far as that goes: all began to render at about the same moment.
    """
    at_work = [stretch for stretch in run.now.values() if stretch.images and stretch.first_take is not None]
    if seen.state != "running" or seen.phase != RENDERING or not at_work:
        return seen
    rate = sum(
        stretch.images / max(max(seen.time, stretch.heard) - (stretch.first_take or 0.0), 1e-3) for stretch in at_work
    )
    seconds = (seen.left or 0) / rate
    return dataclasses.replace(seen, rate=rate, seconds_left=seconds, ends=seen.time + seconds)


def _rank(run: Run, rank: int, *, running: bool) -> RankStatus:
    """Return what a rank does, or did last when the run does not run any more."""
    stretch = run.now.get(rank)
    if stretch is None:
        return RankStatus(rank, doing=NOT_UP if running else "did not start")
    seen = RankStatus(
        rank, stretch.host, STEPS.get(stretch.step, stretch.step) if running else "ended", images=stretch.images,
        seconds_per_image=stretch.seconds / stretch.images if stretch.images else None,
        memory=stretch.memory, heard=stretch.heard, renderer=stretch.renderer,
    )  # fmt: skip
    return _with_image(seen, stretch, running=running)


def _with_image(seen: RankStatus, stretch: Stretch, *, running: bool) -> RankStatus:
    """Add the image that a rank has in hand, if any."""
    taken = stretch.taken
    if taken is None:
        return seen
    doing = RENDERING if running else seen.doing
    return dataclasses.replace(
        seen, doing=doing, frame=taken["frame"], size=taken.get("output", ""), taken=taken["time"]
    )


def names(images: Iterable[Key]) -> list[str]:
    """Name images, a text for each size: ``HD frames 12-13``."""
    frames: dict[str, list[int]] = defaultdict(list)
    for size, frame in images:
        frames[size].append(frame)
    return [f"{size} {framesets.named(group)}".lstrip() for size, group in frames.items()]
