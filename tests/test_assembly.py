"""What takes a communicator, on several real ranks: run by test_rank.py under mpiexec with pytest-mpi."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mpirender import assembly, journal, resume
from mpirender.display import private_display
from mpirender.errors import FramesMissing, Stopped
from mpirender.job import Image, RenderJob
from mpirender.journal import Journal, put_in_place

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
    place = job.image(job.sizes[0], frame)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".part-{place.name}")
    part.write_bytes(b"picture %d" % frame)
    size = job.sizes[0].name
    return {Image(frame, size): log.write("done", frame=frame, size=size, fingerprint="f", **put_in_place(part, place))}


def test_images_of_an_earlier_run_are_checked_and_known_to_every_rank(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",))
    if comm.rank == 0:
        job.folder.mkdir(parents=True)
        with Journal(job.folder, 0, "host") as log:
            for frame in range(7):
                make(job, log, frame)
        job.image(job.sizes[0], 3).write_bytes(b"damaged")
    comm.Barrier()
    records = journal.read(job.folder)
    done = resume.completed(comm, job, images(6), records, "f")
    assert sorted(image.frame for image in done) == [0, 1, 2, 4, 5]
    assert resume.completed(comm, job, images(6), records, "another") == {}


def test_a_gap_is_told_by_rank_0_and_no_rank_waits_for_ever(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",), movie="none")
    job.folder.mkdir(parents=True, exist_ok=True)
    comm.Barrier()
    with Journal(job.folder, comm.rank, "host") as log:
        outcomes = make(job, log, comm.rank)
        if comm.rank == 0:
            with pytest.raises(FramesMissing, match=rf"80x50 frames {comm.size}: no rank reported it"):
                assembly.assemble(comm, log, job, images(comm.size + 1), outcomes)
        else:
            assembly.assemble(comm, log, job, images(comm.size + 1), outcomes)


def test_a_frame_that_vanished_after_it_was_written_is_missing(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",), movie="none")
    job.folder.mkdir(parents=True, exist_ok=True)
    comm.Barrier()
    with Journal(job.folder, comm.rank, "host") as log:
        outcomes = make(job, log, comm.rank)
        if comm.rank == 1:
            job.image(job.sizes[0], 1).unlink()
        if comm.rank == 0:
            with pytest.raises(FramesMissing, match="frames 1: rank 1 on host wrote it but it is gone"):
                assembly.assemble(comm, log, job, images(comm.size), outcomes)
        else:
            assembly.assemble(comm, log, job, images(comm.size), outcomes)


def test_where_a_rank_was_asked_to_stop_a_gap_is_no_failure(comm, shared: Path) -> None:
    job = RenderJob(scene=shared / "x.pattern", output=shared / "out", sizes=("80x50",), movie="none")
    job.folder.mkdir(parents=True, exist_ok=True)
    comm.Barrier()
    stopped = "SIGTERM" if comm.rank == 1 else ""
    with Journal(job.folder, comm.rank, "host") as log:
        outcomes = make(job, log, comm.rank)
        if comm.rank == 0:
            with pytest.raises(Stopped, match=f"stopped on SIGTERM: {comm.size} of {comm.size + 1} images are done"):
                assembly.assemble(comm, log, job, images(comm.size + 1), outcomes, stopped=stopped)
        else:
            assembly.assemble(comm, log, job, images(comm.size + 1), outcomes, stopped=stopped)


def test_the_ranks_of_a_node_share_one_x_server_which_ends_after_them(comm) -> None:
    with private_display(comm):
        displays = comm.allgather(os.environ["DISPLAY"])
        assert len(set(displays)) == 1
        socket = Path(f"/tmp/.X11-unix/X{displays[0][1:]}")
        assert socket.exists()
        comm.Barrier()
    comm.Barrier()
    assert not socket.exists()
