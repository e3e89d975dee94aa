"""Whether the disk will hold the run, estimated from its first images."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mpirender.job.render_job import RenderJob
from mpirender.run_folder.journal import Record

ENOUGH = 3  # images of each size before an estimate is worth something
# Bytes of a movie for each byte of its frames: mkv holds the frames themselves; others vary with the scene.
MOVIE_SHARE = {"mkv": 1.0, "none": 0.0}
USUAL_SHARE = 0.1


class Estimate:
    """What the images that are left will need."""

    def __init__(self, job: RenderJob) -> None:
        self.job = job
        self._left: Counter[str] = Counter()
        self._count: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def add(self, records: Sequence[Record]) -> None:
        """Count these records in."""
        for record in records:
            if record["event"] == "plan":
                self._left = Counter(record["left_of"])
            elif record["event"] == "done":
                self._left[record["output"]] -= 1
                self._count[record["output"]] += 1
                self._bytes[record["output"]] += record["bytes"]

    def needed(self) -> int:
        """Return the bytes that the images left and the movies will need; 0 as long as that is anyone's guess."""
        left = {size: count for size, count in self._left.items() if count > 0}
        if any(self._count[size] < min(ENOUGH, count) for size, count in left.items()):
            return 0
        images = sum(count * self._bytes[size] / self._count[size] for size, count in left.items())
        share = MOVIE_SHARE.get(self.job.movie, USUAL_SHARE)
        return int(images + share * (images + sum(self._bytes.values())))

    def shortage(self) -> str:
        """Say that the disk will not hold what is left, empty when it will."""
        needed, free = self.needed(), free_bytes(self.job.output)
        if needed <= free:
            return ""
        return (
            f"the disk will be full before the end: about {amount(needed)} more are needed and {amount(free)} are free "
            f"in {self.job.output}; make room while it runs, or run the same command again when there is some"
        )


def free_bytes(folder: Path) -> int:
    """Return how much may still be written there; quotas are not seen by it."""
    return shutil.disk_usage(folder).free


def amount(count: float) -> str:
    """Write a number of bytes as people say it."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
