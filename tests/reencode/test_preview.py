"""Make previews of runs that still render, with the real mpiexec and ffmpeg."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from movies import SRGB, color_tags, decoded, read_back
from mpirender.run_folder import lock
from processes import Run
from records import done_frames, records
from runs import heed_ctrl_c, running, started
from waiting import wait_for

NAME = "160x90"


def journals(output: Path) -> dict[str, bytes]:
    """Return the journals of the run, and its lock."""
    found = [*output.glob(".mpirender/r*.jsonl"), output / ".mpirender" / "lock"]
    return {path.name: path.read_bytes() for path in found}


@contextmanager
def held_elsewhere(output: Path) -> Iterator[None]:
    """Let the run of a folder seem to go on, on another machine of which only the shared folder is seen."""
    owner = replace(lock.Owner.this_process("a run"), host="node7", space="another boot pid:[1]", job="17")
    place = output / ".mpirender" / "lock"
    place.write_text(json.dumps(asdict(owner)))
    yield
    place.unlink()


def test_a_preview_shows_what_is_done_and_holds_the_frame_before_a_gap(run: Run, pattern) -> None:
    scene = pattern('{"frames": 12, "hang": [5]}')
    output = scene.parent / "test_renders"
    evens = [0, 2, 4, 6, 8, 10]
    with started(scene, "--schedule", "interleaved", frames=6) as process:
        wait_for(lambda: set(evens) <= set(done_frames(output)))
        wait_for(lambda: any(one.image.frame == 5 for one in records(output, "take")))
        done = sorted(done_frames(output))  # rank 1 may have rendered more than it has recorded
        before = journals(output)
        made = run("encode", output, "--movie", "mkv", "--codec", "ffv1")
        assert made.returncode == 0, made.stderr
        assert process.poll() is None
        after = journals(output)
        assert all(after[name].startswith(content) for name, content in before.items())
        assert b'"made"' not in b"".join(after.values())
    preview = output / f"test_{NAME}_preview.mkv"
    assert (
        f"preview  {preview} ({len(done)} of 12 frames, the last is 10; 0.4 s at 25 a second, 160x90, " in made.stdout
    )
    shown = [max(one for one in done if one <= frame) for frame in range(11)]
    images = [iio.imread(output / NAME / f"frame_{frame:06d}.png") for frame in shown]
    assert np.array_equal(decoded(preview), np.stack(images))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render four large frames, once for all tests."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "t.pattern").write_text('{"frames": 4}')
    command = [sys.executable, "-m", "mpirender", "render", "t.pattern", "--size", "HD", "--quiet", "--ranks", "2"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "t_renders"


@pytest.fixture
def output(rendered: Path, tmp_path: Path) -> Path:
    shutil.copy(rendered.parent / "t.pattern", tmp_path)
    return Path(shutil.copytree(rendered, tmp_path / "t_renders"))


def test_a_preview_is_small_and_leaves_the_movie_alone_also_on_another_machine(run: Run, output: Path) -> None:
    movie, preview = output / "t_HD.mp4", output / "t_HD_preview.mp4"
    before = movie.read_bytes()
    (output / "HD" / "frame_000002.png").write_bytes((output / "HD" / "frame_000001.png").read_bytes())
    with held_elsewhere(output):
        locked = journals(output)
        made = run("encode", output)
        assert made.returncode == 0, made.stderr
        assert journals(output) == locked
        info = read_back(preview)
        assert (info.frames, info.width, info.height) == (4, 960, 540)
        assert "(3 of 4 frames, the last is 3; " in made.stdout  # the exchanged file counts as a gap
        assert color_tags(preview) == SRGB
        image = iio.imread(output / "HD" / "frame_000000.png").astype(int)
        bars = decoded(preview)[0][40, 70::137]
        assert np.abs(bars - image[80, 140::274]).max() <= 4
        assert run("encode", output, "--quiet").returncode == 0  # replaces its own preview
        preview.write_bytes(b"mine")
        refused = run("encode", output)
        assert (refused.returncode, "did not make this file" in refused.stderr) == (2, True)
    assert movie.read_bytes() == before
    assert not list(output.glob(".part-*"))


def test_a_run_without_a_frame_is_named(run: Run, output: Path) -> None:
    shutil.rmtree(output / "HD")
    with held_elsewhere(output):
        done = run("encode", output)
    assert done.returncode == 4
    assert "the run has not completed any frame yet; try again later, or --watch" in done.stderr


def test_watching_a_run_that_has_ended_makes_no_preview(run: Run, output: Path) -> None:
    done = run("encode", output, "--watch")
    assert (done.returncode, done.stdout) == (0, f"     movie  {output}/t_HD.mp4\n     ended  the run has finished\n")
    assert not (output / "t_HD_preview.mp4").exists()


@contextmanager
def watching(output: Path) -> Iterator[subprocess.Popen[str]]:
    """Keep a preview up to date, and end that after the block."""
    command = [sys.executable, "-m", "mpirender", "encode", str(output), "--watch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_watching_keeps_the_preview_current_and_ends_with_the_run(pattern) -> None:
    scene = pattern('{"frames": 30, "seconds": 0.3}')
    output = scene.parent / "test_renders"
    preview = output / f"test_{NAME}_preview.mp4"
    with started(scene) as process, watching(output) as watcher:
        wait_for(preview.exists)
        first = read_back(preview).frames
        said, wrong = watcher.communicate(timeout=120)
        assert process.wait(timeout=60) == 0
    assert (watcher.returncode, wrong) == (0, "")
    assert first < read_back(preview).frames == 30
    lines = said.splitlines()
    assert "(30 of 30 frames, the last is 29; " in lines[-3]
    assert lines[-2:] == [f"     movie  {output}/test_{NAME}.mp4", "     ended  the run has finished"]
    assert read_back(output / f"test_{NAME}.mp4").frames == 30
    assert not list(output.glob(".part-*"))


@pytest.mark.slow
def test_ctrl_c_ends_watching_and_not_the_run(pattern) -> None:
    scene = pattern('{"frames": 12, "hang": [5]}')
    output = scene.parent / "test_renders"
    with started(scene) as process:
        with watching(output) as watcher:
            wait_for((output / f"test_{NAME}_preview.mp4").exists)
            watcher.send_signal(signal.SIGINT)
            _, wrong = watcher.communicate(timeout=60)
            assert (watcher.returncode, wrong.strip()) == (130, "")
        assert process.poll() is None
        assert not list(output.glob(".part-*"))
        assert "encode" not in running(output)
