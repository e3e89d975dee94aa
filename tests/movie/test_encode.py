"""Encode movies of every kind, decode them and compare the frames with the images."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from movies import EVEN, GREYS, KINDS, ODD, assert_colours, decoded, gif_palettes, picture, read_back, write, yuv_planes
from mpirender.errors import EncodeFailed
from mpirender.movie import encode, ffmpeg, ffmpeg_args


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
    assert read_back(info.path) == info
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
def test_jpg_and_tiff_images_make_the_same_image(tmp_path, kind, suffix):
    paths = write(tmp_path, [picture(grey=grey) for grey in GREYS], suffix)
    info = encode.encode(paths, tmp_path / f"m.{kind}", rate=Fraction(25))
    assert (info.frames, info.width, info.height) == (len(GREYS), *EVEN)
    assert_colours(decoded(info.path)[0], 16 if kind == "gif" else 9)


def test_threads_are_limited_where_asked():
    task = ffmpeg_args.Encoding("ffmpeg", ".png", Path("/m.mp4"), EVEN, Fraction(25), threads=3)
    command = ffmpeg_args.encode_command(task)
    assert [command[at + 1] for at, word in enumerate(command) if word == "-threads"] == ["3", "3"]


def test_an_odd_mp4_repeats_its_edge_and_scales_nothing(tmp_path):
    pixels = picture(ODD, 40)
    pixels[:, -3:] = 230
    pixels[-3:] = 150
    path = tmp_path / "m.mp4"
    encode.encode(write(tmp_path, [pixels] * 2), path, rate=Fraction(25))
    luma = yuv_planes(path, 64, 48)[0]
    grown = np.pad(pixels[..., 0], ((0, 1), (0, 1)), mode="edge")
    grey = np.s_[26:, :]  # below the color patches
    assert np.abs(luma[grey] - (16 + 219 / 255 * grown[grey])).max() <= 6


def test_mp4_starts_with_its_index_so_that_a_browser_can_stream_it(tmp_path, images):
    info = encode.encode(images, tmp_path / "m.mp4", rate=Fraction(25))
    data = info.path.read_bytes()
    assert info.pixel_format == "yuv420p"
    assert 0 < data.index(b"moov") < data.index(b"mdat")


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
    assert set(images) <= {b"", shared}, "the images share one palette"  # ffmpeg 7 repeats the shared one once
    assert b"NETSCAPE2.0\x03\x01\x00\x00\x00" in data


def test_a_gif_of_30_a_second_keeps_time_on_average(tmp_path, images):
    info = encode.encode(images * 4, tmp_path / "m.gif", rate=Fraction(30))
    assert info.frames == 4 * len(images)
    assert info.frame_rate == pytest.approx(30, rel=0.01)


def test_a_gif_faster_than_players_go_is_refused(tmp_path, images):
    assert encode.encode(images, tmp_path / "m.gif", rate=Fraction(50)).frames == len(images)
    with pytest.raises(EncodeFailed, match=r"at most 50 frames a second, not 60"):
        encode.encode(images, tmp_path / "n.gif", rate=Fraction(60))


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


NAMES = ("-y", "a b", 'it\'s "q"', "100%d", "%06d", "a:b", "é*[x]?", "a\nb", "concat|x,y;[0]")
OF_EVERY_KIND = ("".join(NAMES), "a:b")


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("mp4", name) for name in NAMES), *((kind, name) for kind in KINDS[1:] for name in OF_EVERY_KIND)],
)
def test_paths_of_any_name_work(tmp_path, kind, name, monkeypatch):
    folder = tmp_path / name
    paths = write(folder, [picture(grey=grey) for grey in GREYS[:3]])
    odd = [path.rename(folder / f"{name}{number}.PNG") for number, path in enumerate(paths)]
    monkeypatch.chdir(folder)
    relative = [Path(path.name) for path in odd]
    info = encode.encode(relative, Path(f"{name}.{kind}"), rate=Fraction(25))
    assert info.path == folder / f"{name}.{kind}"
    assert read_back(Path(f"{name}.{kind}")).frames == 3
