"""Join GIF files that share a palette, image by image (GIF89a specification)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mpirender.errors import EncodeFailed

EXTENSION, PICTURE, END, CONTROL, COMMENT = 0x21, 0x2C, 0x3B, 0xF9, 0xFE
BLOCK = 255  # bytes of a block of text, at most
SCREEN = 13  # bytes before the palette
PLAIN_CONTROL = bytes([EXTENSION, CONTROL, 4, 0, 0, 0, 0, 0])  # delay at 4 and 5


@dataclass(frozen=True)
class GifImage:
    """An image of a GIF."""

    start: int  # offset in the file
    control: bytes  # the block with the delay
    rest: bytes
    rectangle: bytes  # left, top, width and height


def join(parts: Sequence[Path], target: Path, rate: Fraction) -> None:
    """Write the images of all parts one after the other, with delays that keep the frame rate on average.

    ffmpeg cannot do this: it takes the header of a part for the end of the image before it.

    :raises EncodeFailed: the parts have different palettes, or a part does not begin with a whole image.
    :raises OSError: a file cannot be read or written.
    """
    count = 0
    with target.open("wb") as file:
        for number, part in enumerate(parts):
            data = part.read_bytes()
            if number == 0:
                head = data[: _palette_end(data)]
                file.write(data[: next(images(data)).start])
            elif data[: len(head)] != head:
                raise EncodeFailed(f"{part.name}: has a palette other than the first segment's")
            for position, image in enumerate(images(data)):
                if position == 0 and image.rectangle != bytes(4) + data[6:10]:
                    raise EncodeFailed(f"{part.name}: does not begin with a whole image")
                delay = _hundredths(count + 1, rate) - _hundredths(count, rate)
                control = image.control[:4] + delay.to_bytes(2, "little") + image.control[6:]
                file.write(control + image.rest)
                count += 1
        file.write(bytes([END]))


def comment(path: Path, text: str) -> None:
    """Write a text of ASCII characters into a GIF file, in front of its first image."""
    content, data = text.encode("ascii"), path.read_bytes()
    at = next(images(data)).start
    blocks = (content[start : start + BLOCK] for start in range(0, len(content), BLOCK))
    extension = bytes([EXTENSION, COMMENT]) + b"".join(bytes([len(one)]) + one for one in blocks) + bytes(1)
    path.write_bytes(data[:at] + extension + data[at:])


def comments(data: bytes) -> Iterator[str]:
    """Yield the texts in a GIF file, those in front of its first image.

    :raises EncodeFailed: it is not a GIF.
    :raises IndexError: it is truncated.
    """
    at = _palette_end(data)
    while data[at] == EXTENSION:
        end = _after_blocks(data, at + 2)
        if data[at + 1] == COMMENT:
            yield b"".join(_blocks(data, at + 2)).decode("latin-1")
        at = end


def _blocks(data: bytes, at: int) -> Iterator[bytes]:
    """Yield the blocks of a chain."""
    while data[at]:
        yield data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]


def images(data: bytes) -> Iterator[GifImage]:
    """Yield the images of a GIF file.

    :raises EncodeFailed: it is not a GIF, or it is truncated.
    """
    at, start = _palette_end(data), None
    try:
        while data[at] != END:
            if data[at] == EXTENSION:
                start = at if data[at + 1] == CONTROL else start
                at = _after_blocks(data, at + 2)
                continue
            if data[at] != PICTURE:
                raise EncodeFailed("a segment does not conform to GIF89a")
            end = _after_blocks(data, at + 11 + _palette_bytes(data[at + 9]))
            start = at if start is None else start
            yield GifImage(start, data[start:at] or PLAIN_CONTROL, data[at:end], data[at + 1 : at + 9])
            at, start = end, None
    except IndexError:
        raise EncodeFailed("a segment is a truncated GIF") from None


def _after_blocks(data: bytes, at: int) -> int:
    """Return the end of a chain of blocks, each of which begins with its length."""
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _palette_end(data: bytes) -> int:
    """Return the end of the palette of all images."""
    if data[:6] != b"GIF89a" or len(data) < SCREEN:
        raise EncodeFailed("a segment is not a GIF")
    return SCREEN + _palette_bytes(data[10])


def _palette_bytes(flags: int) -> int:
    """Return the size of a palette in bytes, given its flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _hundredths(frame: int, rate: Fraction) -> int:
    """Return the time of a frame in hundredths of a second."""
    return round(100 * frame / rate)
