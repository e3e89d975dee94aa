"""Which image each rank is at, which are not written yet, from the records as they come, and what takes too long."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from mpirender.job.outputs import Image
from mpirender.run_folder.journal import Record

SLOWER = 20  # times the slowest image so far
LEAST_SECONDS = 600.0
FIRST_SECONDS = 4 * 3600.0


def time_limit(asked: float | None, slowest: float) -> float:
    """Return the seconds after which an image counts as hanging.

    Args:
        asked: the limit that the user wants, None for the rule: 20 times the slowest image so far and at least 10
            minutes; 4 hours as long as no image is done.
        slowest: seconds of the slowest image so far, 0 before the first is done.
    """
    if asked is not None:
        return asked
    return max(SLOWER * slowest, LEAST_SECONDS) if slowest else FIRST_SECONDS


class Flight:
    """What one start of the ranks is doing.

    ``images`` are those that are being rendered, by rank; ``unwritten`` are these and the ones before them whose files
    are not in their places yet; ``worlds`` are the ranks by the numbers that launchers know them by. Where ranks render
    in groups, a rank stands for its group, as in the journals.
    """

    def __init__(self) -> None:
        self.images: dict[int, Image] = {}
        self.unwritten: dict[int, list[Image]] = defaultdict(list)
        self.pids: dict[int, list[int]] = {}  # of all ranks in the group
        self.hosts: dict[int, str] = {}
        self.worlds: dict[int, int] = {}
        self.slowest = 0.0
        self.done = 0
        self.finished = False
        self.code = 0  # with which a rank says that it ends
        self.signal = ""
        self._since: dict[int, float] = {}
        self._signalled = 0.0

    def add(self, records: Sequence[Record]) -> None:
        """Follow these records. Times are taken as they arrive: the clocks of other machines may be off."""
        for record in records:
            if "rank" in record:
                self._add(record["rank"], record)

    def _add(self, rank: int, record: Record) -> None:
        event = record["event"]
        if event == "start":
            members = [{"world": rank, **record}, *record.get("followers", ())]
            self.pids[rank] = [member["pid"] for member in members]
            self.hosts[rank] = ",".join(dict.fromkeys(member["host"] for member in members))
            self.worlds.update({member["world"]: rank for member in members})
        elif event == "take":
            self.images[rank] = Image(record["frame"], record["output"])
            self.unwritten[rank].append(self.images[rank])
            self._since[rank] = time.monotonic()
        elif event in ("done", "fail"):
            image = Image(record["frame"], record["output"])
            if self.images.get(rank) == image:
                del self.images[rank]
            if image in self.unwritten[rank]:  # not one that was set aside before
                self.unwritten[rank].remove(image)
            if event == "done":
                self.done += 1
                self.slowest = max(self.slowest, record["seconds"])
        elif event == "error":
            self.code = self.code or record["code"]
        elif event == "phase":
            self.finished = self.finished or (rank == 0 and record["phase"] == "end")
        elif event == "stop" and not self.signal:
            self.signal, self._signalled = record["signal"], time.monotonic()

    def stopped(self, late: float) -> bool:
        """Say whether a rank was asked to stop by a signal, more than so many seconds ago."""
        return bool(self.signal) and time.monotonic() - self._signalled > late

    def hanging(self, limit: float) -> tuple[int, ...]:
        """Return the ranks that are at an image for longer than the limit, in seconds."""
        now = time.monotonic()
        return tuple(rank for rank in self.images if now - self._since[rank] > limit)

    def rank_in_world(self, number: int | None) -> int | None:
        """Return the rank that launchers know by this number, None where there is none (yet)."""
        return None if number is None else self.worlds.get(number)

    def rank_of(self, pid: int) -> int | None:
        """Return the rank that has this process id, None where there is none or more than one (on several hosts)."""
        ranks = [rank for rank, found in self.pids.items() if pid in found]
        return ranks[0] if len(ranks) == 1 else None
