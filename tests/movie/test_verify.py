"""Reject damaged images by name, and read back every movie."""

from __future__ import annotations

import os
from fractions import Fraction

import imageio.v3 as iio
import numpy as np
import pytest

from movies import KINDS, OTHERS, picture, read_back, write
from mpirender.errors import EncodeFailed
from mpirender.movie import encode

SUFFIXES = ("png", "jpg", "tiff")


@pytest.mark.parametrize(
    ("kind", "suffix", "lost"),
    [
        *((kind, suffix, 20) for kind in KINDS for suffix in SUFFIXES),
        *((KINDS[0], suffix, 1000) for suffix in SUFFIXES),
    ],
)
def test_an_image_cut_short_is_named_and_the_older_movie_stays(tmp_path, kind, suffix, lost):
    noise = np.random.default_rng(7)
    paths = write(tmp_path / "HD", [noise.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(4)], suffix)
    os.truncate(paths[2], paths[2].stat().st_size - lost)
    target = tmp_path / f"m.{kind}"
    target.write_bytes(b"older")
    with pytest.raises(EncodeFailed, match=f"frame_000002.{suffix} is damaged"):
        encode.encode(paths, target, rate=Fraction(25))
    assert target.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [target.name]


@pytest.mark.parametrize(("kind", "codec"), [*((kind, "") for kind in KINDS), *OTHERS])
def test_a_flipped_byte_in_an_image_is_noticed(tmp_path, images, kind, codec):
    data = bytearray(images[4].read_bytes())
    data[data.index(b"IDAT") + 20] ^= 0x55
    images[4].write_bytes(data)
    with pytest.raises(EncodeFailed, match=r"frame_000012\.png is damaged"):
        encode.encode(images, tmp_path / f"m.{kind}", rate=Fraction(25), codec=codec)


SMALLER, TRANSPARENT = picture((32, 24)), picture(channels=4)


@pytest.mark.parametrize(
    ("other", "kind", "codec"),
    [*((SMALLER, *of) for of in [*((kind, "") for kind in KINDS), *OTHERS]), *((TRANSPARENT, k, "") for k in KINDS)],
)
def test_an_image_unlike_the_first_is_named_instead_of_scaled(tmp_path, images, kind, codec, other):
    iio.imwrite(images[5], other)
    with pytest.raises(EncodeFailed, match=r"frame_000015\.png is (32x24 rgb24|64x48 rgba), unlike frame_000000\.png"):
        encode.encode(images, tmp_path / f"m.{kind}", rate=Fraction(25), codec=codec)
    assert not (tmp_path / f"m.{kind}").exists()


def test_a_tiff_unlike_the_first_is_not_scaled_into_an_mkv(tmp_path):
    paths = write(tmp_path, [picture(), picture((32, 24))], "tiff")
    with pytest.raises(EncodeFailed, match=r"frame_000001\.tiff is 32x24"):
        encode.encode(paths, tmp_path / "m.mkv", rate=Fraction(25))


@pytest.mark.parametrize("what", ["empty", "text", "first cut short"])
def test_what_is_no_image_is_named(tmp_path, images, what):
    content = {"empty": b"", "text": b"no image\n" * 50, "first cut short": images[0].read_bytes()[:-40]}[what]
    images[0].write_bytes(content)
    with pytest.raises(EncodeFailed, match=r"frame_000000\.png is damaged"):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))


def test_missing_images_are_named_before_ffmpeg_starts(tmp_path, images, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    images[3].unlink()
    with pytest.raises(EncodeFailed, match=r"1 of 8 images are missing: frame_000009\.png"):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))


def test_requests_that_cannot_work_are_refused(tmp_path, images):
    with pytest.raises(EncodeFailed, match="no images"):
        encode.encode([], tmp_path / "m.mp4", rate=Fraction(25))
    with pytest.raises(EncodeFailed, match="must end in one of"):
        encode.encode(images, tmp_path / "m.avi", rate=Fraction(25))
    with pytest.raises(EncodeFailed, match="several kinds"):
        encode.encode(images + write(tmp_path, [picture()], "jpg"), tmp_path / "m.mp4", rate=Fraction(25))


def test_every_difference_between_a_movie_and_its_request_is_reported(tmp_path, images):
    first = read_back(images[0])
    info = encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    assert encode.differences(info, first, frames=8, rate=Fraction(25)) == []
    assert encode.differences(info, first, frames=9, rate=Fraction(24)) == [
        "8 frames instead of 9",
        "25 frames per second instead of 24",
    ]
    vp9 = encode.encode(images, tmp_path / "m.webm", rate=Fraction(25))
    assert encode.differences(vp9, first, frames=8, rate=Fraction(25), transparent=True) == ["no transparency"]
    small = read_back(write(tmp_path, [picture((32, 24))])[0])
    assert encode.differences(info, small, frames=8, rate=Fraction(25)) == ["64x48 instead of 32x24"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_movie_does_not_read_back(tmp_path, images, kind):
    path = encode.encode(images, tmp_path / f"m.{kind}", rate=Fraction(25)).path
    intact = path.read_bytes()
    path.write_bytes(intact[: len(intact) * 2 // 3])
    try:
        assert read_back(path).frames < len(images)
    except EncodeFailed as error:
        assert path.name in str(error)


def test_no_file_and_no_movie_do_not_read_back(tmp_path):
    with pytest.raises(EncodeFailed, match="No such file"):
        read_back(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(EncodeFailed, match=r"text\.mp4"):
        read_back(tmp_path / "text.mp4")


def test_a_movie_that_reads_back_wrong_is_not_kept(tmp_path, images, monkeypatch):
    monkeypatch.setattr(encode, "differences", lambda *_, **__: ["3 frames instead of 8"])
    with pytest.raises(EncodeFailed, match="did not decode as requested: 3 frames instead of 8"):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    assert list(tmp_path.iterdir()) == [tmp_path / "HD"]
