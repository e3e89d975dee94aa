"""What the events of a run add up to: the one place that follows them. Views of it are small functions elsewhere.

Events of one journal are applied in their order; the order between journals does not matter, since the clocks of
machines differ.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from mpirender.job.outputs import Image
from mpirender.run_folder import events
from mpirender.run_folder.events import SUPERVISOR, Death, Done, Event, Fail, ImageOutcome, Launch, Plan, Start, Take


class Span(NamedTuple):
    """When a rank worked on an image; ``rendering`` are those of its ``seconds`` that the engine took."""

    began: float  # in seconds since the epoch
    rendering: float
    seconds: float


@dataclass
class RankSession:
    """What a rank did in one launch."""

    start: Start
    heard: float  # time of its newest event; ``heard_at`` is when that was read, by ``time.monotonic``
    phases: list[tuple[str, float]]  # name and time of each, from its start on
    opened: events.Opened | None = None
    taken: Take | None = None  # the image that it renders; ``taken_at`` is when that was read, by ``time.monotonic``
    taken_at: float = 0.0
    heard_at: float = field(default_factory=time.monotonic)
    first_take: float | None = None
    # When it began with each image whose file is not in place yet, in seconds since the epoch.
    unwritten: dict[Image, float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)  # of the images that it has ended, completed or failed
    images: Counter[str] = field(default_factory=Counter)  # number of those that it has completed, by output
    bytes: Counter[str] = field(default_factory=Counter)  # size of these
    seconds: float = 0.0  # that these took; ``slowest`` is the most that one of them took
    slowest: float = 0.0
    spent: float = 0.0  # seconds of all its images, also of those that failed; ``rendering`` are those in the engine
    rendering: float = 0.0
    memory: int = 0  # its peak in bytes, 0 before an image is complete
    renderer: str = ""
    signal: str = ""
    stopped_at: float = 0.0  # when the signal that asked it to stop was read, by ``time.monotonic``
    error: events.Error | None = None
    losses: list[events.Reload] = field(default_factory=list)  # of its renderers, those that were planned apart
    problems: list[str] = field(default_factory=list)  # why movies were not made

    @property
    def phase(self) -> str:
        """The phase that it is in."""
        return self.phases[-1][0]

    @property
    def count(self) -> int:
        """The number of images that it has completed."""
        return sum(self.images.values())

    def apply(self, event: Event) -> None:
        """Follow an event of this rank."""
        self.heard, self.heard_at = event.time, time.monotonic()
        if isinstance(event, Take):
            self.taken, self.taken_at = event, time.monotonic()
            self.first_take = event.time if self.first_take is None else self.first_take
            self.unwritten[event.image] = event.time
        elif isinstance(event, (Done, Fail)):
            self._end_image(event)
        elif isinstance(event, events.Phase):
            self.phases.append((event.phase, event.time))
        elif isinstance(event, events.Opened):
            self.phases.append(("opened", event.time))
            self.opened, self.renderer = event, event.description
        elif isinstance(event, events.Movie):
            self.problems += filter(None, [event.problem])
        elif isinstance(event, events.Stop) and not self.signal:
            self.signal, self.stopped_at = event.signal, time.monotonic()
        elif isinstance(event, events.Error):
            self.error = event
        elif isinstance(event, events.Reload) and not event.planned:
            self.losses.append(event)

    def _end_image(self, outcome: ImageOutcome) -> None:
        self.spent += outcome.seconds
        self.rendering += outcome.rendering
        if self.taken is not None and self.taken.image == outcome.image:
            self.taken = None  # otherwise an image that was written while the next one is rendered
        began = self.unwritten.pop(outcome.image, None)
        if began is not None:  # an image that is set aside was not begun
            self.spans.append(Span(began, outcome.rendering, outcome.seconds))
        if isinstance(outcome, Done):
            self.images[outcome.image.output] += 1
            self.bytes[outcome.image.output] += outcome.bytes
            self.seconds += outcome.seconds
            self.slowest = max(self.slowest, outcome.seconds)
            self.memory = max(self.memory, outcome.memory)
            self.renderer = outcome.renderer


@dataclass
class LaunchState:
    """One launch of the ranks of a run; an image is in ``done`` or in ``failed``, by its newest outcome."""

    number: int  # from 1
    launch: Launch | None = None  # what the supervisor recorded; None if the ranks were started by hand
    sessions: dict[int, RankSession] = field(default_factory=dict)  # by rank
    plan: Plan | None = None
    done: dict[Image, Done] = field(default_factory=dict)
    failed: dict[Image, Fail] = field(default_factory=dict)
    death: Death | None = None

    @property
    def ranks(self) -> int:
        """The number of ranks in it, 0 before it is known."""
        if self.launch is not None:
            return self.launch.ranks
        return self.sessions[0].start.ranks if 0 in self.sessions else 0

    @property
    def ranks_per_frame(self) -> int:
        """The number of ranks that render each frame together; such a group is one rank of the journals."""
        groups = [1 + len(session.start.followers) for session in self.sessions.values()]
        return max(groups, default=self.launch.ranks_per_frame if self.launch else 1)

    def record(self, outcome: ImageOutcome) -> None:
        """Keep the outcome of an image, unless there is a newer one or it is not of this plan."""
        if self.plan is not None and outcome.fingerprint != self.plan.fingerprint:
            return
        known = self.done.get(outcome.image) or self.failed.get(outcome.image)
        if known is not None and (known.attempt, known.time) > (outcome.attempt, outcome.time):
            return
        self.done.pop(outcome.image, None)
        self.failed.pop(outcome.image, None)
        if isinstance(outcome, Done):
            self.done[outcome.image] = outcome
        else:
            self.failed[outcome.image] = outcome

    def failures(self) -> dict[Image, str]:
        """Return why images failed; an image that is set aside has failed before the ranks report it."""
        aside = self.launch.set_aside if self.launch is not None else ()
        reasons = {image: reason for image, reason in aside if image not in self.done}
        return {**reasons, **{image: fail.reason for image, fail in self.failed.items()}}


class RunState:
    """One run."""

    def __init__(self, run: str = "") -> None:
        self.run = run
        self.launches: dict[int, LaunchState] = {}  # by their numbers, in order
        self.warnings: dict[str, None] = {}  # each text once, in the order in which they were read
        self.nodes: list[events.Nodes] = []  # those that it occupied, with their price; empty without a price
        self.notices: dict[str, events.Notice] = {}  # by host: what the cloud announces
        self.stopped_on = ""  # why the supervisor asked the ranks to stop
        self.finished = 0.0  # when it ended, in seconds since the epoch; 0 if its end is not recorded
        self.last: Event | None = None  # the supervisor's newest event, warnings apart
        self.supervisor_heard = 0.0  # time of the supervisor's newest event
        self._newest: dict[int, tuple[LaunchState, RankSession]] = {}  # by rank

    def apply(self, event: Event) -> None:
        """Follow an event."""
        if isinstance(event, (events.Warning, events.Complaint)):
            self.warnings.setdefault(event.text)
        if event.rank == SUPERVISOR:
            self._apply_supervisor(event)
        elif isinstance(event, Start):
            launch = self.launch(event.launch)
            launch.sessions[event.rank] = RankSession(event, event.time, [("start", event.time)])
            self._newest[event.rank] = launch, launch.sessions[event.rank]
        elif event.rank in self._newest:
            self._apply_rank(*self._newest[event.rank], event)

    def _apply_supervisor(self, event: Event) -> None:
        if isinstance(event, (events.Note, events.Made, events.Writer)):
            return
        if isinstance(event, events.Notice):  # a recommendation does not replace the announcement of a time
            self.notices[event.host] = event if event.at else self.notices.get(event.host, event)
            return
        self.supervisor_heard = event.time
        if isinstance(event, events.Nodes):
            self.nodes.append(event)
            return
        if isinstance(event, Launch):
            self.launch(event.launch).launch = event
        elif isinstance(event, Death):
            self.launch(event.launch).death = event
        elif isinstance(event, events.Stop):
            self.stopped_on = event.signal
        elif isinstance(event, events.Finish):  # the end of a later run that started no rank does not count
            self.finished = self.finished or event.time
        self.last = self.last if isinstance(event, events.Warning) else event

    def _apply_rank(self, launch: LaunchState, session: RankSession, event: Event) -> None:
        session.apply(event)
        if isinstance(event, (Done, Fail)):
            launch.record(event)
        elif isinstance(event, Plan):
            launch.plan = event
            launch.done = {image: done for image, done in launch.done.items() if done.fingerprint == event.fingerprint}
            self.warnings.update(dict.fromkeys(event.warnings))

    def launch(self, number: int) -> LaunchState:
        """Return a launch by its number, from 1; an empty one before its first event."""
        if number not in self.launches:
            self.launches = dict(sorted([*self.launches.items(), (number, LaunchState(number))]))
        return self.launches[number]

    @property
    def slurm_jobs(self) -> set[tuple[str, str]]:
        """The number and the cluster of the Slurm job that it ran in."""
        launches = [launch.launch for launch in self.launches.values() if launch.launch is not None]
        return {(launch.job, launch.cluster) for launch in launches if launch.job}

    @property
    def supervised(self) -> bool:
        """Whether a supervisor started the ranks, not a user by hand."""
        return any(launch.launch is not None for launch in self.launches.values())

    @property
    def now(self) -> LaunchState:
        """The newest launch; an empty one before the first."""
        return next(reversed(self.launches.values()), LaunchState(0))

    @property
    def planned(self) -> LaunchState | None:
        """The newest launch that has a plan."""
        return next((launch for launch in reversed(self.launches.values()) if launch.plan is not None), None)

    @property
    def sessions(self) -> list[RankSession]:
        """All sessions of all ranks, launch by launch."""
        return [session for launch in self.launches.values() for session in launch.sessions.values()]

    @property
    def deaths(self) -> list[Death]:
        """The deaths of the ranks, in order."""
        return [launch.death for launch in self.launches.values() if launch.death is not None]

    @property
    def losses(self) -> list[events.Reload]:
        """The losses of renderers."""
        return [loss for session in self.sessions for loss in session.losses]

    @property
    def done(self) -> dict[Image, Done]:
        """The images that this run has completed."""
        return {image: done for launch in self.launches.values() for image, done in launch.done.items()}

    @property
    def began(self) -> float:
        """When it began, in seconds since the epoch."""
        launches = [launch.launch.time for launch in self.launches.values() if launch.launch is not None]
        return min(launches or [session.start.time for session in self.sessions])

    @property
    def images(self) -> int:
        """The number of images that it has completed; one that several launches completed counts for each."""
        return sum(len(launch.done) for launch in self.launches.values())

    @property
    def heard(self) -> float:
        """The time of its newest event."""
        return max([self.supervisor_heard, *(session.heard for session in self.sessions)])


def lost_nodes(runs: Iterable[RunState], now: str) -> list[str]:
    """Return the nodes that were lost in runs of one Slurm job, each once; ``now`` is the id of the run that goes on.

    If an earlier run recorded neither an end nor that it was to stop, and Slurm started its job again nevertheless, the
    node of its supervisor was lost.
    """
    nodes: list[str] = []
    for run in runs:
        nodes += [node for death in run.deaths for node in death.lost]
        if isinstance(run.last, events.Finish):
            nodes += run.last.lost
        elif run.run != now and run.last is not None and not isinstance(run.last, events.Stop):
            nodes.append(run.last.host)
    return list(dict.fromkeys(nodes))


@dataclass(frozen=True)
class Progress:
    """Numbers of images of a run: those that earlier runs completed count as done."""

    total: int
    done: int
    failed: int

    @property
    def left(self) -> int:
        """The number of images that are neither done nor failed."""
        return max(self.total - self.done - self.failed, 0)


def progress(state: RunState) -> Progress | None:
    """Return the numbers of images, None before they are known."""
    launch = state.planned
    if launch is None or launch.plan is None:
        return None
    return Progress(launch.plan.total, launch.plan.total - launch.plan.left + len(launch.done), len(launch.failures()))


def rate(state: RunState, now: float) -> float:
    """Return images a second of all ranks since the newest launch, 0 before one is complete.

    Each rank counts by its own clock as far as possible, up to ``now`` (seconds since the epoch): all began to render
    at about the same moment.
    """
    sessions = [(one, one.first_take) for one in state.now.sessions.values() if one.first_take is not None]
    return sum(one.count / max(max(now, one.heard) - first_take, 1e-3) for one, first_take in sessions)


class RunHistory:
    """The runs of a folder. Events of one journal are applied in their order."""

    def __init__(self, recorded: Iterable[Event] = ()) -> None:
        self.runs: dict[str, RunState] = {}
        self.current: dict[int, RunState] = {}  # the newest run of each journal, by rank or SUPERVISOR
        for event in recorded:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Follow an event."""
        if isinstance(event, events.Notice):
            self.runs.setdefault(event.run, RunState(event.run)).apply(event)
            return
        if isinstance(event, (Launch, Start)):
            self.current[event.rank] = self.runs.setdefault(event.run, RunState(event.run))
        if event.rank in self.current:
            self.current[event.rank].apply(event)

    def newest(self, owner: str | None) -> RunState:
        """Return the newest run: that of the owner of the lock if one holds it, empty before its first event."""
        if owner:
            return self.runs.get(owner) or RunState(owner)
        launched, by_hand = self.current.get(SUPERVISOR), self.current.get(0)
        if launched is None or by_hand is None:
            return launched or by_hand or RunState()
        return by_hand if not by_hand.supervised and by_hand.began > launched.supervisor_heard else launched
