"""Fill the disk while rendering and encoding."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disks import disk
from processes import Pattern, Run
from records import done_frames
from runs import SMALL
from waiting import wait_for


def half_written(output: Path) -> list[Path]:
    return [path for path in output.rglob("*") if path.name.startswith(".part-")]


@pytest.mark.slow
@pytest.mark.parametrize("image_format", ["png", "tiff"])
def test_a_disk_that_is_full_at_a_frame_is_reported_in_one_line_and_what_fits_stays(
    run: Run, pattern: Pattern, tmp_path: Path, image_format: str
) -> None:
    options = ("--size", "4K", "--compression-level", 0, "--ranks", 2, "--image-format", image_format)
    with disk(tmp_path / "small", "size=90m") as output:
        scene = pattern('{"frames": 8}')
        done = run("render", scene, *options, "--output", output)
        assert done.returncode == 4
        assert done.stderr == (
            f"mpirender: error: {output}: no space left on the disk, or in your quota; "
            "make room and run the same command again\n"
        )
        assert half_written(output) == []
        kept = done_frames(output)
        assert 1 <= len(kept) <= 3
        subprocess.run(["mount", "-o", "remount,size=400m", str(output)], check=True)
        again = run("render", scene, *options, "--output", output)
        assert f"{8 - len(kept)} rendered, {len(kept)} kept from before" in again.stdout, again.stderr


@pytest.mark.slow
def test_a_disk_that_is_full_at_the_journal_is_reported_in_one_line(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    """The images are on another disk, so that only journals and logs fill this one."""
    with disk(tmp_path / "small", "size=21m") as output:
        (tmp_path / "big").mkdir()
        (output / "160x90").symlink_to(tmp_path / "big")
        scene = pattern('{"frames": 4000}')
        with started_there(scene, output) as process:
            wait_for(lambda: len(done_frames(output)) >= 3)
            fill(output / "filler")
            _, err = process.communicate(timeout=60)
        assert process.returncode == 4
        assert err.count("\n") == 1
        assert "no space left on the disk" in err
        (output / "filler").unlink()
        assert run("render", scene, *SMALL, "--output", output, "--frames", "0-50").returncode == 0


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError, match="No space"):
        while True:
            os.write(file, b"\0" * 4096)
    os.close(file)


@contextmanager
def started_there(scene: Path, output: Path) -> Iterator[subprocess.Popen[str]]:
    words = ["render", str(scene), *map(str, SMALL), "--output", str(output), "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-m", "mpirender", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_disk_that_is_full_at_the_movie_is_reported_in_one_line_and_the_frames_stay(
    run: Run, pattern: Pattern, tmp_path: Path
) -> None:
    with disk(tmp_path / "small", "size=34m") as output:
        options = ("--size", "HD", "--compression-level", 0, "--ranks", 1, "--output", output, "--movie", "mkv")
        scene = pattern('{"frames": 4}')
        done = run("render", scene, *options)
        assert done.returncode == 4, done.stdout + done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "pace left on" in done.stderr
        assert done_frames(output) == [0, 1, 2, 3]
        assert [path.name for path in output.glob("*.mkv")] == []
        assert half_written(output) == []


@pytest.mark.slow
def test_a_disk_that_will_be_too_small_is_warned_of_early(run: Run, pattern: Pattern, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=60m") as output:
        options = ("--size", "720p", "--compression-level", 0, "--output", output)
        done = run("render", pattern('{"frames": 40}'), "--ranks", 1, *options)
        warning = re.search(r"warning: the disk will be full before the end: about (\d+) MB more", done.stdout)
        assert 90 < int(warning[1]) < 120
        assert done.returncode == 4
