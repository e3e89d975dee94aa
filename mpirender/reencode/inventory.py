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
from mpirender.run_folder.events import Done, Event, Fail, ImageOutcome, Plan


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


def newest_plan(recorded: Sequence[Event]) -> Plan | None:
    """Return the plan of the newest run that has one, None if no run has."""
    return next((event for event in reversed(recorded) if isinstance(event, Plan)), None)


def take_stock(
    job: RenderJob, outputs: Sequence[Output], asked: tuple[int, ...], recorded: Sequence[Event], fingerprint: str
) -> list[FrameInventory]:
    """Return which frames of each output count: recorded as done, and their files are unchanged.

    Args:
        fingerprint: that of the newest run.
    """
    last = journal.newest(recorded, fingerprint, outputs)
    others = {event.image for event in recorded if isinstance(event, Done) and event.fingerprint != fingerprint}
    images = [Image(frame, output.name) for output in outputs for frame in asked]
    with ThreadPoolExecutor(cores()) as pool:  # reading and hashing let go of the interpreter lock
        reasons = dict(
            zip(images, pool.map(lambda image: why_missing(job, image, last.get(image), image in others), images))
        )
    return [stock_of(output, asked, reasons, last) for output in outputs]


def stock_of(
    output: Output, asked: tuple[int, ...], reasons: Mapping[Image, str], last: Mapping[Image, ImageOutcome]
) -> FrameInventory:  # fmt: skip
    """Sum up an output, given why each image is missing (empty for those that are there) and its last record."""
    missing: dict[str, list[int]] = defaultdict(list)
    for frame in asked:
        if reason := reasons[Image(frame, output.name)]:
            missing[reason].append(frame)
    sound = frozenset(asked).difference(*missing.values())
    found = [last[Image(frame, output.name)] for frame in sound]
    complained = sum(isinstance(outcome, Done) and bool(outcome.complaints) for outcome in found)
    return FrameInventory(output, asked, sound, missing, complained)


def why_missing(job: RenderJob, image: Image, outcome: ImageOutcome | None, otherwise: bool) -> str:
    """Return why an image does not count, empty if it does.

    Args:
        outcome: the newest one with the fingerprint of the newest run.
        otherwise: whether it was rendered with another fingerprint.
    """
    if outcome is None:
        return "rendered from another scene, other data or with other options" if otherwise else "never rendered"
    if isinstance(outcome, Fail):
        return one_line(f"failed: {outcome.reason}")
    if outcome.complaints and job.on_error != "warn":
        return one_line(f"kept in spite of an error by an earlier run: {outcome.complaints[0]}")
    if journal.whole(job.place(image), outcome.bytes, outcome.digest):
        return ""
    return "damaged since it was rendered" if job.place(image).exists() else "gone since it was rendered"


def verb(frames: Sequence[int]) -> str:
    """Return the verb that goes with frames."""
    return "are" if len(frames) > 1 else "is"
