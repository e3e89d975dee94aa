"""What happens in a run: an event for each kind of record in the journals.

In a journal an event is a JSON object with its kind (``event``: the class, in lower case), its fields, ``time`` and
``host``; in the journal of a rank also ``rank``. A group of ranks counts as one rank, for which its leader writes.

Modules use the classes with the name of this module (``events.Done``); one is called like a built-in exception.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Optional, TypeVar, Union, get_type_hints

from mpirender.job.outputs import Image
from mpirender.run_folder.event_fields import FrameSet, PathBelow, Rank, Ranks, Seconds, Time, Unsound, reader
from mpirender.run_folder.event_values import NO_COST, Cost, File, Inputs, OtherFile, Process

SUPERVISOR = -1  # the rank of events that the supervisor records


@dataclass(frozen=True)
class Event:
    """Something that happened; the journal that records it adds when and where."""

    time: float = field(init=False, default=0.0)  # seconds since the epoch, by the clock of the host
    host: str = field(init=False, default="")
    rank: int = field(init=False, default=SUPERVISOR)  # :data:`SUPERVISOR` in the journal of the supervisor

    def to_json(self) -> dict[str, Any]:
        """Return the record of this event."""
        kind = type(self).__name__.lower()
        rank = {} if self.rank == SUPERVISOR else {"rank": self.rank}
        own = {name: getattr(self, name) for name in READERS[kind]}
        return {"event": kind, **rank, "host": self.host, "time": self.time, **own}


Some = TypeVar("Some", bound=Event)


@dataclass(frozen=True)
class Start(Event):
    """A rank is up."""

    run: str  # id of the run; a run that starts its ranks again keeps it
    launch: int  # number of this launch in the run, from 1
    ranks: Ranks
    pid: int
    world_rank: Rank  # its rank among all processes that the launcher has started
    began: Seconds = 0.0  # seconds since the process was started
    followers: tuple[Process, ...] = ()  # the other ranks that render each frame with it

    @property
    def members(self) -> list[Process]:
        """This rank, and those that render with it."""
        return [Process(self.world_rank, self.host, self.pid), *self.followers]


@dataclass(frozen=True)
class Plan(Event):
    """Rank 0 knows what is to be rendered, once in each launch."""

    frames: FrameSet
    outputs: tuple[str, ...]  # their names
    total: int  # images
    left: int  # those of them that are to be rendered; ``left_of`` is their number for each output
    left_of: dict[str, int]
    fingerprint: str  # of the images to render, with the ``parts`` from which it is computed
    parts: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()  # what the scene, the engine and the results of earlier runs give reason for
    skipped: int = 0  # lines of the journals that were damaged


@dataclass(frozen=True)
class Phase(Event):
    """A rank begins with a phase: backend, load, trial, survey, render, reload, gather, encode or end."""

    phase: str


@dataclass(frozen=True)
class Opened(Event):
    """A rank has loaded the scene."""

    description: str  # of program and renderer
    hosts: tuple[str, ...] = ()  # of the other ranks that render each frame with it
    backend: str = ""  # the kind of OpenGL window, empty for an engine without windows; ``device`` is the EGL device
    device: Optional[int] = None  # noqa: UP045 - evaluated, also by Python 3.9
    node_memory: int = 0  # bytes that a job may take on the machine
    cores: str = ""  # a set of those that the rank may use; ``threads`` it uses
    threads: int = 1
    renderer: str = ""  # what OpenGL calls it


@dataclass(frozen=True)
class Take(Event):
    """A rank begins with an image."""

    image: Image


@dataclass(frozen=True)
class Done(Event):
    """An image is complete, its file in place; ``measured`` are numbers about the data, None where there were none."""

    image: Image
    fingerprint: str
    bytes: int  # of the file, as is the digest
    digest: str
    pixels: tuple[int, int]  # width and height
    # View and layout, and the values of properties that vary.
    shows: tuple[Optional[str], ...] = (None, None)  # noqa: UP045
    seconds: Seconds = 0.0  # until the rank could go on; ``rendering`` is what the engine took of it
    rendering: Seconds = 0.0
    written: Seconds = 0.0  # seconds of compressing and writing, mostly beside the rendering
    memory: int = 0  # peak of the rank and its renderer, in bytes
    renderer: str = ""
    attempt: int = 1  # 2 for an image that failed on another rank before
    complaints: tuple[str, ...] = ()  # errors that the engine reported, kept with ``--on-error warn``
    measured: dict[str, Optional[float]] = field(default_factory=dict)  # noqa: UP045
    beside: tuple[OtherFile, ...] = ()  # written with it
    inputs: Optional[Inputs] = None  # noqa: UP045 - the data files on which it depends, if the engine observes them
    scene_time: Optional[float] = None  # noqa: UP045 - animation time of the frame, if the engine has times


@dataclass(frozen=True)
class Files(Event):
    """Data files that images of this rank depend on: numbers ``first`` and following of a series."""

    series: str
    first: int
    files: tuple[File, ...]


@dataclass(frozen=True)
class Fail(Event):
    """An image was not rendered; fields as those of :class:`Done`. It was not even tried if it is set aside."""

    image: Image
    fingerprint: str
    reason: str
    seconds: Seconds = 0.0
    rendering: Seconds = 0.0
    attempt: int = 1
    set_aside: bool = False
    blameless: bool = False  # whether its renderer was lost for another reason


@dataclass(frozen=True)
class Reload(Event):
    """A rank replaces its renderer, and loads the scene again."""

    reason: str  # of which it was lost, or why it was ended
    image: Optional[Image] = None  # noqa: UP045 - that it was rendering
    log: tuple[str, ...] = ()  # the last lines that it printed
    planned: bool = False  # whether it was ended between two images, without a loss


@dataclass(frozen=True)
class Beat(Event):
    """A rank is alive, although it has had nothing to record for a while."""


@dataclass(frozen=True)
class Survey(Event):
    """Rank 0 knows the ranges of color maps over all frames, by array; ``of`` identifies what was searched."""

    of: str
    ranges: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class OrderTrial(Event):
    """Frames were rendered on trial, to find out whether frames depend on earlier ones; ``of`` identifies the scene."""

    of: str
    needs: str  # of the frames before a frame: nothing, previous or all


@dataclass(frozen=True)
class Complaint(Event):
    """The engine reported an error while loading the scene."""

    text: str


@dataclass(frozen=True)
class Warning(Event):
    """Something that the user should know; the run goes on."""

    text: str


@dataclass(frozen=True)
class Stop(Event):
    """A signal asked this rank, or the run, to stop; images in progress get ``grace`` seconds."""

    signal: str
    grace: Seconds = 0.0


@dataclass(frozen=True)
class Error(Event):
    """A rank ends with an error: its exit code, the name of its class, and its message."""

    code: int
    kind: str = ""
    message: str = ""


@dataclass(frozen=True)
class Segment(Event):
    """A segment of a movie was encoded and read back, or not: number ``number`` (from 0) ``of`` so many."""

    output: str
    number: int
    of: int
    images: int
    threads: int
    problem: str
    seconds: Seconds


@dataclass(frozen=True)
class Movie(Event):
    """A movie was made, or not."""

    output: str
    problem: str
    seconds: Seconds  # since the ranks began with it
    segments: int  # how many were joined; 1 if one encoder made the movie


@dataclass(frozen=True)
class Made(Event):
    """A movie, contact sheet or table takes its place in the output folder, where mpirender may replace it later."""

    path: PathBelow  # from the output folder
    bytes: int
    digest: str  # of beginning and end


@dataclass(frozen=True)
class Writer(Event):
    """A process that is no rank begins to write files: the names of incomplete ones contain its process id."""

    pid: int


@dataclass(frozen=True)
class Launch(Event):
    """The supervisor starts the ranks."""

    run: str
    launch: int  # 1 at first, one more each time
    ranks: Ranks  # those of the journals: groups where ``ranks_per_frame`` is more than 1
    pid: int
    set_aside: tuple[tuple[Image, str], ...] = ()  # images that are not to be rendered, and why
    suspects: tuple[Image, ...] = ()  # those that may have killed their rank
    ranks_per_frame: Ranks = 1
    launcher: str = ""
    nodes: str = ""  # as Slurm writes them
    job: str = ""  # number of the Slurm job
    cluster: str = ""  # name of the cluster of that job
    allocation: int = 0  # 1 at first, one more each time that Slurm started the job again; 0 outside of Slurm


@dataclass(frozen=True)
class Nodes(Event):
    """The run occupies these nodes from now on, at a price; the supervisor records it with each launch."""

    names: tuple[str, ...]
    price: float  # dollars per node-hour
    limit: float = 0.0  # dollars that all runs in the folder may cost together, 0 for no limit
    since: Seconds = 0.0  # seconds before this record since when it occupies them
    earlier: Cost = NO_COST  # what earlier runs in the folder have cost


@dataclass(frozen=True)
class Notice(Event):
    """The cloud takes the node ``host`` away, or recommends to leave it; the first rank of the node records it."""

    run: str
    at: Time = 0.0  # when it takes it away, in seconds since the epoch; 0 for a recommendation
    action: str = "rebalance"  # terminate, stop or hibernate


@dataclass(frozen=True)
class Death(Event):
    """The ranks ended before their work did: images that were in progress, and those suspected of it."""

    launch: int
    reason: str
    in_progress: tuple[tuple[Rank, Image], ...] = ()
    blamed: tuple[Image, ...] = ()
    lost: tuple[str, ...] = ()  # nodes that no longer respond


@dataclass(frozen=True)
class Finish(Event):
    """The run has ended, with this exit code and message, after so many seconds."""

    code: int
    message: str
    seconds: Seconds
    lost: tuple[str, ...] = ()  # nodes whose loss ended it


@dataclass(frozen=True)
class Note(Event):
    """A line for the user, which no journal records."""

    text: str


ImageOutcome = Union[Done, Fail]
KINDS = {kind.__name__.lower(): kind for kind in Event.__subclasses__() if kind is not Note}
READERS: dict[str, dict[str, Any]] = {}  # what reads each field that a kind of event has beside those of all
ADDED = ("scene_time",)  # fields that journals of earlier versions lack
for _name, _kind in KINDS.items():
    _hints = get_type_hints(_kind, include_extras=True)
    READERS[_name] = {one.name: reader(_hints[one.name]) for one in fields(_kind) if one.init}


def stamped(event: Some, *, time: float, host: str, rank: int = SUPERVISOR) -> Some:
    """Return the event with when and where it happened."""
    copy = replace(event)
    vars(copy).update(time=time, host=host, rank=rank)
    return copy


def from_json(record: object) -> Event:
    """Return the event of a record.

    :raises Unsound: it is of no known kind, lacks a field, or a value has the wrong type or is not reasonable.
    """
    if not isinstance(record, dict) or not isinstance(record.get("event"), str) or record["event"] not in KINDS:
        raise Unsound
    readers = READERS[record["event"]]
    try:
        values = {name: read(record[name]) for name, read in readers.items() if name in record or name not in ADDED}
        event = KINDS[record["event"]](**values)
        rank = reader(Rank)(record["rank"]) if "rank" in record else SUPERVISOR
        vars(event).update(time=reader(Time)(record["time"]), host=reader(str)(record["host"]), rank=rank)
    except KeyError:
        raise Unsound from None
    return event
