"""Write PNG files fast: one filter for all rows, and strips of them compressed at once.

Libraries try five filters on every row, which costs more than the compression: at 4K, a sixth of the time of a whole
frame. Rows that are stored as differences from the row above suit renderings, whose columns change slowly. zlib lets go
of the interpreter lock while it works, so threads compress strips of one picture side by side.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # grey, grey and alpha, RGB, RGBA; PNG specification, section 11.2.2
UP = 2  # the filter's number in front of every row; section 9.2
ZLIB_HEADER = b"\x78\x01"  # deflate, a window of 32 KiB; RFC 1950
RAW = -15  # for zlib: such a window, no header and no checksum
ADLER_BASE = 65521  # RFC 1950, section 9
ROWS = 256  # of a strip, whatever the number of threads, so that the same picture makes the same file

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]  # the built-in one, or that of a thread pool


class Strip(NamedTuple):
    """Some rows of a picture: compressed, the checksum of what they were, and how many bytes that was."""

    compressed: bytes
    adler: int
    length: int


def write(path: Path, picture: NDArray[np.uint8], compression_level: int, each: Map = map) -> None:
    """Write a picture.

    Args:
        picture: rows from the top, shape (height, width, channels), 8 bits a channel, 1 to 4 channels.
        compression_level: of zlib, 0 to 9.
        each: applies a function to every strip, at once where it is a thread pool's.

    Raises:
        OSError: it cannot be written.
    """
    height, width, channels = picture.shape
    flat = picture.reshape(height, width * channels)
    borders = [(first, min(first + ROWS, height)) for first in range(0, height, ROWS)]
    last = len(borders) - 1

    def compress(place: int) -> Strip:
        return _compress(flat, *borders[place], compression_level, zlib.Z_FINISH if place == last else _GO_ON)

    made = list(each(compress, range(len(borders))))
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    data = [ZLIB_HEADER, *(strip.compressed for strip in made), struct.pack(">I", adler32(made))]
    with path.open("wb") as file:
        file.write(SIGNATURE)
        for kind, content in ((b"IHDR", header), *((b"IDAT", part) for part in data), (b"IEND", b"")):
            file.writelines(_chunk(kind, content))


# Ends a strip at a whole byte and lets the next one follow.
_GO_ON = zlib.Z_SYNC_FLUSH


def _compress(flat: NDArray[np.uint8], first: int, end: int, level: int, how: int) -> Strip:
    """Filter and compress some rows of a picture whose rows are flat."""
    import numpy as np

    rows = np.empty((end - first, 1 + flat.shape[1]), np.uint8)
    rows[:, 0] = UP
    if first:
        np.subtract(flat[first:end], flat[first - 1 : end - 1], out=rows[:, 1:])  # modulo 256, as the filter is defined
    else:
        rows[0, 1:] = flat[0]
        np.subtract(flat[1:end], flat[: end - 1], out=rows[1:, 1:])
    deflate = zlib.compressobj(level, zlib.DEFLATED, RAW)
    compressed = deflate.compress(rows.data) + deflate.flush(how)
    return Strip(compressed, zlib.adler32(rows.data), rows.size)


def adler32(strips: Sequence[Strip]) -> int:
    """Return the checksum of what all strips were, one after the other, from the checksum of each.

    Its halves are a = 1 + the sum of all bytes, and b = the sum of a after each byte, modulo 65521 (RFC 1950, section
    8.2). Behind a first part that ends with (a, b), one of n bytes that alone would give (c, d) ends with
    (a + c - 1, b + d + n (a - 1)).
    """
    low, high = 1, 0
    for strip in strips:
        high = (high + (strip.adler >> 16) + strip.length * (low - 1)) % ADLER_BASE
        low = (low + (strip.adler & 0xFFFF) - 1) % ADLER_BASE
    return high << 16 | low


def _chunk(kind: bytes, content: bytes) -> Iterator[bytes]:
    yield struct.pack(">I", len(content)) + kind
    yield content
    yield struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
