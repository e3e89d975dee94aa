"""Make pictures such as renderers make: shaded and banded spheres that move over a gradient and a grid. No noise."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from mpirender.job import frames as framesets
from mpirender.launcher.placement import cores

COLOURS = ((0.9, 0.3, 0.2), (0.2, 0.6, 0.9), (0.3, 0.8, 0.3), (0.9, 0.8, 0.2), (0.7, 0.4, 0.9))
LIGHT = (0.5, -0.6, 0.62)
PERIOD = 250  # frames until it all repeats

Pixels = np.ndarray  # height, width, 3


def make(folder: Path, frames: int, size: tuple[int, int]) -> None:
    """Write so many PNG files, each compressed as mpirender does."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(cores()) as pool:
        for _ in pool.map(partial(write, folder, size), range(frames), chunksize=4):
            pass


def write(folder: Path, size: tuple[int, int], frame: int) -> None:
    """Write the picture of a frame."""
    iio.imwrite(folder / framesets.file_name(frame, "png"), picture(size, frame), compress_level=1)


def picture(size: tuple[int, int], frame: int) -> Pixels:
    """Return the picture of a frame; sizes are width and height in pixels."""
    turn = 2 * np.pi * frame / PERIOD
    pixels = background(size).copy()
    for number, colour in enumerate(COLOURS):
        phase = turn + 1.3 * number
        draw(pixels, (0.6 * np.cos(phase), 0.3 * np.sin(2 * turn + number)), 0.12 + 0.03 * number, colour, phase)
    return pixels


@cache
def background(size: tuple[int, int]) -> Pixels:
    """Return a gradient under a grid of thin lines."""
    width, height = size
    pixels = np.repeat(np.linspace(30, 110, height, dtype=np.float32)[:, None, None], width, axis=1).repeat(3, axis=2)
    pixels[:: max(height // 12, 2)] = 190
    pixels[:, :: max(height // 12, 2)] = 190
    return pixels.astype(np.uint8)


def draw(
    pixels: Pixels, centre: tuple[float, float], radius: float, colour: tuple[float, float, float], phase: float
) -> None:
    """Draw a lit sphere with bands that turn; lengths are in heights of the picture, from its middle."""
    height, width = pixels.shape[:2]
    x, y, r = width / 2 + centre[0] * height, height / 2 + centre[1] * height, radius * height
    left, right = (int(np.clip(edge, 0, width)) for edge in (x - r, x + r))
    top, bottom = (int(np.clip(edge, 0, height)) for edge in (y - r, y + r))
    across = ((np.arange(left, right, dtype=np.float32) - x) / r)[None, :]
    down = ((np.arange(top, bottom, dtype=np.float32) - y) / r)[:, None]
    toward = np.sqrt(np.maximum(1 - across**2 - down**2, 0))
    light = np.clip(across * LIGHT[0] + down * LIGHT[1] + toward * LIGHT[2], 0, 1)
    bands = 0.8 + 0.2 * np.sin(20 * (across * np.cos(phase) + down * np.sin(phase)))
    shade = 20 + 200 * (light * bands)[..., None] * np.asarray(colour, np.float32) + 100 * (light**16)[..., None]
    inside = pixels[top:bottom, left:right]
    inside[toward > 0] = np.clip(shade, 0, 255).astype(np.uint8)[toward > 0]


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4])))
