"""Encode movies again from the images of a run, with the real mpiexec and ffmpeg."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from disks import disk
from images import pixels
from movies import exchanging_ffmpeg, read_back
from mpirender.errors import UsageError
from mpirender.job.options import CODECS
from mpirender.movie import ffmpeg
from mpirender.reencode import reencode
from mpirender.run_folder import lock
from processes import Run
from waiting import wait_for

SMALL, TALL = "64x48", "tall=32x66"
FRAMES = 12


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render twelve frames at two sizes, once for all tests."""
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "t.pattern").write_text(f'{{"frames": {FRAMES}}}')
    command = [sys.executable, "-m", "mpirender", "render", "t.pattern", "--size", SMALL, "--size", TALL, "--quiet"]
    subprocess.run([*command, "--ranks", "2"], cwd=folder, check=True)
    return folder / "t_renders"


@pytest.fixture
def output(rendered: Path, tmp_path: Path) -> Path:
    """Return a copy of the run and its scene, in another folder than the one it was rendered in."""
    shutil.copy(rendered.parent / "t.pattern", tmp_path)
    return Path(shutil.copytree(rendered, tmp_path / "t_renders"))


def image(output: Path, frame: int, size: str = SMALL) -> Path:
    return output / size / f"frame_{frame:06d}.png"


