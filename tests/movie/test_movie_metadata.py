"""What a movie says about its origin."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from movies import decoded
from mpirender.errors import EncodeFailed
from mpirender.job.origin import Origin
from mpirender.movie import encode, ffmpeg, movie_metadata

# A name that looks like a line in ffmpeg's log, with characters that its list of metadata escapes.
SCENE = "[error] wäve=1;#\\ Stream #0:0: Video: h264, yuv, 1x1"
ORIGIN = Origin("1.2", "ParaView 6.1.0", SCENE, "HD", "0-9", "ab12", f"mpirender render '{SCENE}' --set 'A.B=\"1;2\"'")


@pytest.mark.parametrize("kind", ["mp4", "webm", "gif", "mkv"])
def test_a_movie_says_where_it_comes_from_and_shows_the_same(tmp_path: Path, images: list[Path], kind: str) -> None:
    plain, told = tmp_path / f"plain.{kind}", tmp_path / f"told.{kind}"
    encode.encode(images, plain, rate=Fraction(25))
    encode.encode(images, told, rate=Fraction(25), origin=ORIGIN)
    assert movie_metadata.read(told) == ORIGIN
    assert movie_metadata.read(plain) is None
    assert (decoded(plain) == decoded(told)).all()
    if kind != "gif":
        command = [ffmpeg.ffmpeg(), "-hide_banner", "-i", told]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        assert f": {ORIGIN.title}\n" in shown
        assert f": {ORIGIN.software}\n" in shown
        assert "creation_time" not in shown


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"no movie"])
def test_a_file_that_is_no_movie_has_no_metadata(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(EncodeFailed):
        movie_metadata.read(tmp_path / "a.mp4")
    (tmp_path / "a.gif").write_bytes(b"GIF89a" + content)
    assert movie_metadata.read(tmp_path / "a.gif") is None
