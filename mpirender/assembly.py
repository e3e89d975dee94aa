"""What follows the last frame: gather, check that every frame is there and whole, make the movies."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mpirender import frames as framesets
from mpirender import journal, movie
from mpirender.errors import EncodeFailed, FramesMissing, MpirenderError, NoSpace, Stopped
from mpirender.job import FOLDER, Image, RenderJob, Size
from mpirender.journal import Journal, Record

MANIFEST = "manifest.json"


def assemble(
    comm: Any,  # noqa: ANN401 - an mpi4py communicator; mpi4py may be missing
    log: Journal,
    job: RenderJob,
    images: Sequence[Image],
    outcomes: Mapping[Image, Record],
    *,
    stopped: str = "",
) -> None:
    """Gather what every rank made, and if it is complete let the ranks make the movies, one per size.

    Args:
        images: those that the movies consist of.
        outcomes: the records of what this rank made; on rank 0 also of what earlier runs completed.
        stopped: the signal that asked this rank to stop, empty for none.

    Raises:
        FramesMissing: on rank 0, naming each frame with rank, host and reason.
        Stopped: on rank 0, if some are missing since a rank was asked to stop.
        EncodeFailed: on rank 0, naming each movie.
    """
    wait_for_all(comm)
    gathered = comm.gather((outcomes, stopped), root=0)
    missing: list[str] = []
    if comm.rank == 0:
        records = latest(part for part, _ in gathered)
        missing = name_missing(job, images, records)
        write_manifest(job, images, records, missing)
    missing = comm.bcast(missing, root=0)
    if missing:
        if comm.rank == 0:
            raise shortfall(images, records, missing, next(filter(None, (signal for _, signal in gathered)), ""))
        return
    if job.movie != "none":
        make_movies(comm, log, job, sorted({image.frame for image in images}))


def latest(parts: Iterable[Mapping[Image, Record]]) -> dict[Image, Record]:
    """Put what the ranks made together; of an image that was tried twice the second attempt counts."""
    records: dict[Image, Record] = {}
    for part in parts:
        for image, record in part.items():
            if image not in records or record.get("attempt", 1) > records[image].get("attempt", 1):
                records[image] = record
    return records


def shortfall(
    images: Sequence[Image], records: Mapping[Image, Record], missing: Sequence[str], stopped: str
) -> MpirenderError:
    """Return the error for a run that is not complete."""
    if not stopped:
        return FramesMissing("\n".join(missing))
    done = sum(record["event"] == "done" for record in records.values())
    return Stopped(f"stopped on {stopped}: {done} of {len(images)} images are done; run the same command again")


def make_movies(comm: Any, log: Journal, job: RenderJob, frames: Sequence[int]) -> None:  # noqa: ANN401
    """Encode the movies, those of different sizes on different ranks."""
    log.write("phase", phase="encode")
    problems: list[MpirenderError] = []
    for size in job.sizes[comm.rank :: comm.size]:
        started = time.perf_counter()
        problem = encode(job, size, frames)
        problems += [] if problem is None else [problem]
        log.write("movie", size=size.name, problem=str(problem or ""), seconds=time.perf_counter() - started)
    wait_for_all(comm)
    gathered = [problem for part in comm.allgather(problems) for problem in part]
    if gathered and comm.rank == 0:
        raise next((one for one in gathered if isinstance(one, NoSpace)), EncodeFailed("\n".join(map(str, gathered))))


def encode(job: RenderJob, size: Size, frames: Sequence[int]) -> MpirenderError | None:
    """Make the movie of one size; return what went wrong, None when nothing did."""
    images = [job.image(size, frame) for frame in frames]
    try:
        movie.encode(images, job.movie_path(size), rate=job.rate, transparent=job.transparent_background)
    except MpirenderError as error:
        return error
    return None


def name_missing(job: RenderJob, images: Sequence[Image], records: Mapping[Image, Record]) -> list[str]:
    """Name what is missing, a line for each reason: size, frames, rank, host and reason; empty when all is there."""
    reasons: dict[tuple[str, str], list[int]] = defaultdict(list)
    for image in images:
        reason = reason_missing(job, image, records.get(image))
        if reason:
            reasons[image.size, reason].append(image.frame)
    if not reasons:
        return []
    lines = [f"{size} frames {framesets.text(missing)}: {reason}" for (size, reason), missing in reasons.items()]
    count = sum(map(len, reasons.values()))
    older = [path.name for path in map(job.movie_path, job.sizes) if path.exists()]
    beware = f" ({', '.join(older)} is of an earlier run)" if older else ""
    log = f"{job.output}/{FOLDER}/rank-*.log"
    lines.append(f"{count} of {len(images)} images missing, so no movie was made{beware}; the ranks' logs are {log}")
    return lines


def reason_missing(job: RenderJob, image: Image, record: Record | None) -> str:
    """Say why an image is not there, empty when it is."""
    if record is None:
        return "no rank reported it"
    if record.get("set_aside"):
        return str(record["reason"])
    where = f"rank {record['rank']} on {record['host']}"
    if record["event"] != "done":
        twice = " (tried twice)" if record.get("attempt", 1) > 1 else ""
        return f"{where}: {record['reason']}{twice}"
    try:
        found = job.place(image).stat().st_size
    except OSError as error:
        return f"{where} wrote it but it is gone ({error.strerror})"
    wrote = int(record["bytes"])
    return "" if found == wrote else f"{where} wrote {wrote} bytes but {found} are there"


def write_manifest(
    job: RenderJob, images: Sequence[Image], records: Mapping[Image, Record], missing: Sequence[str]
) -> None:
    """Write which images make up the result, with their digests."""
    whole = [
        {"frame": image.frame, "size": image.size, "bytes": record["bytes"], "digest": record["digest"]}
        for image, record in sorted(records.items(), key=lambda item: (item[0].size, item[0].frame))
        if record["event"] == "done"
    ]
    manifest = {
        "frames": framesets.text(image.frame for image in images), "sizes": [size.name for size in job.sizes],
        "complete": not missing, "missing": list(missing), "images": whole,
    }  # fmt: skip
    part = job.folder / f".part-{MANIFEST}"
    part.write_text(json.dumps(manifest))
    journal.put_in_place(part, job.folder / MANIFEST)


def wait_for_all(comm: Any) -> None:  # noqa: ANN401
    """Wait until all ranks are here, asleep: MPI's own waiting would take a core from those that still render."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.02)
