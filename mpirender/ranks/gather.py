"""What follows the last frame: gather, check that every frame is there and whole, make the movies."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpirender.errors import EncodeFailed, FramesMissing, MpirenderError, NoSpace, Stopped, ToolMissing
from mpirender.job import frames as framesets
from mpirender.job.options import CODECS
from mpirender.job.outputs import Image
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.movie.encode import ImageDamaged
from mpirender.movie.segment_plan import Cores, Piece, plan, spread, threads_of
from mpirender.movie.segments import Film
from mpirender.ranks.mpi import wait_for_all
from mpirender.run_folder import events
from mpirender.run_folder.events import Done, ImageOutcome
from mpirender.run_folder.journal import Journal
from mpirender.system import files
from mpirender.system.comm import Comm

MANIFEST = "manifest.json"
FINAL = (NoSpace, ToolMissing, ImageDamaged)  # what one encoder would meet as well


@dataclass(frozen=True)
class Tried:
    """What became of a piece of a movie, and how many seconds it took; ``made`` is a segment, or a whole movie."""

    piece: Piece
    made: Any
    problem: MpirenderError | None
    seconds: float


def assemble(
    comm: Comm,
    log: Journal,
    job: RenderJob,
    images: Sequence[Image],
    outcomes: Mapping[Image, ImageOutcome],
    *,
    stopped: str = "",
) -> None:
    """Gather what every rank made, and if it is complete let the ranks make the movies, one per size.

    Args:
        images: those that the movies consist of.
        outcomes: of the images of this rank; on rank 0 also of what earlier runs completed.
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
        found = latest(part for part, _ in gathered)
        missing = name_missing(job, images, found)
        write_manifest(job, images, found, missing)
    missing = comm.bcast(missing, root=0)
    if missing:
        if comm.rank == 0:
            raise shortfall(images, found, missing, next(filter(None, (signal for _, signal in gathered)), ""))
        return
    if job.movie != "none":
        make_movies(comm, log, job, sorted({image.frame for image in images}))


def latest(parts: Iterable[Mapping[Image, ImageOutcome]]) -> dict[Image, ImageOutcome]:
    """Put what the ranks made together; of an image that was tried twice the second attempt counts."""
    outcomes: dict[Image, ImageOutcome] = {}
    for part in parts:
        for image, outcome in part.items():
            if image not in outcomes or outcome.attempt > outcomes[image].attempt:
                outcomes[image] = outcome
    return outcomes


def shortfall(
    images: Sequence[Image], outcomes: Mapping[Image, ImageOutcome], missing: Sequence[str], stopped: str
) -> MpirenderError:
    """Return the error for a run that is not complete."""
    if not stopped:
        return FramesMissing("\n".join(missing))
    done = sum(isinstance(outcome, Done) for outcome in outcomes.values())
    return Stopped(f"stopped on {stopped}: {done} of {len(images)} images are done; run the same command again")


def make_movies(comm: Comm, log: Journal, job: RenderJob, frames: Sequence[int]) -> None:
    """Make the movies: every rank encodes a segment of each, rank 0 joins them; a short one is made by one rank.

    Raises:
        EncodeFailed: on rank 0, naming each movie.
        NoSpace: on rank 0, the disk is full.
    """
    log.write(events.Phase("encode"))
    started = time.perf_counter()
    codec, transparent = CODECS[job.movie][0], job.transparent_background
    cores = comm.allgather(Cores.here())
    pieces = plan([output.name for output in job.outputs], len(frames), spread(cores), codec, transparent=transparent)
    threads = threads_of(cores, pieces).get(comm.rank, len(cores[comm.rank].allowed))
    films = {
        output.name: Film(
            [job.image(output, frame) for frame in frames],
            job.movie_path(output),
            job.rate,
            threads,
            codec,
            transparent,
        )
        for output in job.outputs
    }
    without = share_palettes(comm, films, pieces)
    mine = [piece for piece in pieces if piece.rank == comm.rank]
    tried = encode_pieces(log, films, [piece for piece in mine if piece.size not in without])
    wait_for_all(comm)
    gathered = comm.gather(tried, root=0)
    problems = []
    if comm.rank == 0:
        alone = {size: replace(film, threads=len(cores[0].allowed)) for size, film in films.items()}
        problems = finish(log, alone, [*without.values(), *(one for part in gathered for one in part)], started)
    wait_for_all(comm)
    if problems:
        raise next((one for one in problems if isinstance(one, NoSpace)), EncodeFailed("\n".join(map(str, problems))))


