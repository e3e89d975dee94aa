"""Title, software, scene and record of an image in its file, where other programs show them.

png: the keywords Title, Software, Source and Comment of its specification. jpg: Exif tags ImageDescription and
Software, and a comment. tiff: tags DocumentName, ImageDescription and Software. The record is in the comment, for tiff
in the ImageDescription. A file of another structure stays as it is, and pixels always do.
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from mpirender.job.origin import Origin

PNG, JPG, TIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", re.compile(rb"II\*\0|MM\0\*")
PNG_HEADER_END = 33  # bytes: signature and IHDR, which comes first
DOCUMENT_NAME, DESCRIPTION, SOFTWARE = 269, 270, 305  # tags of TIFF 6.0, also of Exif
CHANGING = (306, 316)  # date and host, which Blender writes
ASCII = 2  # type of a value
APP0, APP1, COMMENT, SCAN = 0xE0, 0xE1, 0xFE, 0xDA  # markers of jpg files
EXIF = b"Exif\0\0"
MOST_SEGMENT = 65_533  # bytes
LONGEST = 1 << 20  # bytes of a text that is read


def png_chunks(origin: Origin) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a png file that hold the metadata: kind and content of each."""
    texts = {"Title": origin.title, "Software": origin.software, "Source": origin.scene, "Comment": origin.record}
    return [_png_text(keyword.encode(), text) for keyword, text in texts.items()]


def insert(path: Path, origin: Origin | None) -> None:
    """Write the metadata into an image that a program has written, and remove its date; without an origin only that."""
    content = path.read_bytes()
    with contextlib.suppress(struct.error, IndexError):  # of an unknown structure
        path.write_bytes(_with_metadata(content, origin))


def _with_metadata(content: bytes, origin: Origin | None) -> bytes:
    """Return the content of an image with the metadata."""
    if origin is None:
        dated = TIFF.match(content) and any(entry[0] in CHANGING for entry in _entries(content, _order(content))[0])
        return _with_tags(content, {}) if dated else content
    if content.startswith(PNG):
        chunks = b"".join(_png_chunk(*chunk) for chunk in png_chunks(origin))
        return content[:PNG_HEADER_END] + chunks + content[PNG_HEADER_END:]
    if content.startswith(JPG):
        return _with_segments(content, origin)
    if TIFF.match(content):
        tags = {DOCUMENT_NAME: origin.title, DESCRIPTION: origin.record, SOFTWARE: origin.software}
        return _with_tags(content, tags)
    return content


def read(content: bytes) -> Origin | None:
    """Return the metadata of an image, None if it has none of mpirender."""
    try:
        for text in _texts(content):
            if found := Origin.read(text):
                return found
    except (struct.error, IndexError, UnicodeDecodeError):  # truncated
        pass
    return None


def is_image(content: bytes) -> bool:
    """Return whether the beginning of a file is that of an image."""
    return content.startswith((PNG, JPG)) or TIFF.match(content) is not None


def _texts(content: bytes) -> Iterator[str]:
    """Yield the texts of an image that may be the record."""
    if content.startswith(PNG):
        at = len(PNG)
        while at < len(content):
            length, kind = struct.unpack_from(">I4s", content, at)
            if kind == b"tEXt" and length < LONGEST:
                yield content[at + 8 : at + 8 + length].partition(b"\0")[2].decode("latin-1")
            at += 12 + length
    elif content.startswith(JPG):
        for marker, start, end in _segments(content):
            if marker == COMMENT:
                yield content[start + 4 : end].decode("latin-1")
    elif TIFF.match(content):
        order = _order(content)
        for tag, kind, count, value in _entries(content, order)[0]:
            if tag == DESCRIPTION and kind == ASCII and 4 < count < LONGEST:
                start = struct.unpack(f"{order}I", value)[0]
                yield content[start : start + count - 1].decode("latin-1")


def _png_text(keyword: bytes, text: str) -> tuple[bytes, bytes]:
    """Return a text as a chunk: only iTXt holds characters outside Latin-1."""
    try:
        return b"tEXt", keyword + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", keyword + b"\0\0\0\0\0" + text.encode()  # not compressed, no language, no translated keyword


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the segments of a jpg file before its pixels."""
    at = 2
    while content[at] == 0xFF and content[at + 1] != SCAN:
        end = at + 2 + struct.unpack_from(">H", content, at + 2)[0]
        yield content[at + 1], at, end
        at = end


def _with_segments(content: bytes, origin: Origin) -> bytes:
    """Return a jpg file with the metadata, behind the segment that must be its first."""
    segments = list(_segments(content))
    place = segments[0][2] if segments and segments[0][0] == APP0 else 2
    has_exif = any(content[start + 4 :].startswith(EXIF) for marker, start, _ in segments if marker == APP1)
    exif = EXIF + _with_tags(_no_tags(), {DESCRIPTION: origin.title, SOFTWARE: origin.software})
    added = [(COMMENT, origin.record.encode()), *([] if has_exif else [(APP1, exif)])]
    parts = [struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in added if len(data) < MOST_SEGMENT]
    return content[:place] + b"".join(parts) + content[place:]


def _no_tags() -> bytes:
    """Return a tiff file with an empty directory, as Exif begins."""
    return struct.pack("<2sHIHI", b"II", 42, 8, 0, 0)


def _order(content: bytes) -> str:
    """Return the byte order of a tiff file, as ``struct`` names it."""
    return "<" if content[:2] == b"II" else ">"


def _entries(content: bytes, order: str) -> tuple[list[tuple[int, int, int, bytes]], bytes]:
    """Return tag, type, count and value of each entry of the first directory, and the place of the next directory."""
    start = struct.unpack_from(f"{order}I", content, 4)[0]
    count = struct.unpack_from(f"{order}H", content, start)[0]
    entries = [struct.unpack_from(f"{order}HHI4s", content, start + 2 + 12 * number) for number in range(count)]
    end = start + 2 + 12 * count
    return entries, content[end : end + 4]


def _with_tags(content: bytes, texts: Mapping[int, str]) -> bytes:
    """Return a tiff file with these texts as tags, without date and host: its directory is written anew, at the end."""
    order = _order(content)
    entries, following = _entries(content, order)
    for tag, kind, count, value in entries:
        if tag in CHANGING and kind == ASCII and 4 < count < len(content):  # shorter values are in the entry itself
            start = struct.unpack(f"{order}I", value)[0]
            content = content[:start] + bytes(count) + content[start + count :]
    entries = [entry for entry in entries if entry[0] not in (*texts, *CHANGING)]
    content += bytes(len(content) % 2)
    for tag, text in texts.items():
        data = text.encode() + b"\0"
        data += bytes(max(4 - len(data), 0))
        entries.append((tag, ASCII, len(data), struct.pack(f"{order}I", len(content))))
        content += data + bytes(len(data) % 2)
    directory = struct.pack(f"{order}H", len(entries))
    directory += b"".join(struct.pack(f"{order}HHI4s", *entry) for entry in sorted(entries)) + following
    return content[:4] + struct.pack(f"{order}I", len(content)) + content[8:] + directory
