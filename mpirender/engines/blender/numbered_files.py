"""Numbered files on disk: their names, and which of those that frames need are missing."""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import NamedTuple

NUMBER = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)  # of a file name without its extension: the last number counts


class Sequence(NamedTuple):
    """Numbered files: what reads them, and the path that a frame needs; None if it needs none or it is unknown."""

    what: str
    path: Callable[[int], str | None]


class Gap(NamedTuple):
    """Files of a sequence that are missing: what reads them, the first one, how many there are, of how many."""

    what: str
    first: str
    missing: int
    needed: int


def gaps(sequences: Iterable[Sequence], frames: Iterable[int], existing: Container[str] | None = None) -> list[Gap]:
    """Return the sequences that lack files for these frames; ``existing``: the files that exist and are not empty."""
    wanted, needed = list(frames), defaultdict[str, dict[str, None]](dict)
    folders = Folders() if existing is None else existing
    for sequence in sequences:
        needed[sequence.what].update(dict.fromkeys(filter(None, map(sequence.path, wanted))))
    missing = {what: [path for path in paths if path not in folders] for what, paths in needed.items()}
    return [Gap(what, paths[0], len(paths), len(needed[what])) for what, paths in missing.items() if paths]


class Folders:
    """The files of folders, each of which is read once."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, int]] = {}

    def names(self, folder: str) -> dict[str, int]:
        """Return the files of a folder with their sizes; empty if there is no such folder."""
        if folder not in self._names:
            try:
                with os.scandir(folder) as entries:
                    self._names[folder] = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
            except OSError:
                self._names[folder] = {}
        return self._names[folder]

    def __contains__(self, path: object) -> bool:
        """Whether a file exists and is not empty."""
        folder, name = os.path.split(str(path))
        return self.names(folder).get(name, 0) > 0


class Existing:
    """The files that exist now, for a few paths: no folder is read."""

    def __contains__(self, path: object) -> bool:
        """Whether a file exists and is not empty."""
        with contextlib.suppress(OSError):
            return Path(str(path)).stat().st_size > 0
        return False


def numbered(path: str, number: int) -> str | None:
    """Return a path with another number in the name of its file, with as many digits; None if it has no number."""
    place = Path(path)
    found = NUMBER.fullmatch(place.stem)
    if found is None:
        return None
    sign, digits = "-" if number < 0 else "", len(found[2])
    return str(place.with_name(f"{found[1]}{sign}{abs(number):0{digits}}{found[3]}{place.suffix}"))


def number_of(path: str) -> int | None:
    """Return the number in the name of a file."""
    found = NUMBER.fullmatch(Path(path).stem)
    return None if found is None else int(found[2])


def extent(path: str) -> range:
    """Return the numbers from the first to the last existing file whose name differs only in the number."""
    place = Path(path)
    found = NUMBER.fullmatch(place.stem)
    if found is None:
        return range(0)
    same = re.compile(rf"{re.escape(found[1])}(\d+){re.escape(found[3] + place.suffix)}")
    matches = (same.fullmatch(name) for name in Folders().names(str(place.parent)))
    numbers = [int(match[1]) for match in matches if match]
    return range(min(numbers), max(numbers) + 1) if numbers else range(0)
