"""Which frames of a run count, and why others do not: the records of the newest run and the files must agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mpirender.errors import one_line
from mpirender.job import origin
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import cores
from mpirender.run_folder import journal
from mpirender.run_folder.events import Done, Event, Fail, ImageOutcome, Plan


@dataclass(frozen=True)
class FrameInventory:
    """The frames of an output."""

    output: Output
    requested: tuple[int, ...]  # all that the movie is to show
    sound: frozenset[int]  # the frames that count
    missing: Mapping[str, list[int]]  # the others, by the reason why they do not count
    digests: Mapping[int, str]  # of the files of the sound frames, as they were recorded
    complained: int  # number of sound frames that were kept although the engine reported an error
    source: origin.Source | None = None  # what a movie is to say about its origin

    def shown(self, gaps: str | None) -> list[int]:
        """Return the frames in the order in which the movie shows them; missing ones are left out.

        With the ``gaps`` ``hold``, the frame before each missing one is repeated, at the start the first sound one.
        """
        if gaps != "hold":
            return [frame for frame in self.requested if frame in self.sound]
        shown = [min(self.sound)]
        for frame in self.requested:
            shown.append(frame if frame in self.sound else shown[-1])
        return shown[1:]


def newest_plan(recorded: Sequence[Event]) -> Plan | None:
    """Return the plan of the newest run that has one, None if no run has."""
    return next((event for event in reversed(recorded) if isinstance(event, Plan)), None)


def inventory_of(
    job: RenderJob, outputs: Sequence[Output], requested: tuple[int, ...], recorded: Sequence[Event], plan: Plan
) -> list[FrameInventory]:
    """Return which frames of each output count: recorded as done in the newest run, and their files are unchanged."""
    fingerprint = plan.fingerprint
    sources = origin.sources(job, str(plan.parts.get("renderer", "")), fingerprint)
    last = journal.newest(recorded, fingerprint, outputs)
    others = {event.image for event in recorded if isinstance(event, Done) and event.fingerprint != fingerprint}
    found = []
    with ThreadPoolExecutor(cores()) as pool:  # reading and hashing let go of the interpreter lock
        for output in outputs:
            images = [Image(frame, output.name) for frame in requested]
            reasons = pool.map(lambda image: why_missing(job, image, last.get(image), image in others), images)
            missing: dict[str, list[int]] = defaultdict(list)
            for image, reason in zip(images, reasons):
                missing[reason].append(image.frame)
            sound = frozenset(missing.pop("", ()))
            kept = [last[image] for image in images if image.frame in sound]
            whole = [outcome for outcome in kept if isinstance(outcome, Done)]
            digests = {outcome.image.frame: outcome.digest for outcome in whole}
            complained = sum(bool(outcome.complaints) for outcome in whole)
            found.append(
                FrameInventory(output, requested, sound, missing, digests, complained, sources.get(output.name))
            )
    return found


def why_missing(job: RenderJob, image: Image, outcome: ImageOutcome | None, otherwise: bool) -> str:
    """Return why an image does not count, empty if it does, from its newest outcome in the newest run.

    An image was rendered ``otherwise`` if an earlier run with another fingerprint has completed it.
    """
    if outcome is None:
        return "rendered with a different scene, data or options" if otherwise else "never rendered"
    if isinstance(outcome, Fail):
        return one_line(f"failed: {outcome.reason}")
    if outcome.complaints and job.on_error != "warn":
        return one_line(f"an earlier run kept it despite an error: {outcome.complaints[0]}")
    if journal.whole(job.place(image), outcome.bytes, outcome.digest):
        return ""
    return "changed since it was rendered" if job.place(image).exists() else "deleted since it was rendered"
