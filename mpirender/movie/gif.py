"""Join GIF files that share a palette, picture for picture, as GIF89a describes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mpirender.errors import EncodeFailed

EXTENSION, PICTURE, END, CONTROL = 0x21, 0x2C, 0x3B, 0xF9
SCREEN = 13  # bytes before the palette
PLAIN_CONTROL = bytes([EXTENSION, CONTROL, 4, 0, 0, 0, 0, 0])  # delay at 4 and 5


@dataclass(frozen=True)
class Picture:
    """A picture of a GIF: its control block, delay included, and the rest; ``sides`` are left, top, width, height."""

    control: bytes
    rest: bytes
    sides: bytes


def join(parts: Sequence[Path], target: Path, rate: Fraction) -> int:
    """Write the pictures of all parts one after the other, with delays that keep the rate on average.

    ffmpeg would take the header of a part for the end of the picture before it.

    Returns:
        the number of pictures.

    Raises:
        EncodeFailed: the parts do not share a palette, or one does not begin with a whole picture.
        OSError: they cannot be read or written.
    """
    count = 0
    with target.open("wb") as file:
        for number, part in enumerate(parts):
            data = part.read_bytes()
            if number == 0:
                head = data[: _palette_end(data)]
                file.write(data[: next(_blocks(data))[0]])
            elif data[: len(head)] != head:
                raise EncodeFailed(f"{part.name}: has another palette than the segment before")
            for position, picture in enumerate(pictures(data)):
                if position == 0 and picture.sides != bytes(4) + data[6:10]:
                    raise EncodeFailed(f"{part.name}: does not begin with a whole picture")
                delay = _hundredths(count + 1, rate) - _hundredths(count, rate)
                control = picture.control[:4] + delay.to_bytes(2, "little") + picture.control[6:]
                file.write(control + picture.rest)
                count += 1
        file.write(bytes([END]))
    return count


def pictures(data: bytes) -> Iterator[Picture]:
    """Yield the pictures of a GIF file.

    Raises:
        EncodeFailed: it is none, or is cut short.
    """
    for start, picture, end in _blocks(data):
        control = data[start:picture] or PLAIN_CONTROL
        yield Picture(control, data[picture:end], data[picture + 1 : picture + 9])


def _blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield where the control block of each picture begins, where the picture does, and where it ends."""
    at, start = _palette_end(data), None
    try:
        while data[at] != END:
            if data[at] == EXTENSION:
                start = at if data[at + 1] == CONTROL else start
                at = _after_blocks(data, at + 2)
                continue
            if data[at] != PICTURE:
                raise EncodeFailed("a segment is no GIF as the standard has it")
            end = _after_blocks(data, at + 11 + _colours(data[at + 9]))
            yield at if start is None else start, at, end
            at, start = end, None
    except IndexError:
        raise EncodeFailed("a segment is a GIF that is cut short") from None


def _after_blocks(data: bytes, at: int) -> int:
    """Return where a chain of blocks ends, each of which begins with its length."""
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _palette_end(data: bytes) -> int:
    """Return where the palette of all pictures ends."""
    if data[:6] != b"GIF89a" or len(data) < SCREEN:
        raise EncodeFailed("a segment is no GIF")
    return SCREEN + _colours(data[10])


def _colours(flags: int) -> int:
    """Return the bytes of a palette, given the flags that announce it."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _hundredths(frame: int, rate: Fraction) -> int:
    """Return when a frame is to be shown, in hundredths of a second."""
    return round(100 * frame / rate)
