"""Run ffmpeg: failures, full disks and the search for the program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from disks import disk
from movies import KINDS, write
from mpirender.errors import EncodeFailed, NoSpace, ToolMissing
from mpirender.job.options import CODECS
from mpirender.movie import encode, ffmpeg
from waiting import wait_for


def fake_ffmpeg(tmp_path, monkeypatch, last_line, code):
    """Put a program before the real ffmpeg that fails to encode and passes all other calls on."""
    real = ffmpeg.ffmpeg()
    fake = tmp_path / "fake-ffmpeg"
    fake.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"if sys.argv[-1].startswith('file:'):\n"
        f"    print({last_line!r}, file=sys.stderr)\n    sys.exit({code})\n"
        f"os.execv({real!r}, [{real!r}, *sys.argv[1:]])\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("[vost#0:0 @ 0x1] [enc @ 0x2] [error] Unknown encoder 'libx264'", 8, "ffmpeg failed: Unknown encoder"),
        ("[error] something odd", 0, "ffmpeg failed: something odd"),
        ("", 1, "ended with exit code 1"),
        ("ffmpeg: error while loading shared libraries: libx264.so", 127, "code 127.*loading shared libraries"),
    ],
)
def test_a_failure_of_ffmpeg_is_reported_in_the_words_of_ffmpeg(tmp_path, images, monkeypatch, line, code, told):
    fake_ffmpeg(tmp_path, monkeypatch, line, code)
    with pytest.raises(EncodeFailed, match=f"m.mp4.*{told}"):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    assert not (tmp_path / "m.mp4").exists()


def mortal_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int, death: str) -> None:
    """Put a program before the real ffmpeg that executes a Python statement in so many of its calls, and no more."""
    real, count = ffmpeg.ffmpeg(), tmp_path / "calls"
    program = tmp_path / "mortal-ffmpeg"
    program.write_text(
        f"#!{sys.executable}\nimport os, signal, sys, time\nfile = open({str(count)!r}, 'ab')\nfile.write(b'x')\n"
        f"file.flush()\nif file.tell() <= {deaths}:\n    {death}\nos.execv({real!r}, [{real!r}, *sys.argv[1:]])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    monkeypatch.setattr(ffmpeg, "RETRY_SECONDS", (0.01, 0.01))


KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
NO_THREAD = "sys.exit('[vf#0:0 @ 0x1] [error] pthread_create() failed: Resource temporarily unavailable')"
NO_MEMORY = "print('[error] Cannot allocate memory', file=sys.stderr); sys.exit(244)"
STOPPED = "os.kill(os.getpid(), signal.SIGSTOP)"


@pytest.mark.parametrize("death", [KILLED, NO_THREAD, NO_MEMORY, STOPPED], ids=["kill", "EAGAIN", "ENOMEM", "stop"])
def test_an_ffmpeg_that_dies_is_started_again(tmp_path, images, monkeypatch, death):
    monkeypatch.setattr("mpirender.system.stall.STOPPED_SECONDS", 0.5)
    mortal_ffmpeg(tmp_path, monkeypatch, 2, death)
    assert encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25)).frames == len(images)


def test_an_ffmpeg_that_dies_each_time_is_named_and_no_image(tmp_path, images, monkeypatch):
    mortal_ffmpeg(tmp_path, monkeypatch, 99, KILLED)
    ffmpeg.encoders.cache_clear()
    with pytest.raises(ffmpeg.FfmpegDied, match=r"ffmpeg ended with signal SIGKILL") as caught:
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    assert "damaged" not in str(caught.value)


def test_an_ffmpeg_that_does_not_run_or_lacks_the_encoder_is_found_before_rendering(tmp_path, monkeypatch):
    mortal_ffmpeg(tmp_path, monkeypatch, 99, "print('libx264.so: cannot open', file=sys.stderr); sys.exit(127)")
    with pytest.raises(ToolMissing, match=r"mortal-ffmpeg does not run, so no movie can be made .*libx264.so: cannot"):
        ffmpeg.check("h264")
    (tmp_path / "mortal-ffmpeg").write_text("#!/bin/sh\necho ' V....D gif  GIF'\n")
    ffmpeg.check("gif")
    with pytest.raises(ToolMissing, match="has no encoder for h264"):
        ffmpeg.check("h264")


@pytest.mark.parametrize(("kind", "codec"), [(kind, codec) for kind, codecs in CODECS.items() for codec in codecs])
def test_a_full_disk_is_reported_and_leaves_the_older_movie_and_nothing_else(tmp_path, kind, codec):
    noise = np.random.default_rng(7)
    paths = write(tmp_path / "HD", [noise.integers(0, 256, (80, 96, 3), np.uint8) for _ in range(40)])
    with disk(tmp_path / "small", "size=64k") as small:
        target = small / f"m.{kind}"
        target.write_bytes(b"older")
        with pytest.raises(NoSpace) as caught:
            encode.encode(paths, target, rate=Fraction(25), codec=codec)
        assert target.read_bytes() == b"older"
        assert list(small.iterdir()) == [target]
    told = f"{small}: no space left on the disk, or in your quota; no frame is lost, make room and run the same command"
    assert str(caught.value) == f"{told} again"
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("limit", ["nr_inodes=2", "nr_inodes=12,size=4k"], ids=["folder", "palette"])
def test_a_full_disk_for_temporary_files_is_named(tmp_path, images, limit, monkeypatch):
    with disk(tmp_path / "temporary", limit) as small:
        (small / "filler").write_bytes(b"x" * 4096)
        monkeypatch.setattr("tempfile.tempdir", str(small))
        with pytest.raises(NoSpace, match=re.escape(str(small))):
            encode.encode(images, tmp_path / "m.gif", rate=Fraction(25))
        assert list(small.iterdir()) == [small / "filler"]
    assert not list(tmp_path.glob("*.gif"))


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_a_full_quota_is_reported_like_a_full_disk(tmp_path, images, monkeypatch, words):
    fake_ffmpeg(tmp_path, monkeypatch, f"[mp4 @ 0x1] [error] av_interleaved_write_frame(): {words}", 228)
    with pytest.raises(NoSpace, match=re.escape(f"{tmp_path}: no space left")):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))


def test_ffmpeg_does_not_outlive_a_process_that_is_killed(tmp_path):
    (path,) = write(tmp_path, [np.zeros((720, 1280, 3), np.uint8)])
    program = (
        "import sys; from fractions import Fraction; from pathlib import Path; from mpirender.movie import encode; "
    )
    program += "encode.encode([Path(sys.argv[1])] * 20000, Path(sys.argv[2]), rate=Fraction(25))"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # collects files that a killed process cannot delete
    with subprocess.Popen([sys.executable, "-c", program, path, tmp_path / "m.mp4"], env=environment) as process:
        wait_for(lambda: list(tmp_path.glob(".part-*-m.mp4")))
        child = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        assert is_running(int(child))
        process.kill()
    wait_for(lambda: not is_running(int(child)), seconds=5)


def is_running(pid):
    """Return whether the process is running; a zombie that its new parent has not reaped does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_not_there_is_reported(tmp_path, images, kind):
    with pytest.raises(EncodeFailed, match="No such file or directory"):
        encode.encode(images, tmp_path / "nowhere" / f"m.{kind}", rate=Fraction(25))


def test_a_missing_ffmpeg_is_reported_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    with pytest.raises(ToolMissing, match=r"IMAGEIO_FFMPEG_EXE names /nowhere/ffmpeg.*pip install imageio-ffmpeg"):
        ffmpeg.ffmpeg()
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing, match=r"ffmpeg is not found.*pip install imageio-ffmpeg"):
        ffmpeg.ffmpeg()


def test_the_named_ffmpeg_is_used_without_importing_imageio(monkeypatch):
    real = ffmpeg.ffmpeg()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", real)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert ffmpeg.ffmpeg() == real
