"""Encode with every codec."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from movies import EVEN, GREYS, ODD, OTHERS, assert_colours, decoded, picture, read_back, write
from mpirender.errors import EncodeFailed, ToolMissing
from mpirender.movie import encode, ffmpeg_args


def task(codec, size, rate=25, suffix=".png", **more):
    return ffmpeg_args.Encoding("ffmpeg", suffix, Path("/m.mp4"), size, Fraction(rate), codec, "", **more)


@pytest.mark.parametrize("size", [EVEN, ODD, (130, 98)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(("kind", "codec"), OTHERS)
def test_every_codec_holds_every_frame_in_order_at_its_size_and_rate(tmp_path, kind, codec, size):
    paths = write(tmp_path, [picture(size, grey) for grey in GREYS], step=3)
    info = encode.encode(paths, tmp_path / f"orbit.{kind}", rate=Fraction(30000, 1001), codec=codec)
    grown = size if codec == "ffv1" else tuple(side + side % 2 for side in size)
    assert (info.frames, info.width, info.height) == (len(GREYS), *grown)
    assert info.frame_rate == pytest.approx(30000 / 1001)
    assert info.codec == {"h265": "hevc"}.get(codec, codec)
    assert read_back(info.path) == info
    frames = decoded(info.path)
    assert frames[:, size[1] - 1, size[0] // 2].mean(axis=1) == pytest.approx(GREYS, abs=4)
    for frame in frames:
        assert_colours(frame, 0 if codec == "ffv1" else 9)


@pytest.mark.parametrize(("kind", "codec"), OTHERS)
@pytest.mark.parametrize("rate", [Fraction(120), Fraction(1000), Fraction(1)])
def test_every_codec_goes_fast_and_slowly(tmp_path, images, kind, codec, rate):
    info = encode.encode(images, tmp_path / f"m.{kind}", rate=rate, codec=codec)
    assert (info.frames, info.frame_rate) == (len(images), pytest.approx(float(rate)))


@pytest.mark.parametrize(("kind", "codec"), OTHERS)
@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_every_codec_takes_jpg_and_tiff(tmp_path, kind, codec, suffix):
    paths = write(tmp_path, [picture(grey=grey) for grey in GREYS[:3]], suffix)
    info = encode.encode(paths, tmp_path / f"m.{kind}", rate=Fraction(25), codec=codec)
    assert_colours(decoded(info.path)[0], 9)


def test_h265_has_the_tag_that_apple_players_need(tmp_path, images):
    data = encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25), codec="h265").path.read_bytes()
    assert b"hvc1" in data
    assert b"hev1" not in data


def test_ffv1_is_the_images_pixel_for_pixel(tmp_path):
    noise = np.random.default_rng(7)
    for channels, pixel_format in ((3, "rgb24"), (4, "rgba")):
        pictures = [noise.integers(0, 256, (47, 63, channels), np.uint8) for _ in range(5)]
        paths = write(tmp_path / pixel_format, pictures)
        info = encode.encode(paths, tmp_path / f"{pixel_format}.mkv", rate=Fraction(25), codec="ffv1")
        assert np.array_equal(decoded(info.path, pixel_format), np.stack(pictures))


def test_a_codec_of_another_kind_is_refused_with_those_there_are(tmp_path, images):
    with pytest.raises(EncodeFailed, match=r"m\.mp4: 'vp9' is no codec for it; choose h264 or h265 or av1"):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25), codec="vp9")


def test_transparency_is_not_lost_by_the_choice_of_a_codec(tmp_path, images):
    with pytest.raises(EncodeFailed, match="av1 has no transparency"):
        encode.encode(images, tmp_path / "m.webm", rate=Fraction(25), codec="av1", transparent=True)


def test_av1_uses_the_fast_encoder_if_that_takes_the_images():
    both = {"libsvtav1", "libaom-av1"}
    assert ffmpeg_args.with_encoder(task("av1", (1920, 1080)), both).encoder == "libsvtav1"
    assert ffmpeg_args.with_encoder(task("av1", (1920, 1080)), {"libaom-av1"}).encoder == "libaom-av1"
    assert ffmpeg_args.with_encoder(task("av1", (1920, 60)), both).encoder == "libaom-av1"
    assert ffmpeg_args.with_encoder(task("av1", (1920, 1080), 300), both).encoder == "libaom-av1"
    assert ffmpeg_args.with_encoder(task("av1", (63, 63), "1/4"), both).encoder == "libsvtav1"


def test_a_format_that_the_encoder_cannot_take_is_reported_with_the_encoder(tmp_path):
    paths = write(tmp_path, [picture((8, 8))] * 2)
    with pytest.raises(EncodeFailed, match=r"h265 is not possible for 8x8 pixels at 25 .*libx265; use another codec"):
        encode.encode(paths, tmp_path / "m.mp4", rate=Fraction(25), codec="h265")


def test_a_missing_encoder_is_reported_with_the_fix(tmp_path, images, monkeypatch, poor_ffmpeg):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(poor_ffmpeg))
    lacking = r"ffmpeg has no encoder for av1 \(libsvtav1 or libaom-av1\); .*pip install imageio-ffmpeg.*another codec"
    with pytest.raises(ToolMissing, match=lacking):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25), codec="av1")
    assert encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25)).frames == len(images)


@pytest.mark.parametrize(("codec", "encoder"), [("h265", "libx265"), ("av1", "libsvtav1")])
def test_threads_are_limited_by_the_encoders_own_options_too(codec, encoder):
    command = ffmpeg_args.encode_command(ffmpeg_args.with_encoder(task(codec, (640, 480), threads=3), {encoder}))
    assert {"pools=3", "lp=3"} & set(command)
    assert not {"pools=0", "lp=0"} & set(ffmpeg_args.encode_command(ffmpeg_args.with_encoder(task(codec, EVEN), ())))
