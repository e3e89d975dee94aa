"""Movies: the real ffmpeg encodes small pictures, and what comes out is decoded and compared with what went in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from disks import disk
from mpirender.errors import EncodeFailed, NoSpace, ToolMissing
from mpirender.job.options import CODECS
from mpirender.movie import encode, ffmpeg, ffmpeg_args

KINDS = ("mp4", "webm", "gif", "mkv")
OTHERS = [(kind, codec) for kind, codecs in CODECS.items() for codec in codecs[1:]]  # beside the usual one of each
EVEN, ODD = (64, 48), (63, 47)
COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "grey": (90, 90, 90),
}
GREYS = [10, 200, 60, 120, 240, 30, 170, 90]


def picture(size=EVEN, grey=0, channels=3):
    width, height = size
    pixels = np.full((height, width, channels), grey, np.uint8)
    for column, colour in enumerate(COLOURS.values()):
        pixels[: height // 2, column * 12 : column * 12 + 12, :3] = colour
    if channels == 4:
        pixels[..., 3] = 255
    return pixels


def write(folder, pictures, suffix="png", step=1):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame_{number * step:06d}.{suffix}" for number in range(len(pictures))]
    for path, pixels in zip(paths, pictures):
        iio.imwrite(path, pixels, plugin="pillow", **({"quality": 95, "subsampling": 0} if suffix == "jpg" else {}))
    return paths


@pytest.fixture
def images(tmp_path):
    """Frames 0, 3, 6, …, each of a grey of its own under the same patches of colour."""
    return write(tmp_path / "HD", [picture(grey=grey) for grey in GREYS], step=3)


def decoded(path, pixel_format="rgb24", *options):
    """Return all frames as an array, decoded apart from the code under test."""
    info = encode.read_back(path)
    channels = {"rgb24": 3, "rgba": 4}[pixel_format]
    raw = subprocess.run(
        [ffmpeg.ffmpeg(), "-v", "error", *options, "-i", path, "-f", "rawvideo", "-pix_fmt", pixel_format, "-"],
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, info.height, info.width, channels).astype(int)


def yuv_planes(path, width, height):
    """Return Y, U and V of the first frame, as they are stored."""
    raw = subprocess.run(
        [ffmpeg.ffmpeg(), "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-"],
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    ).stdout  # fmt: skip
    data = np.frombuffer(raw, np.uint8).astype(float)
    luma, chroma = width * height, ((width + 1) // 2) * ((height + 1) // 2)
    assert len(data) == luma + 2 * chroma
    half = ((height + 1) // 2, -1)
    return data[:luma].reshape(height, -1), data[luma:-chroma].reshape(half), data[-chroma:].reshape(half)


def gif_palettes(data):
    """Return the global colour table of a GIF file and that of every image, empty if it has none of its own.

    The format is in the GIF89a specification, appendix A.
    """
    assert data[:6] == b"GIF89a"

    def table(flags, start):
        return data[start : start + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)]

    shared, images = table(data[10], 13), []
    at = 13 + len(shared)
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            images.append(table(data[at + 9], at + 10))
            at += 11 + len(images[-1])
        else:
            at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    return shared, images


# --- every kind


@pytest.mark.parametrize("size", [EVEN, ODD, (1, 1), (2, 1)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_every_frame_in_order_at_its_size_and_rate(tmp_path, kind, size):
    paths = write(tmp_path, [picture(size, grey) for grey in GREYS], step=3)
    info = encode.encode(paths, tmp_path / f"orbit.{kind}", rate=Fraction(25))
    grown = tuple(side + side % 2 for side in size) if kind == "mp4" else size
    assert (info.frames, info.width, info.height) == (len(GREYS), *grown)
    assert info.frame_rate == pytest.approx(25)
    assert info.codec == {"mp4": "h264", "webm": "vp9", "gif": "gif", "mkv": "png"}[kind]
    assert info.path == tmp_path / f"orbit.{kind}"
    assert info.bytes == info.path.stat().st_size
    assert encode.read_back(info.path) == info
    levels = decoded(info.path)[:, size[1] - 1, size[0] // 2].mean(axis=1)
    assert levels == pytest.approx(GREYS, abs=6 if kind == "gif" else 4)
    assert not list(tmp_path.glob(".part*"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "rate", [Fraction(30000, 1001), Fraction(1, 100), Fraction("12.5"), Fraction("0.3333333333333333")]
)
def test_the_movie_runs_at_the_rate_that_was_asked(tmp_path, images, kind, rate):
    info = encode.encode(images, tmp_path / f"m.{kind}", rate=rate)
    assert info.frame_rate == pytest.approx(float(rate), rel=0.02 if kind == "gif" else 1e-6)


@pytest.mark.parametrize("kind", ["mp4", "webm", "mkv"])
@pytest.mark.parametrize("rate", [Fraction(120), Fraction(1000)])
def test_fast_movies_keep_every_frame(tmp_path, images, kind, rate):
    assert encode.encode(images, tmp_path / f"m.{kind}", rate=rate).frames == len(images)


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_image_makes_a_movie(tmp_path, images, kind):
    assert encode.encode(images[:1], tmp_path / f"m.{kind}", rate=Fraction(30)).frames == 1


@pytest.mark.parametrize("kind", KINDS)
def test_frames_that_do_not_change_are_kept(tmp_path, kind):
    paths = write(tmp_path, [picture()] * 7)
    assert encode.encode(paths, tmp_path / f"m.{kind}", rate=Fraction(30)).frames == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_jpg_and_tiff_images_make_the_same_picture(tmp_path, kind, suffix):
    paths = write(tmp_path, [picture(grey=grey) for grey in GREYS], suffix)
    info = encode.encode(paths, tmp_path / f"m.{kind}", rate=Fraction(25))
    assert (info.frames, info.width, info.height) == (len(GREYS), *EVEN)
    assert_colours(decoded(info.path)[0], 16 if kind == "gif" else 9)


def test_threads_are_limited_where_asked():
    task = ffmpeg_args.Encoding("ffmpeg", "%06d.png", Path("/m.mp4"), EVEN, Fraction(25), threads=3)
    command = ffmpeg_args.encode_command(task)
    assert [command[at + 1] for at, word in enumerate(command) if word == "-threads"] == ["3", "3"]


# --- every other codec


def task(codec, size, rate=25, suffix=".png", **more):
    return ffmpeg_args.Encoding("ffmpeg", f"%06d{suffix}", Path("/m.mp4"), size, Fraction(rate), codec, "", **more)


@pytest.mark.parametrize("size", [EVEN, ODD, (130, 98)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(("kind", "codec"), OTHERS)
def test_every_codec_holds_every_frame_in_order_at_its_size_and_rate(tmp_path, kind, codec, size):
    paths = write(tmp_path, [picture(size, grey) for grey in GREYS], step=3)
    info = encode.encode(paths, tmp_path / f"orbit.{kind}", rate=Fraction(30000, 1001), codec=codec)
    grown = size if codec == "ffv1" else tuple(side + side % 2 for side in size)
    assert (info.frames, info.width, info.height) == (len(GREYS), *grown)
    assert info.frame_rate == pytest.approx(30000 / 1001)
    assert info.codec == {"h265": "hevc"}.get(codec, codec)
    assert encode.read_back(info.path) == info
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


def test_h265_bears_the_name_by_which_apple_knows_it(tmp_path, images):
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
    with pytest.raises(EncodeFailed, match="av1 holds no transparency"):
        encode.encode(images, tmp_path / "m.webm", rate=Fraction(25), codec="av1", transparent=True)


def test_av1_is_made_by_the_quick_encoder_where_that_takes_the_pictures():
    both = {"libsvtav1", "libaom-av1"}
    assert ffmpeg_args.with_encoder(task("av1", (1920, 1080)), both).encoder == "libsvtav1"
    assert ffmpeg_args.with_encoder(task("av1", (1920, 1080)), {"libaom-av1"}).encoder == "libaom-av1"
    assert ffmpeg_args.with_encoder(task("av1", (1920, 60)), both).encoder == "libaom-av1"
    assert ffmpeg_args.with_encoder(task("av1", (1920, 1080), 300), both).encoder == "libaom-av1"
    assert ffmpeg_args.with_encoder(task("av1", (63, 63), "1/4"), both).encoder == "libsvtav1"


def test_what_no_encoder_takes_is_told_with_the_encoder(tmp_path):
    paths = write(tmp_path, [picture((8, 8))] * 2)
    with pytest.raises(EncodeFailed, match=r"h265 is not possible for 8x8 pixels at 25 .*libx265; use another codec"):
        encode.encode(paths, tmp_path / "m.mp4", rate=Fraction(25), codec="h265")


def test_an_encoder_that_this_ffmpeg_lacks_is_told_with_the_cure(tmp_path, images, monkeypatch, poor_ffmpeg):
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


# --- colours


def assert_colours(frame, tolerance):
    for column, (name, colour) in enumerate(COLOURS.items()):
        inside = frame[6:18, column * 12 + 4 : column * 12 + 8].reshape(-1, 3)
        assert np.abs(inside - colour).max() <= tolerance, name


@pytest.mark.parametrize("kind", ["mp4", "webm", "mkv"])
def test_colours_come_back_as_they_went_in(tmp_path, images, kind):
    encode.encode(images, tmp_path / f"m.{kind}", rate=Fraction(25))
    for frame in decoded(tmp_path / f"m.{kind}"):
        assert_colours(frame, 0 if kind == "mkv" else 9)


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "h264"), ("webm", "vp9"), *OTHERS[:-1]])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_colours_are_stored_as_bt709_and_say_so(tmp_path, kind, codec, suffix):
    path = tmp_path / f"m.{kind}"
    encode.encode(write(tmp_path, [picture()] * 3, suffix), path, rate=Fraction(25), codec=codec)
    luma, blue, red = yuv_planes(path, *EVEN)
    for column, (name, colour) in enumerate(COLOURS.items()):
        r, g, b = (value / 255 for value in colour)
        y = 0.2126 * r + 0.7152 * g + 0.0722 * b  # ITU-R BT.709, table 3
        expected = (16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748)
        x = column * 12 + 6
        assert (luma[10, x], blue[5, x // 2], red[5, x // 2]) == pytest.approx(expected, abs=4), name
    told = subprocess.run([ffmpeg.ffmpeg(), "-i", path], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert b"yuv420p(tv, bt709" in told.stderr


def test_an_odd_mp4_repeats_its_edge_and_scales_nothing(tmp_path):
    pixels = picture(ODD, 40)
    pixels[:, -3:] = 230
    pixels[-3:] = 150
    path = tmp_path / "m.mp4"
    encode.encode(write(tmp_path, [pixels] * 2), path, rate=Fraction(25))
    luma = yuv_planes(path, 64, 48)[0]
    grown = np.pad(pixels[..., 0], ((0, 1), (0, 1)), mode="edge")
    grey = np.s_[26:, :]  # below the patches of colour
    assert np.abs(luma[grey] - (16 + 219 / 255 * grown[grey])).max() <= 6


def test_mp4_starts_with_its_index_so_that_a_browser_can_stream_it(tmp_path, images):
    info = encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    data = info.path.read_bytes()
    assert info.pixel_format == "yuv420p"
    assert 0 < data.index(b"moov") < data.index(b"mdat")


# --- transparency


@pytest.fixture
def see_through(tmp_path):
    """An opaque square and a half transparent one, moving over nothing."""
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


# --- gif


def test_a_gif_has_one_palette_for_all_frames_and_loops_forever(tmp_path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    pictures = [
        np.dstack(
            [np.roll(np.tile(ramp, (48, 1)), 4 * step, 1), np.full((48, 64), 15 * step), np.tile(255 - ramp, (48, 1))]
        )
        for step in range(16)
    ]
    path = tmp_path / "m.gif"
    encode.encode(write(tmp_path, [p.astype(np.uint8) for p in pictures]), path, rate=Fraction(30))
    data = path.read_bytes()
    shared, images = gif_palettes(data)
    assert len(shared) == 3 * 256
    assert len(images) == 16
    assert set(images) <= {b"", shared}, "an image has a palette of its own"  # ffmpeg 7 repeats the shared one once
    assert b"NETSCAPE2.0\x03\x01\x00\x00\x00" in data


def test_a_gif_of_30_a_second_keeps_time_on_average(tmp_path, images):
    info = encode.encode(images * 4, tmp_path / "m.gif", rate=Fraction(30))
    assert info.frames == 4 * len(images)
    assert info.frame_rate == pytest.approx(30, rel=0.01)


def test_a_gif_faster_than_players_go_is_refused(tmp_path, images):
    assert encode.encode(images, tmp_path / "m.gif", rate=Fraction(50)).frames == len(images)
    with pytest.raises(EncodeFailed, match=r"at most 50 frames a second, not 60"):
        encode.encode(images, tmp_path / "n.gif", rate=Fraction(60))


# --- mkv


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("size", [EVEN, ODD])
def test_mkv_is_the_images_pixel_for_pixel(tmp_path, suffix, size):
    noise = np.random.default_rng(7)
    pictures = [noise.integers(0, 256, (*size[::-1], 3), np.uint8) for _ in range(5)]
    encode.encode(write(tmp_path, pictures, suffix), tmp_path / "m.mkv", rate=Fraction(25))
    assert np.array_equal(decoded(tmp_path / "m.mkv"), np.stack(pictures))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_mkv_holds_the_very_bytes_of_the_files(tmp_path, images, suffix):
    paths = write(tmp_path, [picture(grey=grey) for grey in GREYS], suffix)
    info = encode.encode(paths, tmp_path / "m.mkv", rate=Fraction(25))
    assert info.codec == {"png": "png", "jpg": "mjpeg"}[suffix]
    command = [ffmpeg.ffmpeg(), "-v", "error", "-i", info.path, "-c", "copy", tmp_path / f"back%d.{suffix}"]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    assert [(tmp_path / f"back{n + 1}.{suffix}").read_bytes() for n in range(len(paths))] == [
        path.read_bytes() for path in paths
    ]


# --- never a wrong movie


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
@pytest.mark.parametrize("lost", [20, 1000])
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


@pytest.mark.parametrize(("kind", "codec"), [*((kind, "") for kind in KINDS), *OTHERS])
@pytest.mark.parametrize("other", [picture((32, 24)), picture(channels=4)], ids=["size", "channels"])
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


def test_a_movie_that_differs_from_what_was_asked_is_told_in_full(tmp_path, images):
    first = encode.read_back(images[0])
    info = encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    assert encode.differences(info, first, frames=8, rate=Fraction(25)) == []
    assert encode.differences(info, first, frames=9, rate=Fraction(24)) == [
        "8 frames instead of 9",
        "25 frames a second instead of 24",
    ]
    vp9 = encode.encode(images, tmp_path / "m.webm", rate=Fraction(25))
    assert encode.differences(vp9, first, frames=8, rate=Fraction(25), transparent=True) == ["no transparency"]
    small = encode.read_back(write(tmp_path, [picture((32, 24))])[0])
    assert encode.differences(info, small, frames=8, rate=Fraction(25)) == ["64x48 instead of 32x24"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_movie_does_not_read_back(tmp_path, images, kind):
    path = encode.encode(images, tmp_path / f"m.{kind}", rate=Fraction(25)).path
    intact = path.read_bytes()
    path.write_bytes(intact[: len(intact) * 2 // 3])
    try:
        assert encode.read_back(path).frames < len(images)
    except EncodeFailed as error:
        assert path.name in str(error)


def test_no_file_and_no_movie_do_not_read_back(tmp_path):
    with pytest.raises(EncodeFailed, match="No such file"):
        encode.read_back(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(EncodeFailed, match=r"text\.mp4"):
        encode.read_back(tmp_path / "text.mp4")


def test_a_movie_that_reads_back_wrong_is_not_kept(tmp_path, images, monkeypatch):
    monkeypatch.setattr(encode, "differences", lambda *_, **__: ["3 frames instead of 8"])
    with pytest.raises(EncodeFailed, match="did not read back as asked: 3 frames instead of 8"):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    assert list(tmp_path.iterdir()) == [tmp_path / "HD"]


# --- the tool and the disk


def fake_ffmpeg(tmp_path, monkeypatch, last_line, code):
    """Put a program before the real one that fails when it encodes, and passes everything else on."""
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
        ("", 137, "ended with code 137"),
        ("ffmpeg: error while loading shared libraries: libx264.so", 127, "code 127.*loading shared libraries"),
    ],
)
def test_a_failure_of_ffmpeg_is_told_in_its_own_words(tmp_path, images, monkeypatch, line, code, told):
    fake_ffmpeg(tmp_path, monkeypatch, line, code)
    with pytest.raises(EncodeFailed, match=f"m.mp4.*{told}"):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    assert not (tmp_path / "m.mp4").exists()


@pytest.mark.parametrize(("kind", "codec"), [(kind, codec) for kind, codecs in CODECS.items() for codec in codecs])
def test_a_full_disk_is_told_and_leaves_the_older_movie_and_nothing_else(tmp_path, kind, codec):
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


@pytest.mark.parametrize("limit", ["nr_inodes=6", "nr_inodes=12,size=4k"], ids=["links", "palette"])
def test_a_full_disk_for_temporary_files_is_told_with_its_name(tmp_path, images, limit, monkeypatch):
    with disk(tmp_path / "temporary", limit) as small:
        (small / "filler").write_bytes(b"x" * 4096)
        monkeypatch.setattr("tempfile.tempdir", str(small))
        with pytest.raises(NoSpace, match=re.escape(str(small))):
            encode.encode(images, tmp_path / "m.gif", rate=Fraction(25))
        assert list(small.iterdir()) == [small / "filler"]
    assert not list(tmp_path.glob("*.gif"))


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_a_full_quota_is_told_like_a_full_disk(tmp_path, images, monkeypatch, words):
    fake_ffmpeg(tmp_path, monkeypatch, f"[mp4 @ 0x1] [error] av_interleaved_write_frame(): {words}", 228)
    with pytest.raises(NoSpace, match=re.escape(f"{tmp_path}: no space left")):
        encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))


def test_ffmpeg_does_not_outlive_a_process_that_is_killed(tmp_path):
    (path,) = write(tmp_path, [np.zeros((720, 1280, 3), np.uint8)])
    program = (
        "import sys; from fractions import Fraction; from pathlib import Path; from mpirender.movie import encode; "
    )
    program += "encode.encode([Path(sys.argv[1])] * 20000, Path(sys.argv[2]), rate=Fraction(25))"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # what a killed process cannot tidy up
    with subprocess.Popen([sys.executable, "-c", program, path, tmp_path / "m.mp4"], env=environment) as process:
        wait_for((tmp_path / ".part-m.mp4").exists)
        child = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        assert lives(int(child))
        process.kill()
    wait_for(lambda: not lives(int(child)), seconds=5)


def lives(pid):
    """Say whether there is such a process; a zombie whose new parent has not looked yet is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_is_not_there_is_told(tmp_path, images, kind):
    with pytest.raises(EncodeFailed, match="No such file or directory"):
        encode.encode(images, tmp_path / "nowhere" / f"m.{kind}", rate=Fraction(25))


