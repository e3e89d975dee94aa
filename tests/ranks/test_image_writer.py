"""The helper process that writes a rank's images."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from disks import disk
from images import pixels
from mpirender.errors import out_of_space
from mpirender.ranks.image_writer import SLOTS, ImageWriter, WriterDied
from mpirender.run_folder import journal

SHAPE = (90, 160, 3)


@pytest.fixture
def writer() -> Iterator[ImageWriter]:
    writer = ImageWriter()
    writer.reserve(160 * 90 * 4)
    yield writer
    writer.close()


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)


def order(folder: Path, name: int, threads: int = 1) -> dict[str, object]:
    return {"part": str(folder / f".part-{name}"), "place": str(folder / f"{name}.png"), "level": 1, "threads": threads}


@pytest.mark.parametrize("threads", [1, 3])
def test_images_are_written_unchanged_however_many_there_are(writer: ImageWriter, tmp_path: Path, threads: int) -> None:
    results = {}
    for number in range(3 * SLOTS):
        shown = picture(number)
        writer.put(number, shown, order(tmp_path, number, threads))
        shown[:] = 0  # ParaView reuses the memory
        results.update(writer.results())
    results.update(writer.results(None))
    assert sorted(results) == list(range(3 * SLOTS))
    for number, facts in results.items():
        assert np.array_equal(pixels(tmp_path / f"{number}.png"), picture(number))
        assert journal.whole(tmp_path / f"{number}.png", facts["bytes"], facts["digest"])
    assert not list(tmp_path.glob(".part-*"))


def test_an_image_is_written_while_the_rank_does_something_else(writer: ImageWriter, tmp_path: Path) -> None:
    writer.put(0, picture(0), order(tmp_path, 0))
    end = time.monotonic() + 20
    while not (tmp_path / "0.png").exists():
        assert time.monotonic() < end
    assert [ticket for ticket, _ in writer.results(None)] == [0]


def test_an_image_that_cannot_be_written_is_reported_and_the_next_one_is_written(
    writer: ImageWriter, tmp_path: Path
) -> None:
    writer.put(0, picture(0), order(tmp_path / "nowhere", 0))
    writer.put(1, picture(1), order(tmp_path, 1))
    results = dict(writer.results(None))
    assert "No such file" in results[0]["error"]
    assert np.array_equal(pixels(tmp_path / "1.png"), picture(1))


def test_a_full_disk_is_reported_and_no_incomplete_file_stays(writer: ImageWriter, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=20k") as small:
        writer.put(0, picture(0), order(small, 0))
        facts = dict(writer.results(None))[0]
        assert out_of_space(OSError(facts["errno"], ""))
        assert not list(small.iterdir())


def test_the_death_of_the_process_is_noticed(writer: ImageWriter, tmp_path: Path) -> None:
    writer.put(0, picture(0), order(tmp_path, 0))
    writer.results(None)
    child = int(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1])
    os.kill(child, signal.SIGKILL)
    with pytest.raises(WriterDied, match="SIGKILL"):
        for number in range(1, 3 * SLOTS):
            writer.put(number, picture(number), order(tmp_path, number))
            writer.results(None)


def test_it_ends_with_its_rank_and_holds_none_of_its_files(tmp_path: Path) -> None:
    """Otherwise a launcher that reads a dead rank's pipes to their end would wait forever."""
    ours, theirs = os.pipe()
    rank = os.fork()
    if not rank:
        ImageWriter()
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(theirs)
    os.waitpid(rank, 0)
    assert os.read(ours, 1) == b""
    os.close(ours)
