"""Average blocks of pixels, and compare frames of the test pattern."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest

from mpirender.engines import pattern as engine
from mpirender.engines.supersample import enlarged, reduced
from mpirender.errors import UsageError
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from processes import Run


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_pixel_is_the_mean_of_its_block(factor: int, channels: int) -> None:
    large = np.random.default_rng(1).integers(0, 256, (6 * factor, 5 * factor, channels), np.uint8)
    if channels == 4:
        large[..., 3] = 255
    small = reduced(large, factor)
    expected = large.reshape(6, factor, 5, factor, channels).mean((1, 3))
    assert (small.shape, small.dtype) == ((6, 5, channels), np.uint8)
    assert np.abs(small - expected).max() <= 0.5


def test_transparent_pixels_do_not_color_their_neighbors() -> None:
    large = np.array([[[200, 100, 40, 255], [0, 0, 0, 0]], [[200, 100, 40, 255], [0, 0, 0, 0]]], np.uint8)
    assert reduced(large, 2).tolist() == [[[200, 100, 40, 128]]]
    assert reduced(np.zeros((2, 2, 4), np.uint8), 2).tolist() == [[[0, 0, 0, 0]]]


def test_frames_keep_their_size_and_another_factor_renders_them_again(run: Run, pattern) -> None:
    scene = pattern('{"frames": 2}')
    output, size = scene.parent / "test_renders", Output("x", 97, 61)
    command = ("render", scene, "--size", "x=97x61", "--movie", "none", "--ranks", 1)
    for options, expected in (
        ((), engine.draw(1, 2, size)),
        (("--supersample", 2), reduced(engine.draw(1, 2, enlarged(size, 2)), 2)),
    ):
        done = run(*command, *options)
        assert done.returncode == 0, done.stderr
        assert np.array_equal(iio.imread(output / "x" / "frame_000001.png"), expected)
        assert "2 rendered, " in done.stdout


def test_sides_that_become_too_long_are_a_mistake(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"supersample 3 works up to 5461 pixels per side, not for 8K \(7680x4320\)"):
        RenderJob(tmp_path / "a.pvsm", sizes=("8K",), supersample=3)
    RenderJob(tmp_path / "a.pvsm", sizes=("8K",), supersample=2)
