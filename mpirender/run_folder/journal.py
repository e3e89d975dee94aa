"""Append-only journals: what happened to each frame, and from that what is complete and what is left.

Each rank appends JSON objects, one a line, to its own ``rank-NNNN.jsonl``, and the supervisor to ``run.jsonl``; nothing
is ever rewritten. Progress, status, resume, crash attribution and the report read these files and nothing else. A line
that a crash cut short is skipped.

Every record has ``event``, ``host`` and ``time`` (seconds since the epoch), those of ranks also ``rank``. A rank writes

``start``
    it is up: ``ranks``, ``pid``, ``run`` (the id of the run; a run that restarts keeps it), ``life``, ``began``
    (seconds since the process was started), ``world`` (its rank among all that mpiexec has started), ``followers`` (of
    those that render each frame with it: ``world``, ``host``, ``pid``). Where ranks render in groups, a rank of the
    journals is a group, its number that of the group, and its leader the one that writes.
``plan``
    rank 0, once a start: ``frames`` (a frame set), ``sizes`` (their names), ``total`` and ``left`` images, ``left_of``
    each size, ``fingerprint`` with its ``parts``, ``warnings``.
``phase``
    ``phase`` is backend, load, opened (with the ``description`` of program and renderer, ``backend``, EGL ``device``,
    ``cores`` that the rank may use, ``threads``, ``node_memory`` (bytes that a job may take on the machine), what
    OpenGL calls the ``renderer``, and the hosts of those that it renders ``with``), survey, render, gather,
    encode or end.
``take``
    an image was taken up: ``frame``, ``size``.
``done``
    it is in its place: ``frame``, ``size`` (the output's name), ``shows`` (its view and layout), ``pixels`` (width and
    height), ``bytes``, ``digest``, ``seconds`` (until the rank could go on), ``rendering`` (those of them in the
    engine), ``written`` (seconds of compressing and writing, beside it), ``memory`` (peak of the rank and the process
    that writes for it, bytes), ``renderer``, ``fingerprint``, ``attempt`` (2 for the second chance of one that failed),
    ``complaints`` (errors the engine reported, kept with ``--on-error warn``), ``measured`` where ``--measure``
    asks for it (number by name, null where there were no data).
``fail``
    it is not: ``frame``, ``size``, ``fingerprint``, ``reason``, ``attempt``, ``seconds`` and ``rendering`` as above;
    ``set_aside`` if it was not tried.
``survey``
    rank 0: the ``ranges`` of colour maps were found over all frames (array: least and greatest), in answer ``of`` a
    question, by its digest.
``complaint``
    the engine reported an error while loading: ``text``.
``stop``
    a signal asked this rank to stop: ``signal``.
``warning``
    ``text``.
``error``
    this rank ends with an error: ``code`` (the exit code).
``segment``
    a segment of a movie was encoded and read back, or not: ``size``, ``number`` (from 0) ``of`` so many, ``images``,
    ``threads``, ``problem``, ``seconds``.
``movie``
    a movie was made, or not: ``size``, ``problem``, ``seconds`` (since the ranks began with it), ``segments`` (how many
    were joined; 1 for one encoder).

and the supervisor

``launch``
    ranks are started: ``run``, ``life`` (1 at first, one more with each restart), ``ranks`` (of the journals),
    ``ranks_per_frame`` where it is more than one, ``pid``, ``set_aside``
    (lists of frame, size and reason) and ``suspects`` (lists of frame and size).
``death``
    they ended before their work did: ``life``, ``reason``, ``flight`` (lists of rank, frame and size: the images that
    were being rendered or written) and ``blamed`` (lists of frame and size: those that are suspected of it).
``warning``
    ``text``.
``stop``
    a signal asked the run to stop: ``signal``, ``grace`` (seconds that images in flight get).
``finish``
    the run has ended: ``code`` (the exit code), ``message``, ``seconds``.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mpirender.job.outputs import Image, Output
from mpirender.system import files

Record = dict[str, Any]
OF_SUPERVISOR = "run.jsonl"


class Journal:
    """The journal that one rank writes, or the supervisor (rank None); the only writer of its file."""

    def __init__(self, folder: Path, rank: int | None, host: str) -> None:
        self._always = {"host": host} if rank is None else {"rank": rank, "host": host}
        # Unbuffered and append-only: each record is one write, so a kill can cut short at most the last line.
        path = folder / (OF_SUPERVISOR if rank is None else f"rank-{rank:04d}.jsonl")
        self._file = path.open("ab", buffering=0)
        self._cut = self._file.tell() > 0  # perhaps in the middle of a line; blank lines are skipped when read

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, event: str, **fields: Any) -> Record:  # noqa: ANN401 - any JSON value
        """Append one record and return it.

        Raises:
            OSError: it cannot be written; what is there of it is skipped when read.
        """
        record = {"event": event, **self._always, "time": time.time(), **fields}
        line = b"\n" * self._cut + json.dumps(record).encode() + b"\n"
        self._cut = True
        if self._file.write(line) != len(line):  # what a full disk does to the last write that fits in part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._file.name))
        self._cut = False
        return record


def parse(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of journal lines, without those that a crash left unreadable."""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and {"event", "time"} <= record.keys():
            yield record


