"""Decode images and compare them pixel for pixel."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np

SIZE = "480x270"  # of the reference frames rendered by ParaView itself


def pixels(path: Path) -> np.ndarray:
    """Return the decoded image."""
    return np.asarray(iio.imread(path))


def assert_same_pictures(folder: Path, reference: Path) -> None:
    """Compare all images of two folders pixel for pixel, in the order of their names."""
    found, expected = sorted(folder.glob("*.png")), sorted(reference.glob("*.png"))
    assert len(found) == len(expected) > 0
    different = [
        image.name for image, other in zip(found, expected) if not np.array_equal(pixels(image), pixels(other))
    ]
    assert not different, f"{len(different)} of {len(found)} frames differ: {different}"
