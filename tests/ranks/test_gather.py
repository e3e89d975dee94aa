"""Functions that take a communicator, on several real ranks; test_ranks.py runs this file under mpiexec."""

from __future__ import annotations

import os
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

import sample_events
from movies import read_back
from mpirender.errors import EncodeFailed, FramesMissing, Stopped
from mpirender.job.outputs import Image
from mpirender.job.render_job import RenderJob
from mpirender.movie import segment_plan
from mpirender.ranks import gather, movies, resume
from mpirender.run_folder import events, journal
from mpirender.run_folder.journal import Journal
from mpirender.system.files import put_in_place
from mpirender.system.xvfb import private_display

pytestmark = pytest.mark.mpi(min_size=2)


@pytest.fixture
def comm():
    from mpi4py import MPI

    return MPI.COMM_WORLD


@pytest.fixture
def shared(comm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give all ranks the same folder."""
    return Path(comm.bcast(str(tmp_path_factory.mktemp("shared")) if comm.rank == 0 else None, root=0))


def images(count: int) -> list[Image]:
    return [Image(frame, "80x50") for frame in range(count)]


def make(job: RenderJob, log: Journal, frame: int) -> dict:
    place = job.image(job.outputs[0], frame)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".part-{place.name}")
    part.write_bytes(b"picture %d" % frame)
    size = job.outputs[0].name
    done = sample_events.done(0, frame, output=size, fingerprint="f", pixels=(80, 50), **put_in_place(part, place))
    return {Image(frame, size): log.write(done)}


def test_images_of_an_earlier_run_are_checked_and_known_to_every_rank(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",))
    if comm.rank == 0:
        job.folder.mkdir(parents=True)
        with Journal(job.folder, 0, "host") as log:
            for frame in range(7):
                make(job, log, frame)
        job.image(job.outputs[0], 3).write_bytes(b"damaged")
    comm.Barrier()
    records = journal.read(job.folder)
    done = resume.completed(comm, job, images(6), records, "f")
    assert sorted(image.frame for image in done) == [0, 1, 2, 4, 5]
    assert resume.completed(comm, job, images(6), records, "another") == {}


def test_a_gap_is_reported_by_rank_0_and_no_rank_waits_forever(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",), movie="none")
    job.folder.mkdir(parents=True, exist_ok=True)
    comm.Barrier()
    with Journal(job.folder, comm.rank, "host") as log:
        outcomes = make(job, log, comm.rank)
        if comm.rank == 0:
            with pytest.raises(FramesMissing, match=rf"80x50 frames {comm.size}: no rank reported it"):
                gather.finish(comm, log, job, images(comm.size + 1), outcomes)
        else:
            gather.finish(comm, log, job, images(comm.size + 1), outcomes)


def test_a_frame_that_vanished_after_it_was_written_is_missing(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",), movie="none")
    job.folder.mkdir(parents=True, exist_ok=True)
    comm.Barrier()
    with Journal(job.folder, comm.rank, "host") as log:
        outcomes = make(job, log, comm.rank)
        if comm.rank == 1:
            job.image(job.outputs[0], 1).unlink()
        if comm.rank == 0:
            with pytest.raises(FramesMissing, match="frames 1: rank 1 on host wrote it but it is gone"):
                gather.finish(comm, log, job, images(comm.size), outcomes)
        else:
            gather.finish(comm, log, job, images(comm.size), outcomes)


def test_where_a_rank_was_asked_to_stop_a_gap_is_no_failure(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",), movie="none")
    job.folder.mkdir(parents=True, exist_ok=True)
    comm.Barrier()
    stopped = "SIGTERM" if comm.rank == 1 else ""
    with Journal(job.folder, comm.rank, "host") as log:
        outcomes = make(job, log, comm.rank)
        if comm.rank == 0:
            with pytest.raises(Stopped, match=f"stopped on SIGTERM: {comm.size} of {comm.size + 1} images are done"):
                gather.finish(comm, log, job, images(comm.size + 1), outcomes, stopped=stopped)
        else:
            gather.finish(comm, log, job, images(comm.size + 1), outcomes, stopped=stopped)


def with_pictures(comm, shared: Path, **options) -> tuple[RenderJob, range]:
    """Return a job with just enough frames for one movie segment per rank, and write its images."""
    options = {"sizes": ("48x32", "33x33"), **options}
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", **options)
    frames = range(segment_plan.SHORTEST * comm.size)
    if comm.rank == 0:
        job.folder.mkdir(parents=True)
        for size in job.outputs:
            for frame in frames:
                place = job.image(size, frame)
                place.parent.mkdir(exist_ok=True)
                iio.imwrite(place, np.full((size.height, size.width, 3), 2 * (frame % 100), np.uint8))
    comm.Barrier()
    return job, frames


def left_over(job: RenderJob) -> list[str]:
    return [path.name for path in job.output.iterdir() if path.name.startswith(".part-")]


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_every_rank_encodes_a_segment_of_each_movie_and_rank_0_joins_them(comm, shared: Path, kind: str) -> None:
    job, frames = with_pictures(comm, shared, movie=kind)
    with Journal(job.folder, comm.rank, "host") as log:
        movies.make(comm, log, job, frames, {})
    if comm.rank == 0:
        records = journal.read(job.folder)
        for size in job.outputs:
            assert read_back(job.movie_path(size)).frames == len(frames)
            of_size = [record for record in records if getattr(record, "output", "") == size.name]
            encoded = {record.rank: record.images for record in of_size if isinstance(record, events.Segment)}
            assert encoded == dict.fromkeys(range(comm.size), segment_plan.SHORTEST)
            (made,) = [record for record in of_size if isinstance(record, events.Movie)]
            assert (made.rank, made.segments, made.problem) == (0, comm.size, "")
        assert not [record for record in records if isinstance(record, events.Warning)]
        assert not left_over(job)


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_a_damaged_image_in_the_segment_of_another_rank_is_named_by_rank_0(comm, shared: Path, kind: str) -> None:
    job, frames = with_pictures(comm, shared, movie=kind)
    if comm.rank == 1:
        os.truncate(job.image(job.outputs[0], segment_plan.SHORTEST + 3), 50)
    comm.Barrier()
    with Journal(job.folder, comm.rank, "host") as log:
        if comm.rank == 0:
            with pytest.raises(EncodeFailed, match=r"^frame_000053\.png is damaged .*render it again$"):
                movies.make(comm, log, job, frames, {})
            assert [job.movie_path(size).exists() for size in job.outputs] == [False, True]
            assert not left_over(job)
        else:
            movies.make(comm, log, job, frames, {})


def test_an_image_of_another_size_is_named_though_each_segment_is_sound(comm, shared: Path) -> None:
    job, frames = with_pictures(comm, shared, sizes=("48x32",))
    if comm.rank == 1:
        for frame in range(segment_plan.SHORTEST, 2 * segment_plan.SHORTEST):
            iio.imwrite(job.image(job.outputs[0], frame), np.zeros((16, 16, 3), np.uint8))
    comm.Barrier()
    with Journal(job.folder, comm.rank, "host") as log:
        if comm.rank == 0:
            with pytest.raises(EncodeFailed, match=r"^frame_000050\.png is 16x16 rgb24, unlike frame_000000\.png"):
                movies.make(comm, log, job, frames, {})
            assert not left_over(job)
        else:
            movies.make(comm, log, job, frames, {})


def test_short_movies_are_made_whole_each_by_another_rank(comm, shared: Path) -> None:
    job, frames = with_pictures(comm, shared)
    with Journal(job.folder, comm.rank, "host") as log:
        movies.make(comm, log, job, frames[: segment_plan.SHORTEST], {})
    if comm.rank == 0:
        made = [record for record in journal.read(job.folder) if isinstance(record, events.Movie)]
        assert sorted((record.rank, record.segments) for record in made) == [(0, 1), (1, 1)]


def test_the_ranks_of_a_node_share_one_x_server_which_ends_after_them(comm) -> None:
    with private_display(comm):
        displays = comm.allgather(os.environ["DISPLAY"])
        assert len(set(displays)) == 1
        socket = Path(f"/tmp/.X11-unix/X{displays[0][1:]}")
        assert socket.exists()
        comm.Barrier()
    comm.Barrier()
    assert not socket.exists()
