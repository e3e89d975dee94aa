"""Measure what it costs to write an image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import writing
from mpirender.ranks import png


def rendering(path: Path) -> Path:
    """Write an image with smooth colors, as a rendering has, and return its path."""
    across, down = np.meshgrid(np.linspace(0, 9, 640), np.linspace(0, 5, 360))
    picture = np.stack([127 + 120 * np.sin(factor * across + down) for factor in (1, 2, 3)], axis=2).astype(np.uint8)
    png.write(path, picture, 9)
    return path


def test_isal_and_zlib_write_the_same_pixels_and_their_cost_is_a_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, image = tmp_path / "out", rendering(tmp_path / "wave.png")
    writing.main([str(image), "--output", str(output)])  # how long it takes is not for a test to say
    assert "wave.png  640×360" in capsys.readouterr().out
    measured = json.loads((output / "raw.json").read_text())["images"]
    assert len(measured) == 7
    assert all(one[way]["same"] and one[way]["bytes"] > 0 for one in measured for way in ("isal", "zlib"))


def test_too_slow_writing_and_changed_pixels_are_said() -> None:
    quick, slow, changed = (
        {"image": name, "size": [4, 4], "zlib": {"seconds": 1.0, "bytes": 9, "same": True},
         "isal": {"seconds": seconds, "bytes": 9, "same": same}}
        for name, seconds, same in (("a", 0.4, True), ("b", 0.5, True), ("c", 0.1, False))
    )  # fmt: skip
    assert writing.wrong({"images": [quick]}) == []
    assert writing.wrong({"images": [quick, slow, changed]}) == [
        "c: other pixels are read back", "b: isal takes 50 % of zlib's time, more than 45 %",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["missing.png", "text.png"])
def test_what_is_no_image_is_said_before_anything_is_measured(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no image")
    assert writing.main([str(tmp_path / name), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"writing: error: {tmp_path / name}: ")
    assert not (tmp_path / "out").exists()
