"""Per-rank append-only journals: what happened to each frame, and from that what is complete and what is left.

Each rank appends JSON objects, one a line, to its own file; nothing is ever rewritten. Progress, resume and the report
read these files and nothing else. A line that a crash cut short is skipped.

Records (every one has ``event``, ``rank``, ``host`` and ``time``, seconds since the epoch):

``start``
    the rank is up: ``ranks``, ``pid``, ``run`` (an id shared by the ranks of a launch).
``plan``
    rank 0, once a run: ``frames`` (a frame set), ``sizes``, ``total`` and ``left`` images, ``fingerprint``.
``phase``
    ``phase`` is load, render, gather, encode or end.
``take``
    a frame was taken up.
``done``
    an image is in its place: ``frame``, ``size``, ``bytes``, ``digest``, ``seconds``, ``fingerprint``.
``fail``
    it is not: ``frame``, ``size``, ``reason``.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Image:
    """One image of the run: a frame at a size."""

    frame: int
    size: str


class Journal:
    """The journal that one rank writes; the only writer of its file."""

    def __init__(self, folder: Path, rank: int, host: str) -> None:
        self.rank = rank
        self.host = host
        # Unbuffered and append-only: each record is one write, so a kill can cut short at most the last line.
        self._file = (folder / f"rank-{rank:04d}.jsonl").open("ab", buffering=0)
        if self._file.tell():
            self._file.write(b"\n")  # ends a line that a crash cut short; blank lines are skipped when read

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, event: str, **fields: Any) -> Record:  # noqa: ANN401 - any JSON value
        """Append one record and return it."""
        record = {"event": event, "rank": self.rank, "host": self.host, "time": time.time(), **fields}
        self._file.write(json.dumps(record).encode() + b"\n")
        return record


def parse(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of journal lines, without those that a crash left unreadable."""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "event" in record:
            yield record


def read(folder: Path) -> list[Record]:
    """Return all records of all ranks in the order of their times."""
    records: list[Record] = []
    for path in sorted(folder.glob("rank-*.jsonl")):
        with path.open("rb") as file:
            records += parse(file)
    return sorted(records, key=lambda record: float(record["time"]))


def newest(records: Iterable[Record], fingerprint: str) -> dict[Image, Record]:
    """Return the last word on each image: its ``done`` or ``fail`` record, those of other fingerprints left out."""
    last: dict[Image, Record] = {}
    for record in records:
        if record["event"] in ("done", "fail") and record.get("fingerprint") == fingerprint:
            last[Image(record["frame"], record["size"])] = record
    return last


def digest(content: bytes) -> str:
    """Return the digest by which a file is known again."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def whole(path: Path, record: Record) -> bool:
    """Say whether the file is there, of the recorded size, with the recorded content."""
    try:
        same_size = path.stat().st_size == record["bytes"]
        return same_size and digest(path.read_bytes()) == str(record["digest"])
    except OSError:
        return False


def put_in_place(written: Path, place: Path) -> Record:
    """Sync a file that was written beside its place and rename it; return its size and digest.

    A name that is there is thus always a whole file, also after a power cut.
    """
    with written.open("rb+") as file:
        content = file.read()
        os.fsync(file.fileno())
    written.replace(place)
    return {"bytes": len(content), "digest": digest(content)}


class Tail:
    """Reads what the ranks append to their journals from now on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ends = {path: path.stat().st_size for path in folder.glob("rank-*.jsonl")}

    def read(self) -> list[Record]:
        """Return the records that were completed since the last call, in the order of their times."""
        records: list[Record] = []
        for path in self.folder.glob("rank-*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._ends.get(path, 0))
                lines, _, _ = file.read().rpartition(b"\n")
            if lines:
                self._ends[path] = self._ends.get(path, 0) + len(lines) + 1
                records += parse(lines.split(b"\n"))
        return sorted(records, key=lambda record: float(record["time"]))
