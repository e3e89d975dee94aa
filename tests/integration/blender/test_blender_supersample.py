"""Render Blender files at twice their size, and scale the images down."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from blender_runs import rendered
from images import pixels
from processes import Run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["quick", "lines"])
def test_images_keep_their_size_and_line_art_its_width(
    run: Run, blends: SimpleNamespace, tmp_path: Path, name: str
) -> None:
    pictures = []
    for factor in (1, 2):
        output = tmp_path / str(factor)
        words = (blends.file(name), "--frames", 1, "--ranks", 1, "--movie", "none", "--output", output)
        rendered(run, *words, "--supersample", factor)
        (path,) = output.glob("*/frame_000001.png")
        pictures.append(pixels(path)[..., :3].astype(float))
    plain, smooth = pictures
    assert plain.shape == smooth.shape == (90, 160, 3)
    assert not np.array_equal(plain, smooth)
    assert smooth.mean((0, 1)) == pytest.approx(plain.mean((0, 1)), abs=2)
    assert np.abs(smooth - plain).mean() < 4


@pytest.mark.parametrize(
    ("name", "why"), [("deep", "8 bits"), ("grey", "cropped render region"), ("passes", "File Output nodes")]
)
def test_what_would_have_another_size_is_refused(run: Run, blends: SimpleNamespace, name: str, why: str) -> None:
    done = run("render", blends.file(name), "--ranks", 1, "--supersample", 2)
    assert done.returncode == 2, done.stderr
    assert why in done.stderr
