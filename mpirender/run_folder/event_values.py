"""The values that fields of events have."""

from __future__ import annotations

from typing import NamedTuple

from mpirender.run_folder.event_fields import Numbers, PathBelow, Rank


class File(NamedTuple):
    """A file as it was when it was read."""

    path: str
    bytes: int
    modified: int  # time of its last change, in microseconds; 0: it changed meanwhile, or did not exist


class Inputs(NamedTuple):
    """The files on which an image depends: their numbers in a series of :class:`Files`."""

    series: str
    numbers: Numbers


class Process(NamedTuple):
    """A rank of a group: its rank among all processes that the launcher has started, its host and process id."""

    world_rank: Rank
    host: str
    pid: int


class OtherFile(NamedTuple):
    """A file that the engine wrote with an image: its path from the folder of the image, its bytes and digest."""

    path: PathBelow
    bytes: int
    digest: str


class Cost(NamedTuple):
    """What runs have cost."""

    hours: float  # node-hours
    dollars: float
    images: int  # number of images rendered meanwhile

    @property
    def per_image(self) -> float:
        """Dollars per image, 0 before one is complete."""
        return self.dollars / self.images if self.images else 0.0

    def plus(self, other: Cost) -> Cost:
        """Return the sum of two costs."""
        return Cost(self.hours + other.hours, self.dollars + other.dollars, self.images + other.images)


NO_COST = Cost(0.0, 0.0, 0)
