"""Choose codec and pixel format when rendering, and keep or change them when encoding again."""

from __future__ import annotations

import pytest

from movies import SRGB, color_tags, read_back
from mpirender.errors import UsageError
from mpirender.job.render_job import RenderJob
from processes import Run

SIZE = "64x48"


def test_a_run_makes_its_movie_with_the_codec_asked_for_and_encode_keeps_it(run: Run, pattern) -> None:
    scene = pattern('{"frames": 104}')  # enough for a segment of each rank
    done = run("render", scene, "--size", SIZE, "--ranks", 2, "--codec", "h265", "--pixel-format", "yuv444p")
    assert done.returncode == 0, done.stderr
    output = scene.parent / "test_renders"
    movie = output / f"test_{SIZE}.mp4"
    made = read_back(movie)
    assert (made.frames, made.codec, made.pixel_format) == (104, "hevc", "yuv444p")
    assert color_tags(movie) == SRGB
    assert run("encode", output, "--frame-rate", 50).returncode == 0
    again = read_back(movie)
    assert (again.codec, again.pixel_format, again.frame_rate) == ("hevc", "yuv444p", 50)
    assert run("encode", output, "--codec", "h264", "--pixel-format", "yuv420p").returncode == 0
    other = read_back(output / f"test_{SIZE}_h264.mp4")
    assert (other.codec, other.pixel_format) == ("h264", "yuv420p")
    assert read_back(movie) == again
    assert run("encode", output, "--movie", "gif").returncode == 0


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"codec": "vp9"}, "codec 'vp9' must be one of: h264, h265, av1 for mp4"),
        ({"pixel_format": "yuv444p", "movie": "gif"}, "applies to mp4 and webm, not to gif"),
        ({"pixel_format": "yuv444p", "movie": "webm", "transparent_background": True}, "does not support transparency"),
        ({"codec": "av1", "movie": "webm", "transparent_background": True}, "codec av1 does not support transparency"),
    ],
)
def test_what_a_movie_does_not_support_is_a_mistake(tmp_path, options, mistake) -> None:
    with pytest.raises(UsageError, match=mistake):
        RenderJob(tmp_path / "a.pvsm", **options)


def test_a_size_that_no_encoder_takes_is_named_before_anything_is_rendered(run: Run, pattern) -> None:
    done = run("render", pattern(), "--size", "8x8", "--codec", "h265")
    assert done.returncode == 2
    assert "h265 is not possible for 8x8 pixels" in done.stderr
    assert "use another codec" in done.stderr


def test_encode_names_a_wrong_pixel_format(run: Run, pattern) -> None:
    scene = pattern('{"frames": 1}')
    assert run("render", scene, "--size", SIZE, "--movie", "none").returncode == 0
    done = run("encode", scene.parent / "test_renders", "--pixel-format", "rgb")
    assert done.returncode == 2
    assert "--pixel-format 'rgb' must be one of: yuv420p, yuv444p" in done.stderr
