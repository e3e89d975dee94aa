"""Make the movies on all ranks: plan the segments, encode them in parallel, join them on rank 0."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from mpirender.errors import EncodeFailed, FramesChanged, MpirenderError, NoSpace, ToolMissing
from mpirender.job.origin import Source
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.movie.image_stream import ImageChanged, ImageDamaged
from mpirender.movie.segment_plan import Cores, Segment, plan, rank_order, threads_of
from mpirender.movie.segments import SegmentedMovie
from mpirender.ranks.mpi import wait_for_all
from mpirender.run_folder import events
from mpirender.run_folder.journal import Journal
from mpirender.system.comm import Comm

NO_SOURCES: Mapping[str, Source] = {}
FATAL = (NoSpace, ToolMissing, ImageDamaged)  # errors that a single encoder would meet as well


@dataclass(frozen=True)
class SegmentResult:
    """The result of a segment, or of a whole movie: ``made`` is its description, ``seconds`` the time it took."""

    segment: Segment
    made: Any
    problem: MpirenderError | None
    seconds: float


def make(
    comm: Comm, log: Journal, job: RenderJob, frames: Sequence[int], digests: Mapping[Image, str], *,
    sources: Mapping[str, Source] = NO_SOURCES,
) -> None:  # fmt: skip
    """Make the movies: every rank encodes a segment of each and rank 0 joins them; one rank encodes a short movie.

    :param digests: those of the images as they were recorded; a file with another one is not encoded.
    :param sources: what the movies are to say about their origin, by output.
    :raises EncodeFailed: on rank 0, with each movie that was not made; NoSpace if the disk is full.
    :raises FramesChanged: on rank 0, with the images that are not those that were recorded.
    """
    log.write(events.Phase("encode"))
    started = time.perf_counter()
    codec, transparent = job.movie_codec, job.transparent_background
    cores = comm.allgather(Cores.here())
    names = [output.name for output in job.outputs]
    segments = plan(names, len(frames), rank_order(cores), codec, transparent=transparent)
    threads = threads_of(cores, segments).get(comm.rank, len(cores[comm.rank].allowed))
    movies, made = {}, partial(log.record_made, job.output)
    # By rank 0 alone: to write a frame set, it imports a library with many files.
    origins = {name: source.movie(frames) for name, source in sources.items()} if comm.rank == 0 else {}
    writer, origins = comm.bcast((os.getpid(), origins), root=0)
    for output in job.outputs:
        images = [job.image(output, frame) for frame in frames]
        recorded = {job.place(image): one for image, one in digests.items() if image.output == output.name}
        movies[output.name] = SegmentedMovie(
            images, job.movie_path(output), job.rate, threads, codec, transparent, job.pixel_format, recorded,
            origins.get(output.name), made, writer,
        )  # fmt: skip
    without_palette = make_palettes(comm, movies, segments)
    mine = [segment for segment in segments if segment.rank == comm.rank and segment.output not in without_palette]
    encoded = encode_segments(log, movies, mine)
    wait_for_all(comm)
    gathered = comm.gather(encoded, root=0)
    problems = []
    if comm.rank == 0:
        results = [*without_palette.values(), *chain.from_iterable(gathered)]
        on_all_cores = {name: replace(movie, threads=len(cores[0].allowed)) for name, movie in movies.items()}
        problems = join_all(log, on_all_cores, results, started)
    wait_for_all(comm)
    if problems:
        raise error_of(problems)


def error_of(problems: Sequence[MpirenderError]) -> MpirenderError:
    """Return the error for the movies that were not made."""
    if full := [one for one in problems if isinstance(one, NoSpace)]:
        return full[0]
    if changed := [str(one) for one in problems if isinstance(one, ImageChanged)]:
        return FramesChanged("\n".join(changed))
    return EncodeFailed("\n".join(map(str, problems)))


def make_palettes(
    comm: Comm, movies: Mapping[str, SegmentedMovie], segments: Sequence[Segment]
) -> dict[str, SegmentResult]:
    """Compute the palette of each movie that needs one; return the failures, by output."""
    firsts = [segment for segment in segments if segment.count > 1 and segment.number == 0]
    firsts = [segment for segment in firsts if movies[segment.output].needs_palette]
    if not firsts:
        return {}
    results = [attempt(one, movies[one.output].make_palette) for one in firsts if one.rank == comm.rank]
    wait_for_all(comm)
    return {one.segment.output: one for one in chain.from_iterable(comm.allgather(results)) if one.problem}


def encode_segments(
    log: Journal, movies: Mapping[str, SegmentedMovie], segments: Sequence[Segment]
) -> list[SegmentResult]:
    """Encode the segments and whole movies of this rank and record them."""
    results = []
    for segment in segments:
        movie, several = movies[segment.output], segment.count > 1
        result = attempt(segment, movie.encode, segment) if several else attempt(segment, movie.make)
        name, problem, seconds = segment.output, str(result.problem or ""), result.seconds
        if several:
            place, images = (segment.number, segment.count), segment.stop - segment.start
            log.write(events.Segment(name, *place, images, movie.threads, problem, seconds))
        else:
            log.write(events.Movie(name, problem, seconds, segments=1))
        results.append(result)
    return results


def join_all(
    log: Journal, movies: Mapping[str, SegmentedMovie], results: Sequence[SegmentResult], started: float
) -> list[MpirenderError]:
    """Join the segments of each movie; return the problems of those that were not made."""
    problems = []
    for name, movie in movies.items():
        parts = sorted((one for one in results if one.segment.output == name), key=lambda one: one.segment.number)
        found = [one.problem for one in parts if one.problem]
        problem = next((one for one in found if isinstance(one, FATAL)), found[0] if found else None)
        count = parts[0].segment.count
        if count > 1:
            joined, problem = join_or_encode(log, movie, parts, problem)
            movie.clear(count)
            seconds = time.perf_counter() - started
            log.write(events.Movie(name, str(problem or ""), seconds, segments=count if joined else 1))
        problems += [problem] if problem else []
    return problems


def join_or_encode(
    log: Journal, movie: SegmentedMovie, parts: Sequence[SegmentResult], problem: MpirenderError | None
) -> tuple[bool, MpirenderError | None]:
    """Join the segments of a movie; return whether they were joined, and the problem if there is no movie.

    If the segments could not be encoded or joined, one encoder makes the movie instead.
    """
    first, complete = parts[0].segment, problem is None
    if complete:
        problem = attempt(first, movie.join, [one.made for one in parts]).problem
    if problem is None or (isinstance(problem, FATAL) and not complete):
        return True, problem
    log.write(events.Warning(f"{problem}; one encoder makes the movie instead"))
    movie.clear(first.count)  # the disk may have no room for both
    return False, attempt(first, movie.make).problem


def attempt(segment: Segment, work: Callable[..., Any], *arguments: object) -> SegmentResult:
    """Call a function for a segment; return its result or error, and the time it took."""
    started = time.perf_counter()
    made, problem = None, None
    try:
        made = work(*arguments)
    except MpirenderError as error:
        problem = error
    return SegmentResult(segment, made, problem, time.perf_counter() - started)