def share_palettes(comm: Comm, films: Mapping[str, Film], pieces: Sequence[Piece]) -> dict[str, Tried]:
    """Find one palette for all segments of each movie that needs one; return what went wrong, by size."""
    firsts = [piece for piece in pieces if piece.of > 1 and piece.number == 0 and films[piece.size].needs_palette]
    if not firsts:
        return {}
    tried = [attempt(piece, films[piece.size].find_palette) for piece in firsts if piece.rank == comm.rank]
    wait_for_all(comm)
    return {one.piece.size: one for part in comm.allgather(tried) for one in part if one.problem}


def encode_pieces(log: Journal, films: Mapping[str, Film], pieces: Sequence[Piece]) -> list[Tried]:
    """Encode what this rank has to, segments and whole movies, and record it."""
    tried = []
    for piece in pieces:
        film = films[piece.size]
        one = attempt(piece, film.encode, piece) if piece.of > 1 else attempt(piece, film.make)
        problem = str(one.problem or "")
        if piece.of > 1:
            images = piece.stop - piece.start
            log.write(events.Segment(piece.size, piece.number, piece.of, images, film.threads, problem, one.seconds))
        else:
            log.write(events.Movie(piece.size, problem, one.seconds, segments=1))
        tried.append(one)
    return tried


def finish(log: Journal, films: Mapping[str, Film], tried: Sequence[Tried], started: float) -> list[MpirenderError]:
    """Join the segments of each movie; return why movies were not made."""
    problems = []
    for size, film in films.items():
        parts = sorted((one for one in tried if one.piece.size == size), key=lambda one: one.piece.number)
        found = [one.problem for one in parts if one.problem]
        problem = next((one for one in found if isinstance(one, FINAL)), found[0] if found else None)
        of = parts[0].piece.of
        if of > 1:
            joined, problem = join_or_encode(log, film, parts, problem)
            film.clear(of)
            seconds = time.perf_counter() - started
            log.write(events.Movie(size, str(problem or ""), seconds, segments=of if joined else 1))
        problems += [problem] if problem else []
    return problems


def join_or_encode(
    log: Journal, film: Film, parts: Sequence[Tried], problem: MpirenderError | None
) -> tuple[bool, MpirenderError | None]:
    """Make a movie of its segments; return whether that is how it was made, and what went wrong.

    Segments are never the reason that there is no movie: where they could not be made or joined, one encoder makes it.
    """
    first, whole = parts[0].piece, problem is None
    if whole:
        problem = attempt(first, film.join, [one.made for one in parts]).problem
    if problem is None or (isinstance(problem, FINAL) and not whole):
        return True, problem
    log.write(events.Warning(f"{problem}; one encoder makes the movie instead"))
    film.clear(first.of)  # the disk may have no room for both
    return False, attempt(first, film.make).problem


def attempt(piece: Piece, work: Callable[..., Any], *arguments: object) -> Tried:
    """Do something for a piece of a movie; return what came of it."""
    started = time.perf_counter()
    made, problem = None, None
    try:
        made = work(*arguments)
    except MpirenderError as error:
        problem = error
    return Tried(piece, made, problem, time.perf_counter() - started)


def name_missing(job: RenderJob, images: Sequence[Image], outcomes: Mapping[Image, ImageOutcome]) -> list[str]:
    """Name what is missing, a line for each reason: size, frames, rank, host and reason; empty when all is there."""
    reasons: dict[tuple[str, str], list[int]] = defaultdict(list)
    for image in images:
        reason = reason_missing(job, image, outcomes.get(image))
        if reason:
            reasons[image.output, reason].append(image.frame)
    if not reasons:
        return []
    lines = [f"{size} frames {framesets.text(missing)}: {reason}" for (size, reason), missing in reasons.items()]
    count = sum(map(len, reasons.values()))
    older = [path.name for path in map(job.movie_path, job.outputs) if path.exists()]
    beware = f" ({', '.join(older)} is of an earlier run)" if older else ""
    log = f"{job.output}/{FOLDER}/rank-*.log"
    lines.append(f"{count} of {len(images)} images missing, so no movie was made{beware}; the ranks' logs are {log}")
    return lines


def reason_missing(job: RenderJob, image: Image, outcome: ImageOutcome | None) -> str:
    """Say why an image is not there, empty when it is."""
    if outcome is None:
        return "no rank reported it"
    where = f"rank {outcome.rank} on {outcome.host}"
    if isinstance(outcome, events.Fail):
        twice = " (tried twice)" if outcome.attempt > 1 else ""
        return outcome.reason if outcome.set_aside else f"{where}: {outcome.reason}{twice}"
    try:
        found = job.place(image).stat().st_size
    except OSError as error:
        return f"{where} wrote it but it is gone ({error.strerror})"
    return "" if found == outcome.bytes else f"{where} wrote {outcome.bytes} bytes but {found} are there"


def write_manifest(
    job: RenderJob, images: Sequence[Image], outcomes: Mapping[Image, ImageOutcome], missing: Sequence[str]
) -> None:
    """Write which images make up the result, with their digests."""
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
