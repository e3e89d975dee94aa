"""Which frames of a run count, and why others do not: the newest run's records and the files must agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mpirender.errors import one_line
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import cores
from mpirender.run_folder import journal
from mpirender.run_folder.journal import Record


@dataclass(frozen=True)
class FrameInventory:
    """What is there of a size: the frames asked for, those that count, and the others by the reason why they do not.

    ``complained`` of those that count were kept although the engine reported an error.
    """

    output: Output
    asked: tuple[int, ...]
    sound: frozenset[int]
    missing: Mapping[str, list[int]]
    complained: int

    def shown(self, gaps: str | None) -> list[int]:
        """Return the frames in the order in which the movie shows them.

        Args:
            gaps: ``hold`` shows the frame before each that is missing, at the start the first that is there; else they
                are left out.
        """
        if gaps != "hold":
            return [frame for frame in self.asked if frame in self.sound]
        shown: list[int] = []
        last = min(self.sound)
        for frame in self.asked:
            last = frame if frame in self.sound else last
            shown.append(last)
        return shown


def newest_plan(records: Sequence[Record]) -> Record | None:
    """Return what the newest run planned, None if none got so far that it knew its frames."""
    return next((record for record in reversed(records) if record["event"] == "plan"), None)


def take_stock(
    job: RenderJob, outputs: Sequence[Output], asked: tuple[int, ...], records: Sequence[Record], mark: str
) -> list[FrameInventory]:
    """Look which frames count, of each output: recorded as done, and the files are still what they were.

    Args:
        mark: the fingerprint of the newest run.
    """
    last = journal.newest(records, mark, outputs)
    others = {
        Image(record["frame"], record["output"])
        for record in records
        if record["event"] == "done" and record.get("fingerprint") != mark
    }
    images = [Image(frame, output.name) for output in outputs for frame in asked]
    with ThreadPoolExecutor(cores()) as pool:  # reading and hashing let go of the interpreter lock
        reasons = dict(
            zip(images, pool.map(lambda image: why_missing(job, image, last.get(image), image in others), images))
        )
    return [stock_of(output, asked, reasons, last) for output in outputs]


def stock_of(
    output: Output, asked: tuple[int, ...], reasons: Mapping[Image, str], last: Mapping[Image, Record]
) -> FrameInventory:  # fmt: skip
    """Sum up an output, given why each image is missing (empty for those that are there) and its last record."""
    missing: dict[str, list[int]] = defaultdict(list)
    for frame in asked:
        if reason := reasons[Image(frame, output.name)]:
            missing[reason].append(frame)
    sound = frozenset(asked).difference(*missing.values())
    complained = sum(bool(last[Image(frame, output.name)].get("complaints")) for frame in sound)
    return FrameInventory(output, asked, sound, missing, complained)


def why_missing(job: RenderJob, image: Image, record: Record | None, otherwise: bool) -> str:
    """Say why an image does not count, empty when it does.

    Args:
        record: the newest run's last word on it.
        otherwise: whether it was rendered with another fingerprint.
    """
    if record is None:
        return "rendered from another scene, other data or with other options" if otherwise else "never rendered"
    if record["event"] != "done":
        return one_line(f"failed: {record['reason']}")
    if record.get("complaints") and job.on_error != "warn":
        return one_line(f"kept in spite of an error by an earlier run: {record['complaints'][0]}")
    if journal.whole(job.place(image), record):
        return ""
    return "damaged since it was rendered" if job.place(image).exists() else "gone since it was rendered"


def verb(frames: Sequence[int]) -> str:
    """Return the verb that goes with frames."""
    return "are" if len(frames) > 1 else "is"
