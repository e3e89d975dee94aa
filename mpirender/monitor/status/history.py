"""The newest run that the journals of a folder tell of, summed up record by record.

Records of one journal count in their order. The clocks of machines differ, so nothing leans on time between journals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mpirender.run_folder.journal import Record
from mpirender.run_folder.lock import Owner

Key = tuple[str, int]  # size and frame of an image


class Word(NamedTuple):
    """What a rank wrote last of an image: why it failed, empty when it is done."""

    attempt: int
    time: float
    reason: str


@dataclass
class Stretch:
    """What a rank wrote since one of its starts; a long run has more records than one wants to keep.

    Args:
        run: id of the run.
        life: which start of its ranks this is, from 1.
        ranks: how many were started with it.
        ranks_per_frame: ranks that render each frame together; such a group is one rank here.
        since, heard: times of its first and of its newest record.
        step: the phase it is in.
        taken: the ``take`` record of the image it has in hand.
        images, seconds: how many it has made, and what they took together.
        words: by fingerprint.
    """

    rank: int
    host: str
    run: str
    life: int
    ranks: int
    since: float
    heard: float
    ranks_per_frame: int = 1
    step: str = "start"
    plan: Record | None = None
    taken: Record | None = None
    first_take: float | None = None
    images: int = 0
    seconds: float = 0.0
    memory: int | None = None
    renderer: str = ""
    signal: str = ""
    problems: list[str] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)
    words: dict[str, dict[Key, Word]] = field(default_factory=lambda: defaultdict(dict))

    @classmethod
    def of(cls, start: Record) -> Stretch:
        """Begin one with its ``start`` record."""
        time = start["time"]
        run, life = start.get("run", ""), start.get("life", 1)
        hosts = dict.fromkeys([start.get("host", ""), *(follower["host"] for follower in start.get("followers", ()))])
        each = 1 + len(start.get("followers", ()))
        return cls(start["rank"], ",".join(hosts), run, life, start["ranks"], time, time, each)

    def add(self, record: Record) -> None:
        """Count a record in."""
        self.heard = record["time"]
        event = record["event"]
        if event == "take":
            self.taken = record
            self.first_take = self.first_take or record["time"]
        elif event in ("done", "fail"):
            self._settle(event, record)
        elif event == "phase":
            self.step = record["phase"]
            self.renderer = record.get("description", self.renderer)
        elif event == "plan":
            self.plan = record
            self.warnings.update(dict.fromkeys(record.get("warnings", ())))
        elif event in ("warning", "complaint"):
            self.warnings[record["text"]] = None
        elif event == "movie":
            self.problems += filter(None, [record.get("problem")])
        elif event == "stop":
            self.signal = record["signal"]

    def _settle(self, event: str, record: Record) -> None:
        """Count in what became of an image."""
        reason = "" if event == "done" else record.get("reason") or "no reason given"
        word = Word(record.get("attempt", 1), record["time"], reason)
        self.words[record.get("fingerprint", "")][record.get("output", ""), record["frame"]] = word
        if self.taken is not None and (self.taken.get("output"), self.taken["frame"]) == (
            record.get("output"), record["frame"],
        ):  # fmt: skip
            self.taken = None  # else an image that was written while this one is rendered
        if event == "done":
            self.images += 1
            self.seconds += record.get("seconds", 0.0)
            self.memory = record.get("memory", self.memory)
            self.renderer = record.get("renderer", self.renderer)


class History:
    """What the records of a folder add up to; add those of one journal in their order."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._supervisor: list[Record] = []  # of the newest run that it launched
        self._stretches: dict[int, list[Stretch]] = defaultdict(list)  # by rank, of the newest run of each
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Count a record in; one that another version has written, without what is needed, is left out."""
        if not isinstance(record.get("time"), (int, float)):
            return
        try:
            if "rank" not in record:
                self._add_of_supervisor(record)
            elif record["event"] == "start":
                self._begin(Stretch.of(record))
            elif self._stretches[record["rank"]]:
                self._stretches[record["rank"]][-1].add(record)
        except (KeyError, TypeError):
            return

    def _add_of_supervisor(self, record: Record) -> None:
        if record["event"] == "launch" and record["run"] != self._launched:
            self._supervisor.clear()
        self._supervisor.append(record)

    def _begin(self, stretch: Stretch) -> None:
        mine = self._stretches[stretch.rank]
        if not stretch.run or (mine and mine[-1].run != stretch.run):
            mine.clear()
        mine.append(stretch)

    @property
    def _launched(self) -> str | None:
        """Id of the newest run that was launched by a supervisor."""
        return next((record["run"] for record in self._supervisor if record["event"] == "launch"), None)

    def newest(self, owner: Owner | None) -> Run:
        """Return the newest run; for an owner that has not written anything yet, a run without records."""
        run = self._launched
        records = self._supervisor if run is not None else []
        root = self._stretches[0][-1] if self._stretches[0] else None
        if root is not None and root.run != run and (not records or root.since > records[-1]["time"]):
            run, records = root.run, []  # ranks that were started by hand
        if owner is not None and owner.run and owner.run != run:
            run, records = owner.run, []
        mine = {
            rank: [stretch for stretch in stretches if stretch.run == run]
            for rank, stretches in self._stretches.items()
        }
        return Run(records, {rank: stretches for rank, stretches in mine.items() if stretches})


class Run:
    """One run: the records of its supervisor, none when the ranks were started by hand, and what its ranks did.

    A run has lives: each start of its ranks is one. ``now`` is what the ranks did in the newest.
    """

    def __init__(self, records: Sequence[Record], stretches: Mapping[int, Sequence[Stretch]]) -> None:
        self.records = records
        self.launches = [record for record in records if record["event"] == "launch"]
        self.stretches = [stretch for rank in sorted(stretches) for stretch in stretches[rank]]
        self.begun = bool(self.launches or self.stretches)
        self.now = self._life(len(self.launches))
        root = self.now.get(0)
        self.ranks: int = self.launches[-1]["ranks"] if self.launches else root.ranks if root else 0
        self.ranks_per_frame = max((stretch.ranks_per_frame for stretch in self.stretches), default=1)
        if not self.launches:  # an older run may have had more, and version 0.1 gave runs no id
            self.now = {rank: stretch for rank, stretch in self.now.items() if rank < self.ranks}
        self.set_aside: list[tuple[int, str, str]] = self.launches[-1].get("set_aside", []) if self.launches else []

    def _life(self, number: int) -> dict[int, Stretch]:
        return {stretch.rank: stretch for stretch in self.stretches if self._life_of(stretch) == number}

    def _life_of(self, stretch: Stretch) -> int:
        """Return the life that a stretch belongs to, from 1; 0 for ranks started by hand."""
        return stretch.life if self.launches else 0

    def plan(self) -> Record | None:
        """Return the newest plan."""
        plans = [stretch.plan for stretch in self.stretches if stretch.plan is not None]
        return plans[-1] if plans else None

    def words(self) -> dict[Key, Word]:
        """Return the last word on each image since the newest plan; those set aside have failed before they are tried.

        Ranks may write of an image before rank 0 has written the plan: its life counts, not its time.
        """
        planned = next((stretch for stretch in reversed(self.stretches) if stretch.plan is not None), None)
        if planned is None or planned.plan is None:
            return {}
        fingerprint = planned.plan.get("fingerprint", "")
        words = {(size, frame): Word(0, 0.0, reason) for frame, size, reason in self.set_aside}
        for stretch in self._life(self._life_of(planned)).values():
            for key, word in stretch.words.get(fingerprint, {}).items():
                if key not in words or words[key][:2] < word[:2]:
                    words[key] = word
        return words

    def last(self, event: str) -> Record | None:
        """Return the supervisor's newest record, warnings apart, if it is of this event."""
        told = [record for record in self.records if record["event"] != "warning"]
        return told[-1] if told and told[-1]["event"] == event else None

    def began(self) -> float:
        """Return when it began."""
        times: list[float] = [launch["time"] for launch in self.launches[:1]]
        return min(times or [stretch.since for stretch in self.stretches])

    def heard(self) -> float:
        """Return the time of the newest record."""
        times: list[float] = [record["time"] for record in self.records]
        return max(times + [stretch.heard for stretch in self.stretches])

    def warnings(self) -> list[str]:
        """Return what it warned of, each text once."""
        told = [record["text"] for record in self.records if record["event"] == "warning"]
        told += [text for stretch in self.stretches for text in stretch.warnings]
        return list(dict.fromkeys(told))
