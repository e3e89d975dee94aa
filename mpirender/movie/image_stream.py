"""Images as a stream for ffmpeg, which thus decodes exactly the bytes that were checked here.

If ffmpeg opened the files itself, a file could be exchanged between the check and the encoder. The stream is an AVI
file, in which an image of any format is one chunk (Microsoft, "AVI RIFF File Reference").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mpirender.errors import EncodeFailed
from mpirender.movie.ffmpeg_args import DECODERS
from mpirender.system import files

CODECS = {"png": b"MPNG", "mjpeg": b"MJPG", "tiff": b"tiff"}  # in an AVI file, by ffmpeg's name for the decoder
ENDLESS = 0xFFFFFFFF  # size of a list whose end is that of the stream


class ImageDamaged(EncodeFailed):
    """An image is damaged, so no other way to encode would succeed."""


class ImageChanged(ImageDamaged):
    """The file of an image is not the one that was recorded."""


@dataclass(frozen=True)
class ImageStream:
    """Images as a stream for ffmpeg; it reads them one after the other, each time that it is iterated.

    An image without a digest, as it was recorded, is not checked. Iterating raises ImageChanged if a file is gone, or
    not the one that was recorded.
    """

    images: Sequence[Path]
    rate: Fraction
    digests: Mapping[Path, str]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the stream in parts."""
        yield _header(CODECS[DECODERS[self.images[0].suffix.lower()]], self.rate)
        for image in self.images:
            content = _read(image, self.digests)
            yield b"00dc" + struct.pack("<I", len(content))
            yield content
            yield b"\0" * (len(content) % 2)


def _read(image: Path, digests: Mapping[Path, str]) -> bytes:
    """Return the content of an image, which must be the recorded one."""
    try:
        content = files.content(image)
    except FileNotFoundError:
        raise ImageChanged(f"{image.name} is gone") from None
    if files.digest(content) != digests.get(image, files.digest(content)):
        raise ImageChanged(f"{image.name} has changed since it was rendered")
    return content


def _header(codec: bytes, rate: Fraction) -> bytes:
    """Return the stream up to its first image; ffmpeg takes the size from the images."""
    main = _chunk(b"avih", struct.pack("<14I", *[0] * 6, 1, *[0] * 7))  # one stream
    timing = (rate.denominator, rate.numerator)
    kind = _chunk(b"strh", b"vids" + codec + struct.pack("<12I", 0, 0, 0, *timing, 0, 0, 0, ENDLESS, 0, 0, 0))
    picture = _chunk(b"strf", struct.pack("<3I2H4s5I", 40, 0, 0, 1, 24, codec, *[0] * 5))
    lists = _chunk(b"LIST", b"hdrl" + main + _chunk(b"LIST", b"strl" + kind + picture))
    endless = struct.pack("<I", ENDLESS)
    return b"RIFF" + endless + b"AVI " + lists + b"LIST" + endless + b"movi"


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content