def read(folder: Path) -> list[Record]:
    """Return all records in the order of their times."""
    return Tail(folder, from_start=True).read()


def newest(records: Iterable[Record], fingerprint: str, outputs: Sequence[Output] | None = None) -> dict[Image, Record]:
    """Return the last word on each image: its ``done`` or ``fail`` record, those of other fingerprints left out.

    Args:
        outputs: leave out images of others, also where one of the same name had other sides or showed something else.
    """
    last: dict[Image, Record] = {}
    for record in records:
        if record["event"] in ("done", "fail") and record.get("fingerprint") == fingerprint:
            last[Image(record["frame"], record["output"])] = record
    if outputs is None:
        return last
    by_name = {output.name: output for output in outputs}
    return {image: record for image, record in last.items() if of(record, by_name)}


def of(record: Record, outputs: Mapping[str, Output]) -> bool:
    """Say whether an image is of one of the outputs, given by name: with its sides, and with what it shows."""
    output = outputs.get(record["output"])
    if output is None:
        return False
    sides = [output.width, output.height]
    return bool(record.get("pixels", sides) == sides and record.get("shows", output.shows) == output.shows)


def whole(path: Path, record: Record) -> bool:
    """Say whether the file is there, of the recorded size, with the recorded content."""
    try:
        same_size = path.stat().st_size == record["bytes"]
        return same_size and files.digest(path.read_bytes()) == str(record["digest"])
    except OSError:
        return False


class Tail:
    """Reads what is appended to the journals of a folder, from now on or from their beginning."""

    def __init__(self, folder: Path, *, from_start: bool = False) -> None:
        self.folder = folder
        self._ends = {} if from_start else {path: path.stat().st_size for path in folder.glob("*.jsonl")}

    def read(self) -> list[Record]:
        """Return the records that were completed since the last call, in the order of their times."""
        return sorted(self.each(), key=lambda record: float(record["time"]))

    def each(self) -> Iterator[Record]:
        """Yield the records that were completed since the last call, journal by journal."""
        for path in sorted(self.folder.glob("*.jsonl")):
            if path.stat().st_size > self._ends.get(path, 0):
                yield from parse(self._whole_lines(path))

    def _whole_lines(self, path: Path) -> Iterator[bytes]:
        """Yield the lines from where the last reading ended; one that is being written is left for the next."""
        end = self._ends.get(path, 0)
        with path.open("rb") as file:
            file.seek(end)
            for line in file:
                if line.endswith(b"\n"):
                    end += len(line)
                    yield line
        self._ends[path] = end

    def replaced(self) -> bool:
        """Say whether a journal that was read is gone or shorter than it was: someone has cleared the folder."""
        return any(not path.exists() or path.stat().st_size < end for path, end in self._ends.items())
