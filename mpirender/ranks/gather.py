"""Gather what every rank rendered, check that every image is present and intact, then make the movies."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from mpirender.errors import FramesChanged, FramesMissing, MpirenderError, Stopped
from mpirender.job import frames as framesets
from mpirender.job.origin import Source
from mpirender.job.outputs import Image
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.ranks import data_record, movies
from mpirender.ranks.data_record import DataRecord
from mpirender.ranks.mpi import wait_for_all
from mpirender.run_folder import events, journal
from mpirender.run_folder.event_values import OtherFile
from mpirender.run_folder.events import Done, ImageOutcome
from mpirender.run_folder.journal import Journal
from mpirender.system import files
from mpirender.system.comm import Comm

MANIFEST = "manifest.json"


def finish(
    comm: Comm,
    log: Journal,
    job: RenderJob,
    images: Sequence[Image],
    outcomes: Mapping[Image, ImageOutcome],
    *,
    data: DataRecord | None = None,
    stopped: str = "",
    sources: Mapping[str, Source] = movies.NO_SOURCES,
) -> None:
    """Gather the images of all ranks; if they are complete, make the movies, one per output.

    :param outcomes: of the images of this rank; on rank 0 also of those that earlier runs completed.
    :param data: the record of the data files on which the images depend.
    :param stopped: the signal that asked this rank to stop, empty for none.
    :param sources: what the movies are to say about their origin, by output.
    :raises FramesMissing: on rank 0, with each missing frame, rank, host and reason.
    :raises FramesChanged: on rank 0, if images or data were changed or deleted and no other frame is missing.
    :raises Stopped: on rank 0, if images are missing because a rank was asked to stop.
    :raises EncodeFailed: on rank 0, with each movie that was not made.
    """
    wait_for_all(comm)
    gathered = comm.gather((outcomes, stopped), root=0)
    found = latest(part for part, _ in gathered or ())
    changed = {**changed_data(comm, outcomes, data), **changed_files(comm, job, found)}
    missing, digests = describe_missing(job, images, found, changed) if comm.rank == 0 else [], {}
    if comm.rank == 0:
        write_manifest(job, images, found, missing)
        digests = {image: outcome.digest for image, outcome in found.items() if isinstance(outcome, Done)}
    missing, digests = comm.bcast((missing, digests), root=0)
    if missing and comm.rank == 0:
        signals = [signal for _, signal in gathered if signal]
        raise incomplete(images, found, changed, missing, signals[0] if signals else "")
    if not missing and job.movie != "none":
        movies.make(comm, log, job, sorted({image.frame for image in images}), digests, sources=sources)


def latest(parts: Iterable[Mapping[Image, ImageOutcome]]) -> dict[Image, ImageOutcome]:
    """Merge the outcomes of the ranks; of two attempts at an image the second counts."""
    outcomes: dict[Image, ImageOutcome] = {}
    for part in parts:
        for image, outcome in part.items():
            if image not in outcomes or outcome.attempt > outcomes[image].attempt:
                outcomes[image] = outcome
    return outcomes


def changed_data(comm: Comm, outcomes: Mapping[Image, ImageOutcome], record: DataRecord | None) -> dict[Image, str]:
    """Return, on rank 0, which images depend on data that have changed since, and which; each rank checks its own."""
    done = {image: outcome for image, outcome in outcomes.items() if isinstance(outcome, Done)}
    states = {image: record.states(outcome) or () for image, outcome in done.items()} if record else {}
    changed = data_record.changed(state for each in states.values() for state in each)
    found = {image: [state for state in each if state in changed] for image, each in states.items()}
    mine = {image: f"{data_record.named(each)} changed meanwhile" for image, each in found.items() if each}
    wait_for_all(comm)
    return {image: reason for part in comm.gather(mine, root=0) or () for image, reason in part.items()}


def changed_files(comm: Comm, job: RenderJob, outcomes: Mapping[Image, ImageOutcome]) -> dict[Image, str]:
    """Return what is wrong with the files of images, on rank 0, which knows the outcomes; each rank checks a part.

    The content is checked only if no movie is made: the encoder checks what it reads.
    """
    done = [(image, outcome) for image, outcome in outcomes.items() if isinstance(outcome, Done)]
    part = comm.scatter([done[rank :: comm.size] for rank in range(comm.size)], root=0)
    wrong = {image: why_changed(job, image, outcome) for image, outcome in part}
    wait_for_all(comm)
    checked = comm.gather({image: reason for image, reason in wrong.items() if reason}, root=0)
    return {image: reason for found in checked or () for image, reason in found.items()}


def why_changed(job: RenderJob, image: Image, outcome: Done) -> str:
    """Return what is wrong with the files of an image, empty if they are those that were recorded."""
    wrote, place = f"rank {outcome.rank} on {outcome.host} wrote", job.place(image)
    own = OtherFile("", outcome.bytes, outcome.digest)
    for file in (own, *outcome.beside):
        path, what = (place.parent / file.path, f"{file.path}: ") if file.path else (place, "")
        try:
            found = path.stat().st_size
        except OSError as error:
            return f"{what}{wrote} it but it is gone ({error.strerror})"
        if found != file.bytes:
            return f"{what}{wrote} {file.bytes} bytes but {found} are there"
        if job.movie == "none" and not journal.whole(path, file.bytes, file.digest):
            return f"{what}{wrote} it but its content is another"
    return ""


def incomplete(
    images: Sequence[Image],
    outcomes: Mapping[Image, ImageOutcome],
    changed: Collection[Image],
    missing: Sequence[str],
    stopped: str,
) -> MpirenderError:
    """Return the error for a run with missing images."""
    if not stopped:
        only_changed = all(image in changed or isinstance(outcomes.get(image), Done) for image in images)
        return (FramesChanged if only_changed else FramesMissing)("\n".join(missing))
    done = sum(isinstance(outcome, Done) for outcome in outcomes.values())
    return Stopped(f"stopped on {stopped}: {done} of {len(images)} images are done; run the same command again")


def describe_missing(
    job: RenderJob, images: Sequence[Image], outcomes: Mapping[Image, ImageOutcome], changed: Mapping[Image, str]
) -> list[str]:
    """Return a line for each output and reason with the missing frames, rank and host; empty if none is missing."""
    reasons: dict[tuple[str, str], list[int]] = defaultdict(list)
    for image in images:
        if reason := changed.get(image) or why_missing(outcomes.get(image)):
            reasons[image.output, reason].append(image.frame)
    if not reasons:
        return []
    lines = [f"{output} frames {framesets.text(missing)}: {reason}" for (output, reason), missing in reasons.items()]
    count = sum(map(len, reasons.values()))
    older = [path.name for path in map(job.movie_path, job.outputs) if path.exists()]
    note = f" ({', '.join(older)} is from an earlier run)" if older else ""
    logs = f"{job.output}/{FOLDER}/rank-*.log"
    lines.append(f"{count} of {len(images)} images missing, so no movie was made{note}; the ranks' logs are {logs}")
    return lines


def why_missing(outcome: ImageOutcome | None) -> str:
    """Return why an image was not rendered, empty if it was."""
    if outcome is None:
        return "no rank reported it"
    if not isinstance(outcome, events.Fail):
        return ""
    retried = "" if outcome.attempt == 1 else f" (tried {times(outcome.attempt)})"
    return outcome.reason if outcome.set_aside else f"rank {outcome.rank} on {outcome.host}: {outcome.reason}{retried}"


def times(count: int) -> str:
    """Return how often: ``twice``, ``3 times``."""
    return "twice" if count == 2 else f"{count} times"


def write_manifest(
    job: RenderJob, images: Sequence[Image], outcomes: Mapping[Image, ImageOutcome], missing: Sequence[str]
) -> None:
    """Write the list of the complete images, with their digests."""
    whole = [
        {"frame": image.frame, "output": image.output, "bytes": outcome.bytes, "digest": outcome.digest}
        for image, outcome in sorted(outcomes.items(), key=lambda item: (item[0].output, item[0].frame))
        if isinstance(outcome, Done)
    ]
    manifest = {
        "frames": framesets.text(image.frame for image in images), "sizes": [output.name for output in job.outputs],
        "complete": not missing, "missing": list(missing), "images": whole,
    }  # fmt: skip
    files.write_text(job.folder / MANIFEST, json.dumps(manifest))
