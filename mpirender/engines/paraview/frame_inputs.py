"""The files on which a frame depends, by the rules of :class:`Inputs`; this module knows nothing of ParaView.

A frame depends on the files that its readers have read for it. What a reader still holds in memory is not read again.
So a frame depends on all files that were read so far, except those of other timesteps:

- of a reader with a series of files, those that belong to other files than the one that it is at;
- of a reader with an index file, those that it names for other times (:mod:`index_files`).

inotify does not tell who read a file, and other ranks on the machine read those of their frames. A file of which no
reader is known is therefore counted for all later frames: too many files cost time, too few would keep a wrong image.
"""

from __future__ import annotations

import errno
import os
import time
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mpirender.engines.base import FileState
from mpirender.engines.paraview.index_files import Step, Steps, all_files
from mpirender.system.inotify import FolderWatch

MAX_FOLDERS = 1000  # that are watched
MAX_ENTRIES = 100_000  # of folders that are looked at for folders to watch
NEAR = 1e-9  # relative difference of equal times
SLACK_NS = 20_000_000  # by which the time of a change may be too early: clocks of file systems tick less often
AHEAD_NS = 2_000_000_000  # by which the clock of a file server may be ahead


@dataclass
class Reader:
    """A reader of the scene, and the timesteps that the current frame uses of it."""

    paths: Sequence[str]  # its files; several are a series, each of them a timestep
    timesteps: Sequence[float] = ()  # of its data, sorted
    times: set[float] = field(default_factory=set)  # for which it was asked
    at: set[str] = field(default_factory=set)  # the files of a series at which it was
    any_time: bool = False  # whether the frame may use data of any time
    owned: Steps = field(default_factory=dict)  # its files and those behind them, as far as they are known
    _always: dict[str, None] = field(default_factory=dict)
    _by_step: dict[Step, dict[str, None]] = field(default_factory=dict)

    def learn(self, read: Container[str]) -> list[str]:
        """Find the files to which those that were read refer; return the ones that were not known."""
        if len(self.paths) == 1:
            found = {} if self.owned else all_files(self.paths)
        else:
            members = [path for path in self.paths if path not in self.owned and (path in read or path in self.at)]
            found = {}
            for member in members:
                for path in all_files([member]):
                    found[path] = {member, *(self.owned.get(path) or ()), *(found.get(path) or ())}
        self.owned.update(found)
        return list(found)

    def add(self, path: str) -> None:
        """Count a file of this reader as read."""
        steps = self.owned[path]
        if steps is None:
            self._always[path] = None
        for step in steps or ():
            self._by_step.setdefault(step, {})[path] = None

    def used(self) -> Iterator[str]:
        """Yield the files that the frame uses."""
        yield from self._always
        chosen = [files for step, files in self._by_step.items() if self._uses(step)]
        for files in chosen or self._by_step.values():  # if none fits, the times do not mean what they seem to
            yield from files

    def _uses(self, step: Step) -> bool:
        return self.any_time or (step in self.at if isinstance(step, str) else self._is_near(step))

    def _is_near(self, step: float) -> bool:
        """Return whether a time is one of those between which the reader was asked, or none of its timesteps."""
        place = bisect_left(self.timesteps, step - abs(step) * NEAR)
        if place == len(self.timesteps) or not _equal(self.timesteps[place], step):
            return True
        return any(_equal(step, time) for asked in self.times for time in self._around(asked))

    def _around(self, asked: float) -> Sequence[float]:
        """Return the timesteps around a time: readers differ in which of them they take."""
        place = bisect_left(self.timesteps, asked)
        if place < len(self.timesteps) and _equal(self.timesteps[place], asked):
            return self.timesteps[place : place + 1]
        return self.timesteps[max(place - 1, 0) : place + 1]


def _equal(one: float, other: float) -> bool:
    return abs(one - other) <= NEAR * max(abs(one), abs(other))


