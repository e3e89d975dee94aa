"""Atomic writes: a file is written beside its place, synced and renamed, so that it is either whole or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

END_BYTES = 1 << 20
NO_FILE = "a pipe, a device or a socket, not a file"


def no_follow(name: str, flags: int) -> int:
    """Open a file, for ``open(opener=…)``, but no symbolic link: someone else may have put that in its place."""
    return only_file(name, flags | os.O_NOFOLLOW)


def only_file(name: str, flags: int) -> int:
    """Open a file, for ``open(opener=…)``, but no named pipe and no device: reading those might never end.

    :raises OSError: it is none, or cannot be opened.
    """
    try:
        descriptor = os.open(name, flags | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a pipe that nobody reads, or a socket
            raise OSError(errno.EINVAL, NO_FILE, name) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, NO_FILE, name)
    return descriptor


def content(path: Path) -> bytes:
    """Return the content of a file.

    :raises OSError: it is none (see :func:`only_file`), or cannot be read.
    """
    with open(path, "rb", opener=only_file) as file:
        return file.read()


def digest(whole: bytes) -> str:
    """Return the digest that identifies the content of a file."""
    return hashlib.blake2b(whole, digest_size=16).hexdigest()


def short_digest(path: Path) -> tuple[int, str]:
    """Return size and a digest of beginning and end of a file: by which mpirender knows a movie that it made."""
    with open(path, "rb", opener=only_file) as file:
        size = os.fstat(file.fileno()).st_size
        ends = file.read(END_BYTES)
        file.seek(max(size - END_BYTES, 0))
        return size, digest(ends + file.read(END_BYTES))


def part_path(path: Path, tag: object = "") -> Path:
    """Return where a file is written before it takes its place: the name has the process id, or another tag."""
    return path.with_name(f".part-{tag or os.getpid()}-{path.name}")


Made = Callable[[Path, Path], object]  # is called with a complete file, before it takes its place, and that place


@contextlib.contextmanager
def replacing(path: Path, tag: object = "", made: Made = lambda part, path: None) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; after the block it is synced and takes the place of ``path``.

    On an error the temporary file is removed, and an earlier file at ``path`` stays.

    :param tag: makes the temporary name unique where processes of several machines may write the same file.
    :param made: is called before the file takes its place.
    """
    part = part_path(path, tag)
    try:
        yield part
        with part.open("rb+") as file:  # the name must stand for the whole file even after a power cut
            os.fsync(file.fileno())
        made(part, path)
        part.replace(path)
    finally:
        if part.is_file():
            part.unlink()


def write_text(path: Path, text: str, tag: object = "", made: Made = lambda part, path: None) -> None:
    """Write a text file in UTF-8 atomically; see :func:`replacing`."""
    with replacing(path, tag, made) as part:
        part.unlink(missing_ok=True)
        with open(part, "x", encoding="utf-8", opener=no_follow) as file:
            file.write(text)


def put_in_place(part: Path, path: Path) -> dict[str, Any]:
    """Sync a file that was written beside its place and rename it; return its size and digest for the journal."""
    with part.open("rb+") as file:  # one open: thousands of ranks do this for every image
        written = file.read()
        os.fsync(file.fileno())
    part.replace(path)
    return {"bytes": len(written), "digest": digest(written)}
