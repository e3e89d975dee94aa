"""Files that are either whole or absent: written beside their place, synced, renamed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any


def digest(content: bytes) -> str:
    """Return the digest by which a file is known again."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def put_in_place(written: Path, place: Path) -> dict[str, Any]:
    """Sync a file that was written beside its place and rename it; return its size and digest.

    A name that is there is thus always a whole file, also after a power cut.
    """
    with written.open("rb+") as file:
        content = file.read()
        os.fsync(file.fileno())
    written.replace(place)
    return {"bytes": len(content), "digest": digest(content)}
