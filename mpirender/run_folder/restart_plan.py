"""What a launch of the ranks is to do beside its job: rank 0 reads it in the journal of the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mpirender.errors import LaunchFailed
from mpirender.job.outputs import Image
from mpirender.run_folder import events, journal


@dataclass(frozen=True)
class RestartPlan:
    """What a launch of the ranks is to do beside its job.

    Images that may have killed their rank (``suspects``) are rendered last and one at a time, so that the next death
    shows which one it was, and all others are done by then.
    """

    run: str  # id of the run
    launch: int = 1  # number of the launch in the run, from 1
    set_aside: Mapping[Image, str] = field(default_factory=dict)  # not rendered: they killed their rank too often; why
    suspects: frozenset[Image] = frozenset()

    @classmethod
    def read(cls, folder: Path, run: str) -> RestartPlan:
        """Return the newest plan of a run.

        :raises LaunchFailed: its record is missing or damaged.
        """
        for event in reversed(journal.read(folder, journal.OF_SUPERVISOR)):
            if isinstance(event, events.Launch) and event.run == run:
                return cls(run, event.launch, dict(event.set_aside), frozenset(event.suspects))
        raise LaunchFailed(f"{folder / journal.OF_SUPERVISOR}: the launch of this run is missing or damaged")
