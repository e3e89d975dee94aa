"""Small copies of frames, as data URLs, within a limit of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from mpirender.launcher.placement import cores

QUALITY = 78
MOST_KEPT = 600  # pictures, the newest ones: a run in progress has other pictures on each page
EACH_SHARE = 3  # a picture may take so many times its share of the limit


class Album:
    """Makes pictures of frames, and keeps them while the files stay the same."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, int, int, int], bytes] = {}

    def urls(self, places: Sequence[Path], width: int, limit: int) -> list[str]:
        """Return a data URL for each picture; an empty one for a file that is gone, and beyond ``limit`` bytes.

        :param width: most pixels across.
        """
        with ThreadPoolExecutor(cores()) as pool:  # decoding and scaling let go of the interpreter lock
            made = list(pool.map(partial(self._small, width=width), places))
        for key in list(self._kept)[:-MOST_KEPT]:
            del self._kept[key]
        most, total, urls = EACH_SHARE * limit // max(len(places), 1), 0, []
        for picture in made:
            fits = len(picture) <= most and total + len(picture) <= limit
            total += len(picture) * fits
            urls.append(f"data:image/webp;base64,{base64.b64encode(picture).decode()}" if picture and fits else "")
        return urls

    def _small(self, place: Path, width: int) -> bytes:
        """Return a picture in WebP format, nothing if the file is gone or damaged."""
        try:
            state = place.stat()
            key = (place, width, state.st_size, state.st_mtime_ns)
            if key not in self._kept:
                self._kept[key] = _scaled(place, width)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for damaged files
            return b""
        return self._kept[key]


def _scaled(place: Path, width: int) -> bytes:
    with Image.open(place) as opened:
        opened.draft("RGB", (width, width))
        mode = "RGBA" if "A" in opened.getbands() else "RGB"
        picture = opened.convert(mode)
    if picture.width > width:
        size = (width, max(round(picture.height * width / picture.width), 1))
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    picture.save(file, "webp", quality=QUALITY, method=3)
    return file.getvalue()


def spread(items: Sequence[Path] | Sequence[int], count: int) -> Iterable[int]:
    """Return the places of so many items, spread evenly over all."""
    count = min(count, len(items))
    return [round(place * (len(items) - 1) / max(count - 1, 1)) for place in range(count)]
