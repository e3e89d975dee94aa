"""Encode a movie in segments with the real ffmpeg, join them, and compare the movie with the images of each frame."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image as Pillow

from disks import disk
from movies import SRGB, SRGB_ATOM, color_atom, color_tags, decoded, gif_palettes, read_back
from mpirender.errors import EncodeFailed
from mpirender.job.options import CODECS
from mpirender.job.origin import Origin
from mpirender.movie import encode, ffmpeg, ffmpeg_args, gif, movie_metadata, segment_plan
from mpirender.movie.segment_plan import Cores, Segment
from mpirender.movie.segments import Packets, SegmentedMovie, packet_differences
from mpirender.ranks import movies
from mpirender.run_folder import events, journal
from mpirender.run_folder.journal import Journal

FRAMES = 30
BOUNDS = (0, 11, 19, 30)
SEGMENTS = [Segment("HD", number, 3, *BOUNDS[number : number + 2], rank=number) for number in range(3)]
JOINED = [(kind, codec) for kind, codecs in CODECS.items() for codec in codecs if codec not in segment_plan.COPIED]
ORIGIN = Origin("1.2", "ParaView 6.1.0", "orbit.pvsm", "HD", "0-9", "ab12", "mpirender render orbit.pvsm")
NTSC = Fraction(30000, 1001)


def moving(frame: int, channels: int = 3) -> np.ndarray:
    """Return an image with moving content and a patch whose gray level encodes the frame number."""
    pixels = np.zeros((64, 96, channels), np.uint8)
    pixels[..., 0] = np.arange(96) * 2
    pixels[20:50, 2 * frame : 2 * frame + 20] = (250, 200, 40, 128)[:channels]
    pixels[:16, :16, :3] = 8 * frame
    if channels == 4:
        pixels[:16, :16, 3] = 255
    return pixels


@pytest.fixture
def film(tmp_path):
    """Return a function that writes images and returns their segmented movie."""

    def make(kind, codec="", rate=NTSC, channels=3, folder=tmp_path, picture=moving):
        folder.mkdir(exist_ok=True)
        images = [tmp_path / f"frame_{frame:06d}.png" for frame in range(FRAMES)]
        for frame, path in enumerate(images):
            iio.imwrite(path, picture(frame, channels))
        target = folder / f"orbit.{kind}"
        how = {"transparent": channels == 4, "origin": ORIGIN}
        return SegmentedMovie(images, target, rate, 1, codec or CODECS[kind][0], **how)

    return make


def encoded(film):
    if film.needs_palette:
        film.make_palette()
    return [film.encode(piece) for piece in SEGMENTS]


def left(film):
    return [path.name for path in film.movie.parent.iterdir() if path.name.startswith(".part-")]


# --- joined movies


@pytest.mark.parametrize(("kind", "codec"), JOINED)
def test_the_joined_movie_shows_just_the_frames_of_its_segments(film, kind, codec):
    one = film(kind, codec)
    segments = encoded(one)
    info = one.join(segments)
    back = read_back(one.movie)
    assert replace(back, frame_rate=info.frame_rate) == info
    assert back.frame_rate == pytest.approx(info.frame_rate, rel=1e-5)
    assert (info.frames, info.width, info.height) == (FRAMES, 96, 64)
    assert info.frame_rate == pytest.approx(float(NTSC), rel=0.01 if kind == "gif" else 1e-5)
    frames = decoded(one.movie)
    assert np.array_equal(frames, np.concatenate([decoded(one.segment_path(number)) for number in range(3)]))
    greys = frames[:, 4:12, 4:12].mean(axis=(1, 2, 3))
    assert greys == pytest.approx(8 * np.arange(FRAMES), abs=6)
    assert kind not in ("mp4", "webm") or color_tags(one.movie) == SRGB
    assert kind != "mp4" or color_atom(one.movie) == SRGB_ATOM
    one.clear(3)
    assert not left(one)
    assert movie_metadata.read(one.movie) == ORIGIN


@pytest.mark.parametrize(
    ("kind", "rate"), [("mp4", Fraction("0.3333333333333333")), ("mp4", Fraction(1000)), ("webm", Fraction(1, 100))]
)
def test_the_joined_movie_keeps_time_at_every_rate(film, kind, rate):
    one = film(kind, rate=rate)
    one.join(encoded(one))
    assert read_back(one.movie).frame_rate == pytest.approx(float(rate), rel=1e-5)


def test_an_mp4_begins_with_its_index_and_goes_by_apples_name_when_joined_too(film):
    one = film("mp4", "h265")
    one.join(encoded(one))
    data = one.movie.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"hvc1" in data
    assert b"hev1" not in data


def test_transparency_survives_the_join(film):
    one = film("webm", channels=4)
    info = one.join(encoded(one))
    assert info.pixel_format == "yuva420p"
    alpha = decoded(one.movie, "rgba", "-c:v", "libvpx-vp9")[..., 3]
    for frame in range(FRAMES):
        assert alpha[frame, 35, 2 * frame + 10] == pytest.approx(128, abs=10), frame
        assert alpha[frame, 60, 5] <= 6, frame


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_segments_are_joined_in_a_folder_of_any_name(film, tmp_path, kind):
    one = film(kind, folder=tmp_path / "it's 100%d\né")
    one.join(encoded(one))
    assert read_back(one.movie).frames == FRAMES


def test_a_gif_has_one_palette_for_all_segments_and_readers_beside_ffmpeg_show_each_frame(film):
    one = film("gif", rate=Fraction(30))
    one.join(encoded(one))
    data = one.movie.read_bytes()
    shared, tables = gif_palettes(data)
    assert len(shared) == 3 * 256
    assert set(tables) <= {b"", shared}
    assert b"NETSCAPE2.0\x03\x01\x00\x00\x00" in data
    with Pillow.open(one.movie) as opened:
        delays = []
        for frame in range(opened.n_frames):
            opened.seek(frame)
            delays.append(opened.info["duration"])
            assert np.asarray(opened.convert("RGB"))[4:12, 4:12].mean() == pytest.approx(8 * frame, abs=6)
    assert len(delays) == FRAMES
    assert sum(delays) == 1000
    assert set(delays) == {30, 40}


def test_gifs_of_different_palettes_or_cut_short_are_not_joined(film, tmp_path):
    one = film("gif")
    encoded(one)
    parts = [one.segment_path(number) for number in range(3)]
    colour = bytearray(parts[1].read_bytes())
    colour[20] ^= 1
    for wrong, told in ((bytes(colour), "a palette other than"), (parts[1].read_bytes()[:-200], "truncated")):
        parts[1].write_bytes(wrong)
        with pytest.raises(EncodeFailed, match=told):
            gif.join(parts, tmp_path / "joined.gif", NTSC)
        encoded(one)


def test_the_palette_of_segments_is_that_of_one_encoder(film):
    one = film("gif")
    one.join(encoded(one))
    joined = gif_palettes(one.movie.read_bytes())[0]
    one.make()
    assert gif_palettes(one.movie.read_bytes())[0] == joined


# --- errors


def test_a_segment_that_changed_after_it_was_checked_is_not_joined(film):
    one = film("mp4")
    segments = encoded(one)
    data = bytearray(one.segment_path(1).read_bytes())
    data[data.rindex(b"mdat") + len(data) // 3] ^= 0x55
    one.segment_path(1).write_bytes(data)
    one.movie.write_bytes(b"older")
    with pytest.raises(EncodeFailed, match=r"orbit\.mp4"):
        one.join(segments)
    assert one.movie.read_bytes() == b"older"
    assert not [name for name in left(one) if name.endswith("-orbit.mp4")]


def test_segments_that_differ_are_not_joined(film):
    one = film("mp4")
    segments = encoded(one)
    for path in one.images[11:19]:
        iio.imwrite(path, np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(EncodeFailed, match=r"could not be joined: they differ: .*48.*64"):
        one.join([segments[0], one.encode(SEGMENTS[1]), segments[2]])
    assert not one.movie.exists()


def test_errors_of_a_joined_movie_are_reported():
    task = ffmpeg_args.Encoding("ffmpeg", "", Path("m.mp4"), (64, 48), Fraction(25))
    parts = [Packets(Fraction(1, 25), (0, 1), hashes, ("x",)) for hashes in (("a", "b"), ("c", "d"))]
    whole = Packets(Fraction(1, 25), (0, 1, 2, 3), ("a", "b", "c", "d"), ("x",))
    assert packet_differences(whole, parts, task) == []
    assert packet_differences(replace(whole, hashes=("a", "b", "c", "e")), parts, task) == [
        "its packets differ from those of its segments"
    ]
    assert packet_differences(replace(whole, headers=("y",)), parts, task) == ["its segments have different headers"]
    assert packet_differences(replace(whole, stamps=(0, 1, 3, 4)), parts, task) == ["a frame is 0.04 s off its time"]


def test_a_damaged_image_is_named_and_leaves_the_older_movie(film):
    one = film("mp4")
    os.truncate(one.images[15], 60)
    with pytest.raises(encode.ImageDamaged, match=r"frame_000015\.png is damaged"):
        encoded(one)


# --- fall back to one encoder


def join_or_encode(film, tmp_path, made):
    """Return the result and the records written by the call."""
    parts = [movies.SegmentResult(piece, one, None, 0.0) for piece, one in zip(SEGMENTS, made)]
    with Journal(tmp_path, 0, "host") as log:
        came = movies.join_or_encode(log, film, parts, None)
    return came, journal.read(tmp_path)


def test_where_segments_cannot_be_joined_one_encoder_makes_the_movie_and_a_warning_says_so(film, tmp_path):
    one = film("mp4")
    made = encoded(one)
    one.segment_path(2).unlink()
    came, (record,) = join_or_encode(one, tmp_path, made)
    assert came == (False, None)
    assert isinstance(record, events.Warning)
    assert "one encoder makes the movie instead" in record.text
    assert read_back(one.movie).frames == FRAMES
    assert not left(one)


def test_an_ffmpeg_that_cannot_join_still_makes_the_movie(film, tmp_path, monkeypatch):
    one, real = film("mp4"), ffmpeg.ffmpeg()
    made = encoded(one)
    fake = tmp_path / "ffmpeg"
    fake.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        f"if 'concat' in sys.argv:\n    sys.exit('Unknown input format: concat')\n"
        f"os.execv({real!r}, sys.argv)\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))
    came, (record,) = join_or_encode(one, tmp_path, made)
    assert came == (False, None)
    assert "Unknown input format" in record.text
    assert read_back(one.movie).frames == FRAMES


def test_a_disk_that_holds_the_movie_once_but_not_twice_gets_it_from_one_encoder(film, tmp_path):
    noise = np.random.default_rng(3)
    with disk(tmp_path / "small", "size=1200k") as small:
        one = film("mp4", folder=tmp_path, picture=lambda *_: noise.integers(0, 256, (64, 96, 3), np.uint8))
        one = replace(one, movie=small / "orbit.mp4")
        made = encoded(one)
        needed = sum(one.segment_path(number).stat().st_size for number in range(3))
        (small / "filler").write_bytes(bytes(1200 * 1024 - 2 * needed + needed // 3))
        came, (record,) = join_or_encode(one, tmp_path, made)
        assert came == (False, None), record
        assert "no space left" in record.text
        assert read_back(one.movie).frames == FRAMES
        assert not left(one)


# --- assignment to ranks


def test_pieces_are_contiguous_and_every_rank_gets_one_of_each_movie():
    pieces = segment_plan.plan(("HD", "4K"), 250, [0, 1, 2], "h264", transparent=False)
    for size in ("HD", "4K"):
        mine = [piece for piece in pieces if piece.output == size]
        assert [piece.start for piece in mine] == [0, *(piece.stop for piece in mine[:-1])]
        assert mine[-1].stop == 250
        assert sorted(piece.rank for piece in mine) == [0, 1, 2]
        assert max(piece.stop - piece.start for piece in mine) <= 84


def test_no_piece_is_short_and_what_gains_nothing_is_left_whole():
    assert len(segment_plan.plan(("HD",), 250, range(64), "h264", transparent=False)) == 250 // segment_plan.SHORTEST
    assert len(segment_plan.plan(("HD",), 99, range(64), "vp9", transparent=True)) == 1
    assert len(segment_plan.plan(("HD",), 1000, range(8), "images", transparent=False)) == 1
    assert len(segment_plan.plan(("HD",), 1000, range(8), "gif", transparent=True)) == 1
    assert len(segment_plan.plan(("HD",), 1000, range(8), "gif", transparent=False)) == 8
    whole = segment_plan.plan(("HD", "4K", "8K"), 20, [0, 1], "h264", transparent=False)
    assert [piece.rank for piece in whole] == [0, 1, 0]


def test_work_goes_round_among_the_hosts_and_their_cores_are_shared_by_those_that_have_some():
    four = frozenset(range(4))
    cores = [Cores("a", four), Cores("a", four), Cores("b", four), Cores("b", frozenset({0}))]
    assert segment_plan.rank_order(cores) == [0, 2, 1, 3]
    two = [Segment("HD", number, 2, 0, 1, rank) for number, rank in enumerate((0, 2))]
    assert segment_plan.threads_of(cores, two) == {0: 4, 2: 4}
    every = [Segment("HD", number, 4, 0, 1, number) for number in range(4)]
    assert segment_plan.threads_of(cores, every) == {0: 2, 1: 2, 2: 2, 3: 1}
    crowded = [Cores("a", frozenset({0}))] * 3
    assert segment_plan.threads_of(crowded, every[:3]) == {0: 1, 1: 1, 2: 1}