class Inputs:
    """Watches the folders of readers, and returns the files on which a frame depends."""

    def __init__(self) -> None:
        """Start to watch; call this before the scene is loaded.

        :raises OSError: the system cannot do it.
        """
        self._watch = FolderWatch()
        self._folders: dict[str, bool] = {}  # each watched folder: whether it was watched before the scene was loaded
        self._links: dict[str, list[str]] = {}  # symbolic links by the files to which they lead
        self._entries = 0
        self._states: dict[str, FileState] = {}  # of the files that were read, as they were then
        self._unknown: dict[str, None] = {}  # those of them of which no reader is known
        self._began = self._looked = time.time_ns()

    def watch(self, readers: Iterable[Sequence[str]], *, late: bool = False) -> None:
        """Watch the folders of the files of readers, and for an index file the folders of the files behind it.

        Files in other folders, and those that were read before a late call, count as read.

        :raises OSError: the user has no watches left.
        """
        for paths in readers:
            behind = all_files(paths) if len(paths) == 1 else ()
            for folder in dict.fromkeys(os.path.dirname(path) for path in (*paths, *behind)):  # noqa: PTH120
                self._watch_folder(folder, reliable=not late)

    def _watch_folder(self, folder: str, *, reliable: bool) -> None:
        if folder in self._folders or len(self._folders) >= MAX_FOLDERS:
            return
        try:
            links = [entry.path for entry in self._scan(folder) if entry.is_symlink()]
            self._watch.add(folder)
            self._folders[folder] = reliable and self._entries < MAX_ENTRIES
            for link in links:
                target = os.path.realpath(link)
                if os.path.isfile(target):  # noqa: PTH113
                    self._links.setdefault(target, []).append(link)
                    self._watch_folder(os.path.dirname(target), reliable=reliable)  # noqa: PTH120
        except OSError as error:
            if error.errno == errno.ENOSPC:  # the limit of watches
                raise

    def _scan(self, folder: str) -> Iterator[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            for entry in islice(entries, MAX_ENTRIES - self._entries):
                self._entries += 1
                yield entry

    def look(self) -> None:
        """Note which files were read since the last look."""
        now, read = time.time_ns(), self._watch.read()
        for path in dict.fromkeys(one for file in read for one in (file, *self._links.get(file, ()))):
            state = settled(state_of(path), self._looked)
            if path not in self._states:
                self._unknown[path] = None
            before = self._states.setdefault(path, state)
            if before != state:
                self._states[path] = state._replace(modified=0)  # nobody knows which of them the readers hold
        self._looked = now

    def of_frame(self, readers: Sequence[Reader], others: Iterable[str] = ()) -> tuple[FileState, ...]:
        """Return the files on which the current frame depends, with their states when they were read.

        :param others: files that count for every frame.
        """
        self.look()
        for reader in readers:
            for path in reader.learn(self._states):
                if path in self._unknown or not self._folders.get(os.path.dirname(path)):  # noqa: PTH120
                    reader.add(path)
        self._unknown = {path: None for path in self._unknown if not self._is_of(readers, path)}
        used = dict.fromkeys(others)
        for reader in readers:
            used.update(dict.fromkeys(reader.used()))
        states = tuple(map(self._state, {**used, **self._unknown}))
        return tuple(state._replace(modified=0) for state in states) if self._watch.overflowed else states

    def _is_of(self, readers: Sequence[Reader], path: str) -> bool:
        """Count a file that was read as one of the readers that own it; return whether any does."""
        owners = [reader for reader in readers if path in reader.owned]
        for reader in owners:
            reader.add(path)
        links = self._links.get(path, ())
        return bool(owners) or any(link in reader.owned for reader in readers for link in links)

    def _state(self, path: str) -> FileState:
        if path not in self._states:
            self._states[path] = settled(state_of(path), self._began)
        return self._states[path]


def state_of(path: str) -> FileState:
    """Return the state of a file now."""
    try:
        found = os.stat(path)  # noqa: PTH116 - accepts any name
    except (OSError, ValueError):
        return FileState(path, 0, 0)
    return FileState(path, found.st_size, max(found.st_mtime_ns // 1000, 1))


def settled(state: FileState, since: int) -> FileState:
    """Return the state of a file that was read after a time in ns; if it has changed since then, with the time 0."""
    changed = state.modified * 1000
    return state._replace(modified=0) if since - SLACK_NS <= changed <= time.time_ns() + AHEAD_NS else state
