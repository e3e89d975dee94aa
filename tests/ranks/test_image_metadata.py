"""What the files of images say about their origin, and that nothing else about them changes."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image as Picture

from mpirender.job.origin import Origin, Source, options_of
from mpirender.job.render_job import RenderJob
from mpirender.movie import encode, movie_metadata
from mpirender.ranks import image_metadata
from processes import Run
from records import done_frames

ORIGIN = Origin(
    "1.2", "ParaView 6.1.0", "wäve 波.pvsm", "HD", "7", "ab12", "mpirender render 'w ä.pvsm' --set A.B=1", 0.25
)
PICTURE = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(iio.imread(path, plugin="pillow"))


SHOWN = {  # what Pillow, and so most programs, finds in each kind of file
    "png": lambda image: (image.text["Title"], image.text["Software"], image.text["Comment"]),
    "jpg": lambda image: (image.getexif()[270], image.getexif()[305], image.info["comment"].decode()),
    "tiff": lambda image: (image.tag_v2[269], image.tag_v2[305], image.tag_v2[270]),
}


@pytest.mark.parametrize("kind", SHOWN)
def test_other_programs_find_the_metadata_and_the_same_pixels(tmp_path: Path, kind: str) -> None:
    latin = replace(ORIGIN, scene="wave.pvsm")  # Pillow reads the texts of Exif and tiff as Latin-1
    path = tmp_path / f"a.{kind}"
    iio.imwrite(path, PICTURE, plugin="pillow")
    before = pixels(path)
    image_metadata.insert(path, latin)
    assert np.array_equal(pixels(path), before)
    with Picture.open(path) as image:
        assert SHOWN[kind](image) == (latin.title, latin.software, latin.record)
    assert image_metadata.read(path.read_bytes()) == latin
    assert encode.encode([path] * 3, tmp_path / "m.mkv", rate=Fraction(25)).frames == 3  # ffmpeg is strict about damage


@pytest.mark.parametrize("kind", SHOWN)
def test_a_file_that_is_cut_short_is_no_reason_to_fail(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    iio.imwrite(path, PICTURE, plugin="pillow")
    image_metadata.insert(path, ORIGIN)
    content = path.read_bytes()
    assert image_metadata.read(content) == ORIGIN
    for length in range(0, len(content), 1 + len(content) // 300):
        image_metadata.read(content[:length])
        path.write_bytes(content[:length])
        image_metadata.insert(path, ORIGIN)


def test_the_byte_order_of_a_tiff_file_is_kept(tmp_path: Path) -> None:
    entries = [(256, 3, 1, 1 << 16), (257, 3, 1, 1 << 16), (262, 3, 1, 1 << 16), (273, 4, 1, 8), (279, 4, 1, 1)]
    packed = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    path = tmp_path / "a.tiff"
    path.write_bytes(struct.pack(">2sHI", b"MM", 42, 10) + b"\1\0" + struct.pack(">H", 5) + packed + bytes(4))
    before = pixels(path)
    image_metadata.insert(path, ORIGIN)
    assert np.array_equal(pixels(path), before)
    assert image_metadata.read(path.read_bytes()) == ORIGIN


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"scene": "a"}', ORIGIN.record.replace('"1.2"', "1"), "[" * 100_000]
)
def test_another_text_is_no_record(text: str) -> None:
    assert Origin.read(text) is None


def test_the_command_names_files_without_their_folders(tmp_path: Path) -> None:
    job = RenderJob(
        tmp_path / "secret" / "a.pvsm", tmp_path, ("HD", "small=64x48"), plugins=(str(tmp_path / "my.so"),),
        overrides={"Text1.Text": "50 km/h", "reader.FileName": "/home/me/b.vtu"}, frame_rate="30000/1001",
        views=("A", "B"), pvbatch="/opt/pv/bin/pvbatch", vary=("Cone1.Resolution=3,6",),
    )  # fmt: skip
    output = job.outputs[-1]
    words = options_of(job, output, ("movie", "frame_rate"))
    assert words == [
        "--size", "B_small=64x48", "--frame-rate", "30000/1001", "--view", "B", "--set", "Text1.Text=50 km/h",
        "--set", "reader.FileName=b.vtu", "--set", "Cone1.Resolution=6", "--plugin", "my.so",
    ]  # fmt: skip
    assert str(tmp_path) not in Source(job, output, "ParaView 6", "ab").image(3).record


def test_frames_are_the_same_files_whichever_rank_renders_them_and_metadata_are_no_reason_to_render_again(
    run: Run, pattern, tmp_path: Path
) -> None:
    scene = pattern('{"frames": 5}', "wéllé.pattern")
    size = ("--size", "64x48")
    for folder, options in {"a": ("-n", 1), "b": ("-n", 3, "--schedule", "dynamic"), "c": ("--no-metadata",)}.items():
        assert run("render", scene, *size, *options, "-o", folder).returncode == 0
    for frame in range(5):
        a, b, c = (tmp_path / folder / "64x48" / f"frame_{frame:06d}.png" for folder in "abc")
        assert a.read_bytes() == b.read_bytes() != c.read_bytes()
        assert np.array_equal(pixels(a), pixels(c))
        found = image_metadata.read(a.read_bytes())
        assert (found.scene, found.frames, found.time) == (scene.name, str(frame), frame)
        assert not image_metadata.read(c.read_bytes())
    told, untold = (movie_metadata.read(tmp_path / folder / "wéllé_64x48.mp4") for folder in "ac")
    assert (told.scene, told.frames, untold) == (scene.name, "0-4", None)
    result = run("render", scene, *size, "-o", "c")
    assert "0 rendered, 5 kept" in result.stdout, result.stderr
    assert len(done_frames(tmp_path / "c")) == 5
