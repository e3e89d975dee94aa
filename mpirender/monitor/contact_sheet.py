"""Contact sheets: thumbnails of images in rows and columns, with labels."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mpirender.job import frames as framesets
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import cores
from mpirender.run_folder.own_files import CONTACT_SHEET
from mpirender.supervisor.result import RenderResult
from mpirender.system import files

PICTURES = 12  # of a run
COLUMNS = 4
THUMBNAIL = 480  # pixels across
GAP = 12
LABEL = 26  # pixels
FONT = 16
PAPER = (24, 26, 31)
INK = (214, 218, 226)


class ContactSheet:
    """Thumbnails of images of one output, row by row; transparent parts show the background.

    The sheet has ``left`` and ``top`` pixels beside and above all thumbnails, and ``below`` pixels under each.
    """

    def __init__(
        self, output: Output, images: Sequence[Path], columns: int, *, left: int = GAP, top: int = GAP, below: int = 0
    ) -> None:
        self.width = min(THUMBNAIL, output.width)  # of a thumbnail, in pixels
        self.height = max(round(output.height * self.width / output.width), 1)
        with ThreadPoolExecutor(cores()) as pool:  # decoding and scaling let go of the interpreter lock
            pictures = list(pool.map(partial(_scaled, size=(self.width, self.height)), images))
        across, down = self.width + GAP, self.height + below + GAP
        places = [divmod(number, columns) for number in range(len(images))]
        self.corners = [(left + column * across, top + row * down) for row, column in places]  # of each thumbnail
        self._sheet = Image.new("RGB", (left + columns * across, top + (places[-1][0] + 1) * down), PAPER)
        for corner, picture in zip(self.corners, pictures):
            self._sheet.paste(picture, corner, picture if picture.mode == "RGBA" else None)

    def label(self, text: str, place: tuple[int, int]) -> None:
        """Write a text; ``place`` is its upper left corner in pixels."""
        ImageDraw.Draw(self._sheet).text(place, text, fill=INK, font=ImageFont.load_default(FONT))

    def save(self, folder: Path, made: files.Made) -> Path:
        """Write the sheet into the output folder; return its path. ``made`` records the file.

        :raises OSError: it cannot be written.
        """
        path = folder / CONTACT_SHEET
        with files.replacing(path, made=made) as part:
            self._sheet.save(part, "png", compress_level=1)
        return path


def of_run(job: RenderJob, result: RenderResult, made: files.Made) -> Path:
    """Put thumbnails of frames spread evenly over the movie on one sheet; return its path. ``made`` records it."""
    output = smallest(job)
    images = result.frames[output.name]
    count = min(len(images), PICTURES)
    chosen = [images[round(place * (len(images) - 1) / max(count - 1, 1))] for place in range(count)]
    sheet = ContactSheet(output, chosen, min(COLUMNS, count), below=LABEL)
    for image, (x, y) in zip(chosen, sheet.corners):
        sheet.label(f"frame {framesets.number(image)}", (x, y + sheet.height + 5))
    return sheet.save(job.output, made)


def trial(job: RenderJob, frames: Sequence[int], count: int) -> None:
    """Make the contact sheet of ``count`` frames from these frames, and do not keep it."""
    output = smallest(job)
    images = [job.image(output, frame) for frame in islice(cycle(frames), min(count, PICTURES))]
    with tempfile.TemporaryDirectory(prefix="mpirender-") as temporary:
        ContactSheet(output, images, min(COLUMNS, len(images)), below=LABEL).save(
            Path(temporary), lambda part, path: None
        )


def smallest(job: RenderJob) -> Output:
    """Return the output with the fewest pixels."""
    return min(job.outputs, key=lambda output: output.width * output.height)


def length(text: str) -> int:
    """Return the width of a label in pixels."""
    return round(ImageFont.load_default(FONT).getlength(text))


def _scaled(path: Path, size: tuple[int, int]) -> Image.Image:
    """Return a picture scaled to this many pixels."""
    with Image.open(path) as opened:
        mode = "RGBA" if "A" in opened.getbands() else "RGB"
        picture: Image.Image = opened.convert(mode).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return picture
