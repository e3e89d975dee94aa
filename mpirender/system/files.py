"""Atomic writes: a file is written beside its place, synced and renamed, so that it is either whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def no_follow(name: str, flags: int) -> int:
    """Open a file, for ``open(opener=…)``, but no symbolic link: someone else may have put that in its place."""
    return os.open(name, flags | os.O_NOFOLLOW, 0o666)


def digest(content: bytes) -> str:
    """Return the digest that identifies the content of a file."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@contextlib.contextmanager
def replacing(path: Path, tag: object = "") -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; after the block it is synced and takes the place of ``path``.

    On an error the temporary file is removed, and an earlier file at ``path`` stays. ``tag`` makes the temporary name
    unique where several processes may write the same file.
    """
    part = path.with_name(f".part-{tag}{path.name}")
    try:
        yield part
        with part.open("rb+") as file:  # the name must stand for the whole file even after a power cut
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        if part.is_file():
            part.unlink()


def write_text(path: Path, text: str, tag: object = "") -> None:
    """Write a text file atomically; see :func:`replacing`."""
    with replacing(path, tag) as part:
        part.unlink(missing_ok=True)
        with open(part, "x", opener=no_follow) as file:
            file.write(text)


def put_in_place(part: Path, path: Path) -> dict[str, Any]:
    """Sync a file that was written beside its place and rename it; return its size and digest for the journal."""
    with part.open("rb+") as file:  # one open: thousands of ranks do this for every image
        content = file.read()
        os.fsync(file.fileno())
    part.replace(path)
    return {"bytes": len(content), "digest": digest(content)}
