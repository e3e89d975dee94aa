"""The threads that write the images of a rank."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from disks import disk
from images import pixels
from mpirender.errors import out_of_space
from mpirender.ranks import png
from mpirender.ranks.image_writer import AT_ONCE, Facts, ImageWriter
from mpirender.run_folder import journal

SHAPE = (90, 160, 3)


@pytest.fixture(params=[1, 3])
def writer(request: pytest.FixtureRequest) -> Iterator[ImageWriter]:
    writer = ImageWriter(compression_level=1, threads=request.param)
    yield writer
    writer.close()


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)


def put(writer: ImageWriter, folder: Path, name: int) -> Future[Facts]:
    return writer.put(picture(name), folder / f".part-{name}", folder / f"{name}.png")


def test_images_are_written_unchanged_however_many_there_are(writer: ImageWriter, tmp_path: Path) -> None:
    written = {number: put(writer, tmp_path, number).result() for number in range(9)}
    for number, facts in written.items():
        assert np.array_equal(pixels(tmp_path / f"{number}.png"), picture(number))
        assert journal.whole(tmp_path / f"{number}.png", facts["bytes"], facts["digest"])
        assert facts["written"] > 0
    assert not list(tmp_path.glob(".part-*"))


def test_an_image_that_the_engine_has_written_is_put_in_its_place(writer: ImageWriter, tmp_path: Path) -> None:
    (tmp_path / ".part").write_bytes(b"a jpg")
    facts = writer.put(None, tmp_path / ".part", tmp_path / "0.jpg").result()
    assert (tmp_path / "0.jpg").read_bytes() == b"a jpg"
    assert journal.whole(tmp_path / "0.jpg", facts["bytes"], facts["digest"])


def test_images_are_written_while_the_rank_does_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as may be at once meet while they are written, and then wait until this thread lets them go on."""
    meeting, go_on, write = threading.Barrier(AT_ONCE + 1, timeout=10), threading.Event(), png.write

    def wait_and_write(*arguments: object) -> None:
        meeting.wait()
        go_on.wait(10)
        write(*arguments)

    monkeypatch.setattr(png, "write", wait_and_write)
    writer = ImageWriter(compression_level=1, threads=1)
    written = [put(writer, tmp_path, number) for number in range(AT_ONCE)]
    meeting.wait()
    assert not any(future.done() for future in written)
    go_on.set()
    assert all(future.result()["bytes"] for future in written)
    writer.close()


def test_an_image_that_cannot_be_written_is_reported_and_the_next_one_is_written(
    writer: ImageWriter, tmp_path: Path
) -> None:
    lost = writer.put(picture(0), tmp_path / "nowhere" / ".part", tmp_path / "nowhere" / "0.png")
    put(writer, tmp_path, 1).result()
    assert isinstance(lost.exception(), FileNotFoundError)
    assert np.array_equal(pixels(tmp_path / "1.png"), picture(1))


def test_a_full_disk_is_reported_and_no_incomplete_file_stays(writer: ImageWriter, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=20k") as small:
        error = put(writer, small, 0).exception()
        assert isinstance(error, OSError)
        assert out_of_space(error)
        assert not list(small.iterdir())