def flip(path: Path) -> None:
    """Change one byte without changing the file size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def decoded(path: Path) -> np.ndarray:
    """Return all frames of a lossless movie."""
    info = read_back(path)
    command = [ffmpeg.ffmpeg(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, info.height, info.width, 3)


def assert_shows(path: Path, output: Path, frames: list[int]) -> None:
    """Compare a lossless movie with the images of these frames, pixel for pixel."""
    assert np.array_equal(decoded(path), np.stack([pixels(image(output, frame)) for frame in frames]))


# --- new movies


def test_another_rate_replaces_the_movies_of_all_sizes(run: Run, output: Path) -> None:
    done = run("encode", output, "--frame-rate", "30000/1001")
    assert done.returncode == 0, done.stderr
    for name in (SMALL, "tall"):
        made = read_back(output / f"t_{name}.mp4")
        assert (made.frames, made.codec, made.frame_rate) == (FRAMES, "h264", pytest.approx(30000 / 1001))
        assert f"{output}/t_{name}.mp4 (12 frames, 0.4 s at 29.97 a second, h264, " in done.stdout
    assert "encoding t_tall.mp4: 12 frames, 29.97 a second, h264" in done.stdout


@pytest.mark.parametrize(
    ("kind", "codec", "stream"),
    [("mp4", "h265", "hevc"), ("mp4", "av1", "av1"), ("webm", "", "vp9"), ("mkv", "ffv1", "ffv1"), ("gif", "", "gif")],
)
def test_another_kind_or_codec_stands_beside_what_there_is(
    run: Run, output: Path, kind: str, codec: str, stream: str
) -> None:
    done = run("encode", output, "--movie", kind, *(["--codec", codec] if codec else []), "--size", "64X48")
    assert done.returncode == 0, done.stderr
    made = read_back(output / f"t_{SMALL}{f'_{codec}' if codec not in ('', CODECS[kind][0]) else ''}.{kind}")
    assert (made.frames, made.codec, made.frame_rate) == (FRAMES, stream, pytest.approx(25))
    assert not (output / f"t_tall.{kind}").exists() or kind == "mp4"


def test_a_name_puts_the_movie_beside_the_one_of_the_same_kind(run: Run, output: Path) -> None:
    before = (output / f"t_{SMALL}.mp4").read_bytes()
    assert run("encode", output, "--frame-rate", 50, "--name", "50fps", "--size", SMALL).returncode == 0
    assert read_back(output / f"t_{SMALL}_50fps.mp4").frame_rate == 50
    assert (output / f"t_{SMALL}.mp4").read_bytes() == before


def test_only_some_frames_are_shown_where_asked(run: Run, output: Path) -> None:
    assert run("encode", output, "--frames", "0-8x4,11", "--movie", "mkv", "--size", SMALL).returncode == 0
    assert_shows(output / f"t_{SMALL}.mkv", output, [0, 4, 8, 11])


def test_quiet_says_nothing(run: Run, output: Path) -> None:
    done = run("encode", output, "--quiet", "--allow-missing", "skip")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_works_from_inside_the_folder(run: Run, output: Path) -> None:
    assert run("encode", ".", "--frame-rate", 5, cwd=output).returncode == 0
    assert read_back(output / f"t_{SMALL}.mp4").frame_rate == 5


def test_frames_that_a_run_left_out_are_no_gaps_and_a_run_without_a_movie_gets_an_mp4(run: Run, pattern) -> None:
    scene = pattern('{"frames": 30}')
    assert run("render", scene, "--size", SMALL, "--frames", "1-9x4,20", "--movie", "none").returncode == 0
    done = run("encode", scene.parent / "test_renders")
    assert done.returncode == 0, done.stderr
    assert read_back(scene.parent / "test_renders" / f"test_{SMALL}.mp4").frames == 4


# --- gaps


@pytest.fixture
def gappy(output: Path) -> Path:
    """Delete frames 0 and 11 and damage frames 3 and 4."""
    image(output, 0).unlink()
    flip(image(output, 3))
    os.truncate(image(output, 4), 100)
    image(output, 11).unlink()
    return output


def test_gaps_are_named_with_the_reason_and_the_fixes_and_the_older_movies_stay(run: Run, gappy: Path) -> None:
    before = {path: path.read_bytes() for path in gappy.glob("*.mp4")}
    done = run("encode", gappy, "--frame-rate", 50)
    assert done.returncode == 4
    lines = [line.removeprefix("mpirender: error: ") for line in done.stderr.splitlines()]
    assert lines[:3] == [
        f"{SMALL} frames 0,11: deleted since it was rendered",
        f"{SMALL} frames 3-4: changed since it was rendered",
        f"4 of 24 images are missing, so no movie was made (t_{SMALL}.mp4, t_tall.mp4: unchanged)",
    ]
    assert lines[3].startswith("render them: mpirender render ")
    assert "--allow-missing skip" in lines[4]
    assert "--allow-missing hold" in lines[4]
    assert {path: path.read_bytes() for path in gappy.glob("*.mp4")} == before


def test_a_size_without_gaps_can_be_encoded_by_itself(run: Run, gappy: Path) -> None:
    assert run("encode", gappy, "--frame-rate", 50, "--size", "tall").returncode == 0


def test_the_render_command_that_is_shown_renders_the_missing_frames(run: Run, gappy: Path) -> None:
    refused = run("encode", gappy)
    shown = next(line for line in refused.stderr.splitlines() if "render them: " in line).partition("them: mpirender ")[
        2
    ]
    done = run(*shlex.split(shown), cwd="/")
    assert done.returncode == 0, done.stderr
    assert run("encode", gappy).returncode == 0


def test_skipped_gaps_are_left_out_and_reported(run: Run, gappy: Path) -> None:
    done = run("encode", gappy, "--movie", "mkv", "--allow-missing", "skip")
    assert done.returncode == 0, done.stderr
    assert_shows(gappy / f"t_{SMALL}.mkv", gappy, [1, 2, 5, 6, 7, 8, 9, 10])
    assert f"{SMALL}: frames 0,11 are missing and skipped (deleted since it was rendered)" in done.stdout
    assert f"{SMALL}: frames 3-4 are missing and skipped (changed since it was rendered)" in done.stdout
    assert read_back(gappy / "t_tall.mkv").frames == FRAMES
    assert "tall: " not in done.stdout


def test_held_gaps_repeat_the_image_before_or_at_the_start_the_first_image(run: Run, gappy: Path) -> None:
    done = run("encode", gappy, "--movie", "mkv", "--allow-missing", "hold", "--size", SMALL)
    assert done.returncode == 0, done.stderr
    assert_shows(gappy / f"t_{SMALL}.mkv", gappy, [1, 1, 2, 2, 2, 5, 6, 7, 8, 9, 10, 10])
    assert f"{SMALL}: frame 0 is missing, frame 1 is shown instead (deleted since it was rendered)" in done.stdout
    assert f"{SMALL}: frames 3-4 are missing, the frame before is repeated (changed" in done.stdout
    assert f"{SMALL}: frame 11 is missing, the frame before is repeated (deleted" in done.stdout


@pytest.mark.parametrize("how", ["skip", "hold"])
def test_no_frame_at_all_makes_no_movie_whatever_is_allowed(run: Run, output: Path, how: str) -> None:
    shutil.rmtree(output / "tall")
    before = (output / f"t_{SMALL}.mp4").read_bytes()
    done = run("encode", output, "--allow-missing", how, "--frame-rate", 5)
    assert done.returncode == 4
    assert "tall frames 0-11: deleted since it was rendered" in done.stderr
    assert "all frames of tall are missing, so no movie was made" in done.stderr
    assert "--allow-missing" not in done.stderr
    assert (output / f"t_{SMALL}.mp4").read_bytes() == before


def test_frames_that_failed_are_named_with_their_reason(run: Run, pattern) -> None:
    scene = pattern('{"frames": 6, "fail": [2]}')
    assert run("render", scene, "--size", SMALL).returncode == 4
    done = run("encode", scene.parent / "test_renders")
    assert done.returncode == 4
    assert f"{SMALL} frame 2: failed: the pattern is set to fail at frame 2" in done.stderr
    assert "1 of 6 images are missing, so no movie was made\n" in done.stderr


def test_frames_kept_in_spite_of_an_error_count_only_if_the_run_keeps_them_and_are_reported(run: Run, pattern) -> None:
    scene = pattern('{"frames": 6, "fail": [2, 3]}')
    output = scene.parent / "test_renders"
    assert run("render", scene, "--size", SMALL, "--on-error", "warn", "--frames", "0-4").returncode == 0
    done = run("encode", output)
    assert done.returncode == 0, done.stderr
    assert f"{SMALL}: errors were reported during 2 of these images; --on-error warn kept them" in done.stdout
    file = output / ".mpirender" / "job.json"
    file.write_text(file.read_text().replace('"on_error": "warn"', '"on_error": "fail"'))
    strict = run("encode", output)
    assert strict.returncode == 4
    assert f"{SMALL} frame 2: an earlier run kept it despite an error: the pattern is set" in strict.stderr


def test_frames_of_another_scene_do_not_count(run: Run, output: Path) -> None:
    """The latest run covers only two frames, of another scene."""
    scene = output.parent / "t.pattern"
    scene.write_text(f'{{"frames": {FRAMES}, "fail": [4], "seconds": 0.001}}')
    assert run("render", scene, "--size", SMALL, "--frames", "3-4", "--output", output).returncode == 4
    done = run("encode", output, "--frames", "2-5,20")
    assert done.returncode == 4
    assert f"{SMALL} frames 2,5: rendered with a different scene, data or options" in done.stderr
    assert f"{SMALL} frame 4: failed: " in done.stderr
    assert f"{SMALL} frame 20: never rendered" in done.stderr
    assert "4 of 5 images are missing" in done.stderr
    assert "--frames 2-5,20" in next(line for line in done.stderr.splitlines() if "render them: " in line)


def test_frames_that_the_scene_does_not_have_are_a_mistake(run: Run, output: Path) -> None:
    done = run("encode", output, "--frames", "0-13", "--allow-missing", "hold")
    assert done.returncode == 2
    assert done.stderr == "mpirender: error: --frames 0-13: the scene has frames 0-11, not 12-13\n"


# --- mistakes


def test_all_mistakes_are_reported_together(run: Run, output: Path) -> None:
    wrong = ("--movie", "webm", "--codec", "h264", "--frame-rate", "fast", "--size", "4K", "--frames", "5--")
    done = run("encode", output, *wrong, "--allow-missing", "no", "--name", "a/b")
    assert done.returncode == 2
    assert [line.removeprefix("mpirender: error: ") for line in done.stderr.splitlines()] == [
        f"--size '4K' is not in {output}; there are: {SMALL}, tall",
        "--allow-missing 'no' must be one of: skip, hold",
        "--name 'a/b' becomes part of a file name; use letters, digits and . _ + -",
        "--frame-rate 'fast' must be a number of frames per second from 0.01 to 1000",
        "--frames '5--' is not a frame set; write it like 0-99, 0-99x2 or 1,5,10-20",
        "--codec 'h264' must be one of: vp9, av1 for webm",
    ]


def test_what_does_not_go_together_is_a_mistake(run: Run, output: Path) -> None:
    assert "--movie 'avi' must be one of: mp4, webm, gif, mkv" in run("encode", output, "--movie", "avi").stderr
    fast = run("encode", output, "--movie", "gif", "--frame-rate", 60)
    assert (fast.returncode, "at most 50 a second" in fast.stderr) == (2, True)
    file = output / ".mpirender" / "job.json"
    file.write_text(file.read_text().replace('"transparent_background": false', '"transparent_background": true'))
    clear = run("encode", output, "--movie", "webm", "--codec", "av1")
    assert (clear.returncode, "av1 does not support transparency" in clear.stderr) == (2, True)


@pytest.mark.parametrize("folder", ["nowhere", "t_renders/64x48", "t.pattern", "."])
def test_a_wrong_folder_is_reported_in_one_line(run: Run, output: Path, folder: str) -> None:
    done = run("encode", folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no run of mpirender here; give the folder that render wrote to" in done.stderr


def test_a_job_that_cannot_be_read_is_reported(run: Run, output: Path) -> None:
    (output / ".mpirender" / "job.json").write_text('{"scene": ')
    done = run("encode", output)
    assert (done.returncode, "job.json: damaged, or of another version" in done.stderr) == (2, True)


def test_a_folder_where_nothing_was_rendered_yet_shows_what_to_run(run: Run, pattern) -> None:
    scene = pattern()
    assert run("render", scene, "--size", SMALL, "--dry-run").returncode == 0
    done = run("encode", scene.parent / "test_renders")
    assert done.returncode == 4
    assert f"no frames yet; run: mpirender render {scene}" in done.stderr


# --- concurrent runs, signals, disk space


def test_a_pipe_in_the_place_of_the_journal_does_not_keep_it_waiting(run: Run, output: Path) -> None:
    place = output / ".mpirender" / "run.jsonl"
    place.unlink()
    os.mkfifo(place)
    done = run("encode", output, timeout=60)
    assert (
        done.returncode,
        f"{place}: cannot be read and written (a pipe, a device or a socket, not a file)" in done.stderr,
    ) == (2, True)


def test_it_refuses_while_a_run_is_active(output: Path) -> None:
    with (
        lock.held(output / ".mpirender", "a run"),
        pytest.raises(UsageError, match=rf"a run still renders these frames \(pid {os.getpid()} on"),
    ):
        reencode.reencode(reencode.EncodeRequest(output))
    assert reencode.reencode(reencode.EncodeRequest(output))


@contextmanager
def long_encoding(output: Path) -> Iterator[subprocess.Popen[str]]:
    """Start an encoding that outlasts the test; continue when ffmpeg has begun to write."""
    file = output / ".mpirender" / "job.json"
    file.write_text(file.read_text().replace('"frames": null', '"frames": "0-11"'))
    command = [sys.executable, "-m", "mpirender", "encode", str(output), "--size", SMALL]
    command += ["--frames", "0-20000", "--allow-missing", "hold", "--codec", "av1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: list(output.glob(f".part-*-t_{SMALL}_av1.mp4")))
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_leaves_nothing_behind(output: Path, number: signal.Signals, code: int) -> None:
    before = (output / f"t_{SMALL}.mp4").read_bytes()
    with long_encoding(output) as process:
        process.send_signal(number)
        said = process.communicate(timeout=90)[1]
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert f"stopped on {number.name}; run the same command again" in said or number == signal.SIGINT
    assert (output / f"t_{SMALL}.mp4").read_bytes() == before
    assert not list(output.rglob(".part-*"))
    assert not (output / ".mpirender" / "lock").exists()
    assert not subprocess.run(["pgrep", "-f", str(output)], stdout=subprocess.PIPE, check=False).stdout


@pytest.mark.slow
def test_its_lock_stays_fresh_while_it_encodes(output: Path) -> None:
    with long_encoding(output):
        file = output / ".mpirender" / "lock"
        first = file.stat().st_mtime
        wait_for(lambda: file.stat().st_mtime > first, 2 * lock.BEAT_SECONDS + 5)


def test_a_full_disk_is_reported_and_the_older_movie_stays(run: Run, output: Path, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=1m") as small:
        shutil.copytree(output, small / "o")
        before = (small / "o" / f"t_{SMALL}.mp4").read_bytes()
        filler = small / "filler"
        free = shutil.disk_usage(small).free
        filler.write_bytes(b"x" * (free - 8192))
        done = run("encode", small / "o", "--movie", "mp4", "--frame-rate", 1)
        assert done.returncode == 4
        assert done.stderr.count("\n") == 1
        assert f"{small}/o: no space left on the disk, or in your quota; no frame is lost, make room" in done.stderr
        assert (small / "o" / f"t_{SMALL}.mp4").read_bytes() == before
        assert not list(small.rglob(".part-*"))
        filler.unlink()
        assert run("encode", small / "o", "--frame-rate", 1).returncode == 0


def test_a_missing_encoder_ends_in_its_own_code(run: Run, output: Path, poor_ffmpeg: Path) -> None:
    done = run("encode", output, "--codec", "h265", env={**os.environ, "IMAGEIO_FFMPEG_EXE": str(poor_ffmpeg)})
    assert done.returncode == 3
    assert "has no encoder for h265 (libx265)" in done.stderr


def test_every_codec_that_can_be_asked_for_is_known_to_ffmpeg_and_to_help(run: Run) -> None:
    from mpirender.job.options import CODECS, MOVIES
    from mpirender.movie import ffmpeg_args

    assert [*CODECS, "none"] == list(MOVIES)
    assert {codec for codecs in CODECS.values() for codec in codecs} == set(ffmpeg_args.RECIPES)
    text = run("encode", "--help").stdout
    assert all(codec in text for codecs in CODECS.values() for codec in codecs[1:])


def test_a_frame_exchanged_after_it_was_checked_is_not_encoded(
    run: Run, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (output / f"t_{SMALL}.mp4").read_bytes()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(exchanging_ffmpeg(tmp_path, image(output, 5), image(output, 7))))
    done = run("encode", output, "--size", SMALL)
    assert done.returncode == 4
    assert "frame_000007.png has changed since it was rendered, so its movie was not made; render it:" in done.stderr
    assert (output / f"t_{SMALL}.mp4").read_bytes() == before
