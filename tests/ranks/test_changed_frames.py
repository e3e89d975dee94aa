"""Frames whose files are exchanged during a run make no movie: they are named and rendered again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from images import pixels
from movies import decoded, exchanging_ffmpeg
from processes import Pattern, Run
from records import records
from runs import started

# Without compression all frames have the same size.
OPTIONS = ("--size", "160x90", "--compression-level", "0", "--movie", "mkv")
CHANGED = "frame_000003.png has changed since it was rendered"


def frame(tmp_path: Path, number: int) -> Path:
    return tmp_path / "test_renders" / "160x90" / f"frame_{number:06d}.png"


def assert_movie_shows_each_frame(tmp_path: Path) -> None:
    frames = [pixels(frame(tmp_path, number)).astype(int) for number in range(6)]
    assert all((one != other).any() for one, other in zip(frames, frames[1:]))
    assert np.array_equal(decoded(tmp_path / "test_renders" / "test_160x90.mkv"), frames)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_frame_exchanged_after_the_gather_is_rendered_again_before_the_movie_is_made(
    run: Run, pattern: Pattern, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranks: int
) -> None:
    program = exchanging_ffmpeg(tmp_path, frame(tmp_path, 0), frame(tmp_path, 3))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    done = run("render", pattern(), *OPTIONS, "--ranks", ranks)
    assert done.returncode == 0, done.stderr
    assert f"warning: {CHANGED}; starting again" in done.stdout
    assert [record.image.frame for record in records(tmp_path / "test_renders", "take")].count(3) == 2
    assert len(records(tmp_path / "test_renders", "take")) == 7
    assert_movie_shows_each_frame(tmp_path)


@pytest.mark.parametrize("movie", ["mkv", "none"])
def test_a_frame_exchanged_after_it_was_recorded_is_rendered_again(
    pattern: Pattern, tmp_path: Path, movie: str
) -> None:
    scene = pattern('{"frames": 6, "seconds": [0, 0, 0, 0, 3, 3]}')
    with started(scene, *OPTIONS, "--movie", movie, frames=4) as process:
        frame(tmp_path, 3).write_bytes(frame(tmp_path, 0).read_bytes())
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "warning: " in output
    assert "starting again" in output
    assert frame(tmp_path, 3).read_bytes() != frame(tmp_path, 0).read_bytes()
    if movie == "mkv":
        assert_movie_shows_each_frame(tmp_path)


def test_without_restarts_the_frame_is_named_and_the_same_command_renders_it_again(
    run: Run, pattern: Pattern, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = exchanging_ffmpeg(tmp_path, frame(tmp_path, 0), frame(tmp_path, 3))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    done = run("render", pattern(), *OPTIONS, "--max-restarts", 0)
    assert done.returncode == 4
    assert f"{CHANGED}; run the same command again, which renders what has changed" in done.stderr
    assert not list((tmp_path / "test_renders").glob("*.mkv"))
    again = run("render", pattern(), *OPTIONS, "--max-restarts", 0)
    assert "1 rendered, 5 kept from before" in again.stdout
    assert_movie_shows_each_frame(tmp_path)
