"""Write PNG files fast: one filter for all rows, and strips of rows that threads compress in parallel.

Libraries try five filters on every row, which takes longer than the compression: at 4K, a sixth of the time of a whole
frame. Differences from the row above suit renderings, whose columns change slowly. zlib releases the interpreter lock,
so several threads can compress strips of one image.

The module isal (Intel's ISA-L) compresses at level 1 with a fifth of zlib's work, and a little smaller. It is a
compiled module of the user's Python, which the Python of ParaView may be unable to import: zlib does the same then.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

fast: ModuleType = zlib
with contextlib.suppress(ImportError):
    from isal import isal_zlib as fast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FAST_LEVEL = 1  # at which isal compresses: its other levels are slower and make no smaller files
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # gray, gray and alpha, RGB, RGBA; PNG specification, section 11.2.2
UP = 2  # number of the filter, before every row; section 9.2
ZLIB_HEADER = b"\x78\x01"  # deflate, a window of 32 KiB; RFC 1950
RAW = -15  # for zlib: the same window, without header and checksum
ADLER_BASE = 65521  # RFC 1950, section 9
ROWS = 256  # of a strip; independent of the number of threads, so that the same image gives the same file

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]  # the built-in function, or a thread pool's method


class Strip(NamedTuple):
    """Rows of an image: compressed, with checksum and length of the uncompressed bytes."""

    compressed: bytes
    adler: int
    length: int


def write(
    path: Path, picture: NDArray[np.uint8], compression_level: int, each: Map = map,
    texts: Sequence[tuple[bytes, bytes]] = (),
) -> None:  # fmt: skip
    """Write an image.

    :param picture: rows from the top, shape (height, width, channels), uint8, 1 to 4 channels.
    :param compression_level: of zlib, 0 to 9; at 1 isal compresses where it can be imported.
    :param each: applies a function to every strip; a thread pool's map does so in parallel.
    :param texts: kind and content of further chunks, before the pixels.
    """
    height, width, channels = picture.shape
    flat = picture.reshape(height, width * channels)
    made = list(each(partial(_compress, flat, level=compression_level), range(0, height, ROWS)))
    header = struct.pack(">IIBBBBB", width, height, 8, COLOR_TYPES[channels], 0, 0, 0)
    data = [ZLIB_HEADER, *(strip.compressed for strip in made), struct.pack(">I", adler32(made))]
    with path.open("wb") as file:
        file.write(SIGNATURE)
        for kind, content in ((b"IHDR", header), *texts, *((b"IDAT", part) for part in data), (b"IEND", b"")):
            file.writelines(_chunk(kind, content))


def _compress(flat: NDArray[np.uint8], first: int, level: int) -> Strip:
    """Filter and compress a strip, from row ``first`` of an image, an array of shape (height, bytes of a row)."""
    import numpy as np

    end = min(first + ROWS, len(flat))
    rows = np.empty((end - first, 1 + flat.shape[1]), np.uint8)
    rows[:, 0] = UP
    if first:
        np.subtract(flat[first:end], flat[first - 1 : end - 1], out=rows[:, 1:])  # modulo 256, as the filter is defined
    else:
        rows[0, 1:] = flat[0]
        np.subtract(flat[1:end], flat[: end - 1], out=rows[1:, 1:])
    deflate = (fast if level == FAST_LEVEL else zlib).compressobj(level, zlib.DEFLATED, RAW)
    # A strip ends at a whole byte, so that the next one can follow.
    compressed = deflate.compress(rows.data) + deflate.flush(zlib.Z_FINISH if end == len(flat) else zlib.Z_SYNC_FLUSH)
    return Strip(compressed, fast.adler32(rows.data), rows.size)


def adler32(strips: Sequence[Strip]) -> int:
    """Return the checksum of all strips together from the checksums of the strips.

    Its halves are a = 1 + the sum of all bytes, and b = the sum of a after each byte, modulo 65521 (RFC 1950, section
    8.2). If a first part has (a, b) and a second part of n bytes has (c, d), both together have
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
    yield struct.pack(">I", fast.crc32(content, fast.crc32(kind)))
