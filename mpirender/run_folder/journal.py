"""Append-only journals: what happened to each frame, and from that what is complete and what is left.

Each rank appends its events (:mod:`mpirender.run_folder.events`) to its own ``rank-NNNN.jsonl``, and the supervisor to
``run.jsonl``; ``node-HOST.jsonl`` holds what a cloud announces about a node. One JSON object is a line, which ends with
a checksum of itself (``check``). Nothing is ever rewritten. A line that was cut short by a crash, was changed, or holds
no sound event is skipped and counted.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import stat
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mpirender.job.outputs import Image, Output
from mpirender.run_folder import events
from mpirender.run_folder.event_fields import Unsound
from mpirender.run_folder.events import SUPERVISOR, Done, Event, ImageOutcome, Some
from mpirender.system import background, files

OF_SUPERVISOR = "run.jsonl"
CHECK = b', "check": "'
BEAT_SECONDS = 30.0  # of silence, after which a process records that it is alive


class Journal:
    """The journal that one rank writes, or the supervisor (rank None); the only writer of its file."""

    def __init__(self, folder: Path, rank: int | None, host: str, *, name: str = "") -> None:
        """Open the journal of a rank, or of the supervisor; ``name`` is another name of the file."""
        self._rank, self._host = SUPERVISOR if rank is None else rank, host
        # Unbuffered and append-only: each record is one write, so a kill can cut short at most the last line.
        path = folder / (name or (OF_SUPERVISOR if rank is None else f"rank-{rank:04d}.jsonl"))
        self._file = open(path, "ab", buffering=0, opener=files.no_follow)  # noqa: SIM115 - closed by __exit__
        self._written_at = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, event: Some) -> Some:
        """Append an event; return it with time, host and rank.

        :raises OSError: it cannot be written; an incomplete line is skipped when read.
        """
        self._written_at = time.monotonic()
        event = events.stamped(event, time=time.time(), host=self._host, rank=self._rank)
        written = line(event)
        if self._file.write(written) != len(written):  # what a full disk does to the last write that fits in part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._file.name))
        return event

    def record_made(self, output: Path, part: Path, place: Path) -> None:
        """Record a movie, contact sheet or table that is complete, before it takes its place in an output folder."""
        self.write(events.Made(str(place.relative_to(output)), *files.short_digest(part)))

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Record during the block, from a thread, that this process is alive, whenever it records nothing else."""

        def beat(ended: threading.Event) -> None:
            while not ended.wait(max(self._written_at + BEAT_SECONDS - time.monotonic(), 1.0)):
                if time.monotonic() - self._written_at >= BEAT_SECONDS:
                    with contextlib.suppress(OSError):  # the process finds a full disk by itself
                        self.write(events.Beat())

        with background.working(beat):
            yield


def line(event: Event) -> bytes:
    """Return the line of a journal that records this event.

    It begins with a line break, too: the line before may have been cut short. Blank lines are skipped when read.
    """
    return b"\n" + with_check(json.dumps(event.to_json()).encode())


def with_check(record: bytes) -> bytes:
    """Add its checksum to a JSON object, as the last field; return a line."""
    return record[:-1] + CHECK + b'%08x"}\n' % zlib.crc32(record[:-1])


def parse(text: bytes) -> Event:
    """Return the event of a line.

    :raises ValueError: the line was cut short or changed, or holds no sound event.
    :raises RecursionError: it is nested too deeply.
    """
    if text != with_check(text.rpartition(CHECK)[0] + b"}"):
        raise Unsound
    return events.from_json(json.loads(text))


def read(folder: Path, pattern: str = "*.jsonl") -> list[Event]:
    """Return the events of all journals, or of those with such names, in the order of their times."""
    return Tail(folder, pattern, from_start=True).read()


def newest(recorded: Iterable[Event], fingerprint: str, outputs: Sequence[Output]) -> dict[Image, ImageOutcome]:
    """Return the newest outcome of each image, done or failed, of those with this fingerprint.

    :param recorded: events in the order of their times.
    :param outputs: leave out images of others, also if one of the same name had other sides or showed something else.
    """
    outcomes = (event for event in recorded if isinstance(event, (events.Done, events.Fail)))
    last = {event.image: event for event in outcomes if event.fingerprint == fingerprint}
    by_name = {output.name: output for output in outputs}
    return {image: event for image, event in last.items() if of(event, by_name)}


def of(outcome: ImageOutcome, outputs: Mapping[str, Output]) -> bool:
    """Say whether an image is of one of the outputs, given by name: with its sides, and with what it shows."""
    output = outputs.get(outcome.image.output)
    if output is None or isinstance(outcome, events.Fail):
        return output is not None
    return outcome.pixels == (output.width, output.height) and outcome.shows == tuple(output.shows)


def whole(path: Path, size: int, digest: str) -> bool:
    """Say whether the file is there, of the recorded size in bytes, with the recorded content."""
    try:
        return path.stat().st_size == size and files.digest(files.content(path)) == digest
    except OSError:
        return False


def intact(place: Path, done: Done) -> bool:
    """Say whether an image, and the files that were written with it, are those that were recorded."""
    others = (whole(place.parent / other.path, other.bytes, other.digest) for other in done.beside)
    return whole(place, done.bytes, done.digest) and all(others)


def size_of(path: Path) -> int:
    """Return the size of a journal; 0 for one that is gone, and for what is no file but has such a name."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    return 0


class Tail:
    """Reads what is appended to the journals of a folder, from now on or from their beginning."""

    def __init__(self, folder: Path, pattern: str = "*.jsonl", *, from_start: bool = False) -> None:
        self.folder, self.pattern = folder, pattern
        self.skipped = 0  # lines that were damaged
        self._ends = {} if from_start else {path: size_of(path) for path in folder.glob(pattern)}

    def read(self) -> list[Event]:
        """Return the events that were recorded since the last call, in the order of their times."""
        return sorted(self.each(), key=lambda event: event.time)

    def each(self) -> Iterator[Event]:
        """Yield the events that were recorded since the last call, journal by journal."""
        for path in sorted(self.folder.glob(self.pattern)):
            if size_of(path) > self._ends.get(path, 0):
                yield from self._events(path)

    def _events(self, path: Path) -> Iterator[Event]:
        """Yield the events of a journal from where the last reading ended; a line that is being written is left."""
        end = self._ends.get(path, 0)
        with open(path, "rb", opener=files.only_file) as file:
            file.seek(end)
            for text in itertools.takewhile(lambda text: text.endswith(b"\n"), file):
                end += len(text)
                try:
                    yield parse(text)
                except (ValueError, RecursionError):
                    self.skipped += text != b"\n"
        self._ends[path] = end

    def replaced(self) -> bool:
        """Say whether a journal that was read is gone or shorter than it was: someone has cleared the folder."""
        return any(size_of(path) < end for path, end in self._ends.items())
