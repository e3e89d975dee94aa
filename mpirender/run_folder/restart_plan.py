"""What the supervisor tells the ranks when it starts them, through its journal: rank 0 reads it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpirender.job.outputs import Image
from mpirender.run_folder import journal


@dataclass(frozen=True)
class Orders:
    """What a start of the ranks is to do beside its job.

    Args:
        run: id of the run.
        life: 1 for its first start of the ranks, one more with each restart.
        set_aside: images that have killed their rank too often, with the words that tell it; they are not rendered.
        suspects: images that may have killed their rank; rendered last and one at a time, so that the guilty one is
            found and the others are done by then.
    """

    run: str
    life: int = 1
    set_aside: Mapping[Image, str] = field(default_factory=dict)
    suspects: frozenset[Image] = frozenset()

    def record(self) -> dict[str, Any]:
        """Return the fields of the ``launch`` record."""
        return {
            "run": self.run,
            "life": self.life,
            "set_aside": [[image.frame, image.output, reason] for image, reason in self.set_aside.items()],
            "suspects": sorted([image.frame, image.output] for image in self.suspects),
        }

    @classmethod
    def read(cls, folder: Path, run: str) -> Orders:
        """Return the newest orders of a run."""
        with (folder / journal.OF_SUPERVISOR).open("rb") as file:
            records = list(journal.parse(file))
        launches = [record for record in records if record["event"] == "launch" and record.get("run") == run]
        newest = launches[-1]
        return cls(
            run=run,
            life=newest["life"],
            set_aside={Image(frame, size): reason for frame, size, reason in newest["set_aside"]},
            suspects=frozenset(Image(frame, size) for frame, size in newest["suspects"]),
        )
