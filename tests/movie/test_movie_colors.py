"""Keep colors and transparency in movies."""

from __future__ import annotations

import shutil
from fractions import Fraction

import imageio.v3 as iio
import numpy as np
import pytest

from movies import (
    COLOURS,
    EVEN,
    OTHERS,
    SRGB,
    SRGB_ATOM,
    assert_colours,
    color_atom,
    color_tags,
    decoded,
    picture,
    write,
    yuv_planes,
)  # fmt: skip
from mpirender.movie import encode, ffmpeg


@pytest.mark.parametrize("kind", ["mp4", "webm", "mkv"])
def test_colors_come_back_as_they_went_in(tmp_path, images, kind):
    encode.encode(images, tmp_path / f"m.{kind}", rate=Fraction(25))
    for frame in decoded(tmp_path / f"m.{kind}"):
        assert_colours(frame, 0 if kind == "mkv" else 9)


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "h264"), ("webm", "vp9"), *OTHERS[:-1]])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_colors_are_stored_with_the_matrix_of_bt709_and_say_that_they_are_srgb(tmp_path, kind, codec, suffix):
    path = tmp_path / f"m.{kind}"
    encode.encode(write(tmp_path, [picture()] * 3, suffix), path, rate=Fraction(25), codec=codec)
    luma, blue, red = yuv_planes(path, *EVEN)
    for column, (name, colour) in enumerate(COLOURS.items()):
        r, g, b = (value / 255 for value in colour)
        y = 0.2126 * r + 0.7152 * g + 0.0722 * b  # ITU-R BT.709, table 3
        expected = (16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748)
        x = column * 12 + 6
        assert (luma[10, x], blue[5, x // 2], red[5, x // 2]) == pytest.approx(expected, abs=4), name
    assert color_tags(path) == SRGB
    assert kind != "mp4" or color_atom(path) == SRGB_ATOM


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "h264"), ("webm", "vp9"), *OTHERS[:-1]])
def test_thin_lines_keep_their_color_in_full_color_resolution(tmp_path, kind, codec):
    pixels = np.full((48, 64, 3), 255, np.uint8)
    pixels[:, 21] = pixels[:, 40] = (230, 0, 0)  # one pixel wide, on odd and even columns
    images = write(tmp_path, [pixels] * 3)
    off = {}
    for pixel_format in ("yuv420p", "yuv444p"):
        path = tmp_path / f"{pixel_format}.{kind}"
        info = encode.encode(images, path, rate=Fraction(25), codec=codec, pixel_format=pixel_format)
        assert info.pixel_format == pixel_format
        assert color_tags(path) == SRGB
        off[pixel_format] = np.abs(decoded(path)[0][8:40, [21, 40]] - (230, 0, 0)).max()
    assert off["yuv444p"] <= 20 < off["yuv420p"]


def programs():
    """Return the ffmpeg that mpirender uses, and that of the system if there is one."""
    return list(filter(None, dict.fromkeys([ffmpeg.ffmpeg(), shutil.which("ffmpeg")])))


@pytest.mark.parametrize("program", programs())
@pytest.mark.parametrize(("kind", "codec"), [("mp4", "h264"), ("webm", "vp9")])
def test_every_ffmpeg_writes_the_colors(tmp_path, monkeypatch, program, kind, codec):
    images = write(tmp_path, [picture(channels=4)] * 3)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", program)
    movie = encode.encode(images, tmp_path / f"m.{kind}", rate=Fraction(25), codec=codec, transparent=True).path
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    assert color_tags(movie) == SRGB


@pytest.fixture
def see_through(tmp_path):
    """Return images of an opaque and a half-transparent square that move over a transparent background."""
    pictures = []
    for step in range(6):
        pixels = np.zeros((47, 63, 4), np.uint8)
        pixels[4:20, 4 + 4 * step : 20 + 4 * step] = (255, 128, 0, 255)
        pixels[26:42, 4 + 4 * step : 20 + 4 * step] = (200, 100, 50, 128)
        pictures.append(pixels)
    return write(tmp_path, pictures)


def test_webm_keeps_transparency(tmp_path, see_through):
    info = encode.encode(see_through, tmp_path / "m.webm", rate=Fraction(25), transparent=True)
    assert info.pixel_format == "yuva420p"
    for step, frame in enumerate(decoded(info.path, "rgba", "-c:v", "libvpx-vp9")):
        x = 12 + 4 * step
        assert frame[12, x] == pytest.approx((255, 128, 0, 255), abs=10)
        assert frame[34, x] == pytest.approx((200, 100, 50, 128), abs=10)
        assert frame[2, x, 3] <= 4
        assert frame[12, 1, 3] <= 4


def test_gif_keeps_transparency_while_things_move(tmp_path, see_through):
    info = encode.encode(see_through, tmp_path / "m.gif", rate=Fraction(25), transparent=True)
    for path, frame in zip(see_through, decoded(info.path, "rgba")):
        source = iio.imread(path).astype(int)
        opaque = source[..., 3] >= 128
        assert np.array_equal(frame[..., 3] >= 128, opaque)
        assert np.abs(frame[opaque][:, :3] - source[opaque][:, :3]).max() <= 8


def test_mp4_lays_transparency_over_black(tmp_path, see_through):
    info = encode.encode(see_through, tmp_path / "m.mp4", rate=Fraction(25), transparent=True)
    frame = decoded(info.path)[0]
    assert frame[12, 12] == pytest.approx((255, 128, 0), abs=6)
    assert frame[34, 12] == pytest.approx((100, 50, 25), abs=6)
    assert frame[2, 40] == pytest.approx((0, 0, 0), abs=2)


def test_mkv_keeps_transparency_exactly(tmp_path, see_through):
    info = encode.encode(see_through, tmp_path / "m.mkv", rate=Fraction(25), transparent=True)
    assert np.array_equal(decoded(info.path, "rgba"), np.stack([iio.imread(path) for path in see_through]))


def test_opaque_images_may_be_asked_to_be_transparent(tmp_path, images):
    info = encode.encode(images, tmp_path / "m.webm", rate=Fraction(25), transparent=True)
    assert decoded(info.path, "rgba", "-c:v", "libvpx-vp9")[..., 3].min() >= 253