def test_a_missing_ffmpeg_is_told_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    with pytest.raises(ToolMissing, match=r"IMAGEIO_FFMPEG_EXE names /nowhere/ffmpeg.*pip install imageio-ffmpeg"):
        ffmpeg.ffmpeg()
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing, match=r"no ffmpeg.*pip install imageio-ffmpeg"):
        ffmpeg.ffmpeg()


def test_the_named_ffmpeg_is_used_without_importing_imageio(monkeypatch):
    real = ffmpeg.ffmpeg()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", real)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert ffmpeg.ffmpeg() == real


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a b", 'it\'s "q"', "100%d", "%06d", "-y", "a:b", "é*[x]?", "a\nb", "concat|x,y;[0]"])
def test_paths_of_any_name_work(tmp_path, kind, name, monkeypatch):
    folder = tmp_path / name
    paths = write(folder, [picture(grey=grey) for grey in GREYS[:3]])
    odd = [path.rename(folder / f"{name}{number}.PNG") for number, path in enumerate(paths)]
    monkeypatch.chdir(folder)
    relative = [Path(path.name) for path in odd]
    info = encode.encode(relative, Path(f"{name}.{kind}"), rate=Fraction(25))
    assert info.path == folder / f"{name}.{kind}"
    assert encode.read_back(Path(f"{name}.{kind}")).frames == 3
