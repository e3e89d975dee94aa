"""What follows the last frame: gather, check that every frame is there and whole, make the movies."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mpirender import frames as framesets
from mpirender import journal, movie
from mpirender.errors import EncodeFailed, FramesMissing, MpirenderError
from mpirender.job import FOLDER, RenderJob, Size
from mpirender.journal import Image, Journal, Record

MANIFEST = "manifest.json"


def assemble(
    comm: Any,  # noqa: ANN401 - an mpi4py communicator; mpi4py may be missing
    log: Journal,
    job: RenderJob,
    frames: Sequence[int],
    outcomes: Mapping[Image, Record],
) -> None:
    """Gather what every rank made, and if it is complete let the ranks make the movies, one per size.

    Args:
        outcomes: the records of what this rank made; on rank 0 also of what earlier runs completed.

    Raises:
        FramesMissing: on rank 0, naming each frame with rank, host and reason.
        EncodeFailed: on rank 0, naming each movie.
    """
    wait_for_all(comm)
    gathered = comm.gather(outcomes, root=0)
    missing = ""
    if comm.rank == 0:
        records = {image: record for part in gathered for image, record in part.items()}
        missing = name_missing(job, frames, records)
        write_manifest(job, frames, records, missing)
    missing = comm.bcast(missing, root=0)
    if missing:
        if comm.rank == 0:
            raise FramesMissing(missing)
        return
    if job.movie != "none":
        make_movies(comm, log, job, frames)


def make_movies(comm: Any, log: Journal, job: RenderJob, frames: Sequence[int]) -> None:  # noqa: ANN401
    """Encode the movies, those of different sizes on different ranks."""
    log.write("phase", phase="encode")
    results = []
    for size in job.sizes[comm.rank :: comm.size]:
        started = time.perf_counter()
        problem = encode(job, size, frames)
        results.append(problem)
        log.write("movie", size=size.name, problem=problem, seconds=time.perf_counter() - started)
    wait_for_all(comm)
    problems = [problem for part in comm.allgather(results) for problem in part if problem]
    if problems and comm.rank == 0:
        raise EncodeFailed("\n".join(problems))


def encode(job: RenderJob, size: Size, frames: Sequence[int]) -> str:
    """Make the movie of one size; return what went wrong, empty when nothing did."""
    images = [job.image(size, frame) for frame in frames]
    try:
        movie.encode(images, job.movie_path(size), rate=job.rate, transparent=job.transparent_background)
    except MpirenderError as error:
        return str(error)
    return ""


def name_missing(job: RenderJob, frames: Sequence[int], records: Mapping[Image, Record]) -> str:
    """Name what is missing, a line for each reason: size, frames, rank, host and reason; empty when all is there."""
    reasons: dict[tuple[str, str], list[int]] = defaultdict(list)
    for size in job.sizes:
        for frame in frames:
            reason = reason_missing(job, size, frame, records.get(Image(frame, size.name)))
            if reason:
                reasons[size.name, reason].append(frame)
    if not reasons:
        return ""
    log = f"{job.output}/{FOLDER}/rank-*.log"
    lines = [f"{size} frames {framesets.text(missing)}: {reason}" for (size, reason), missing in reasons.items()]
    count = sum(map(len, reasons.values()))
    total = len(frames) * len(job.sizes)
    older = [path.name for path in map(job.movie_path, job.sizes) if path.exists()]
    beware = f" ({', '.join(older)} is of an earlier run)" if older else ""
    lines.append(f"{count} of {total} images missing, so no movie was made{beware}; the ranks' logs are {log}")
    return "\n".join(lines)


def reason_missing(job: RenderJob, size: Size, frame: int, record: Record | None) -> str:
    """Say why an image is not there, empty when it is."""
    if record is None:
        return "no rank reported it"
    where = f"rank {record['rank']} on {record['host']}"
    if record["event"] != "done":
        return f"{where}: {record['reason']}"
    try:
        found = job.image(size, frame).stat().st_size
    except OSError as error:
        return f"{where} wrote it but it is gone ({error.strerror})"
    return "" if found == record["bytes"] else f"{where} wrote {record['bytes']} bytes but {found} are there"


def write_manifest(job: RenderJob, frames: Sequence[int], records: Mapping[Image, Record], missing: str) -> None:
    """Write which images make up the result, with their digests."""
    images = [
        {"frame": image.frame, "size": image.size, "bytes": record["bytes"], "digest": record["digest"]}
        for image, record in sorted(records.items(), key=lambda item: (item[0].size, item[0].frame))
        if record["event"] == "done"
    ]
    manifest = {
        "frames": framesets.text(frames), "sizes": [size.name for size in job.sizes], "complete": not missing,
        "missing": missing.splitlines(), "images": images,
    }  # fmt: skip
    part = job.folder / f".part-{MANIFEST}"
    part.write_text(json.dumps(manifest))
    journal.put_in_place(part, job.folder / MANIFEST)


def wait_for_all(comm: Any) -> None:  # noqa: ANN401
    """Wait until all ranks are here, asleep: MPI's own waiting would take a core from those that still render."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.02)
