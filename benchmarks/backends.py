"""Compare the pictures of the same scene rendered in several ways, side by side: by how much do they differ?

    python -m benchmarks.backends GLX=glx_renders/HD EGL=egl_renders/HD --sheet sheet.png

Each name stands for a folder of images. The table says of each pair on how many pixels any channel differs, on how many
by more than 16 of 255 levels, and by how much at most; the sheet shows some frames of each, and where they differ.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MUCH = 16  # levels of 255
SHOWN = 3  # frames on the sheet
WIDTH = 480  # pixels of a picture on the sheet
GAP, LABEL = 8, 26
PAPER, INK = (24, 26, 31), (214, 218, 226)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Difference:
    """By how much the pictures of two folders differ.

    Args:
        frames: number of frames compared.
        pixels: share of the pixels on which any channel differs, 0 to 1, over all frames.
        much: share of those on which one does by more than :data:`MUCH` levels.
        most: the largest difference of a channel, in levels of 255.
    """

    frames: int
    pixels: float
    much: float
    most: int


def main() -> None:
    """Print the table, and write the sheet where one is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0], prog="python -m benchmarks.backends"
    )
    parser.add_argument("folders", nargs="+", metavar="NAME=FOLDER", help="images of one way to render the scene")
    parser.add_argument("--sheet", type=Path, metavar="PICTURE", help="write some frames side by side (png or jpg)")
    arguments = parser.parse_args()
    folders = {name: Path(path) for name, _, path in (text.partition("=") for text in arguments.folders)}
    names = shared_frames(folders)
    if not names or len(folders) < 2:
        parser.error("give two folders or more with frames of the same names")
    print("\n".join(table(folders, names)))
    if arguments.sheet:
        sheet(folders, names).save(arguments.sheet, quality=90)
        print(f"\nsheet: {arguments.sheet}")


def shared_frames(folders: Mapping[str, Path]) -> list[str]:
    """Return the names of the images that all folders have, in order."""
    return sorted(set.intersection(*({path.name for path in folder.glob("frame_*")} for folder in folders.values())))


def table(folders: Mapping[str, Path], names: Sequence[str]) -> list[str]:
    """Return the lines of the table, a pair each."""
    lines = [f"{'pair':<20} {'frames':>6} {'pixels that differ':>19} {f'by more than {MUCH}':>16} {'at most':>8}"]
    for one, other in itertools.combinations(folders, 2):
        found = compare(folders[one], folders[other], names)
        pair = f"{one} - {other}"
        lines.append(f"{pair:<20} {found.frames:>6} {found.pixels:>19.4%} {found.much:>16.4%} {found.most:>8}")
    return lines


def compare(one: Path, other: Path, names: Sequence[str]) -> Difference:
    """Compare the images of two folders."""
    apart = [difference(iio.imread(one / name), iio.imread(other / name)) for name in names]
    return Difference(
        frames=len(names),
        pixels=float(np.mean([(levels > 0).mean() for levels in apart])),
        much=float(np.mean([(levels > MUCH).mean() for levels in apart])),
        most=max(int(levels.max()) for levels in apart),
    )


def difference(one: Picture, other: Picture) -> NDArray[np.int16]:
    """Return the largest difference of any channel, pixel by pixel, shape (height, width), in levels."""
    levels: NDArray[np.int16] = np.abs(one.astype(np.int16) - other.astype(np.int16)).max(axis=-1)
    return levels


def sheet(folders: Mapping[str, Path], names: Sequence[str]) -> Image.Image:
    """Return a picture with a column for each folder, and one that shows where they differ, white where the most."""
    chosen = [names[round(place * (len(names) - 1) / max(SHOWN - 1, 1))] for place in range(min(SHOWN, len(names)))]
    columns = [[iio.imread(folder / name)[..., :3] for name in chosen] for folder in folders.values()]
    apart = [np.ptp(np.stack(pictures).astype(np.int16), axis=0).max(axis=-1) for pictures in zip(*columns)]
    most = max(int(levels.max()) for levels in apart)
    shades = [(levels * (255 / max(most, 1))).astype(np.uint8) for levels in apart]
    columns.append([np.repeat(shade[..., None], 3, axis=-1) for shade in shades])
    labels = [*folders, f"where they differ, by at most {most} of 255"]
    height = round(columns[0][0].shape[0] * WIDTH / columns[0][0].shape[1])
    size = (len(columns) * (WIDTH + GAP) + GAP, len(chosen) * (height + GAP) + LABEL + GAP)
    paper = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(paper)
    for column, (label, pictures) in enumerate(zip(labels, columns)):
        left = GAP + column * (WIDTH + GAP)
        pen.text((left, 5), label, fill=INK, font=ImageFont.load_default(16))
        for row, picture in enumerate(pictures):
            small = Image.fromarray(picture).resize((WIDTH, height), Image.Resampling.LANCZOS)
            paper.paste(small, (left, LABEL + row * (height + GAP)))
    return paper


if __name__ == "__main__":
    main()
