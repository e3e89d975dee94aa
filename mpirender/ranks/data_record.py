"""The data files on which each image depends: recorded in the journals, and compared with the files of now.

A rank records each state of a file once, with a number, and with an image only the numbers. So the journals of a
hundred thousand images stay small.
"""

from __future__ import annotations

import itertools
import os
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from mpirender.engines.base import FileState
from mpirender.run_folder import events
from mpirender.run_folder.event_values import File, Inputs
from mpirender.run_folder.events import Done, Event
from mpirender.run_folder.journal import Journal
from mpirender.system.comm import Comm
from mpirender.system.text import plural

MAX_STATES = 1000  # in a record
MAX_NAMED = 3
States = tuple[FileState, ...]


class DataRecord:
    """The data files of this rank's images, and of those of earlier runs."""

    def __init__(self, log: Journal, past: Iterable[Event] = ()) -> None:
        """Record in a journal; ``past``: the events of the journals, for the images of earlier runs."""
        self._log, self._series = log, uuid.uuid4().hex[:12]
        self._numbers: dict[FileState, int] = {}
        self._states: dict[str, dict[int, FileState]] = defaultdict(dict)  # by series, then by number
        for event in past:
            if isinstance(event, events.Files):
                self._keep(event)

    def refer(self, states: Sequence[FileState]) -> Inputs | None:
        """Record the states that are new; return what refers to all of them, None for no files."""
        if not states:
            return None
        new = [state for state in dict.fromkeys(states) if state not in self._numbers]
        first = len(self._numbers)
        self._numbers.update(zip(new, itertools.count(first)))
        for place in range(0, len(new), MAX_STATES):
            part = tuple(File(*state) for state in new[place : place + MAX_STATES])
            self._keep(self._log.write(events.Files(self._series, first + place, part)))
        return Inputs(self._series, ranges(sorted({self._numbers[state] for state in states})))

    def _keep(self, event: events.Files) -> None:
        self._states[event.series].update(zip(itertools.count(event.first), (FileState(*one) for one in event.files)))

    def states(self, done: Done) -> States | None:
        """Return the states of the files on which an image depends; None if their records are damaged."""
        if done.inputs is None:
            return ()
        known = self._states.get(done.inputs.series, {})
        found: list[FileState] = []
        for first, last in spans(done.inputs.numbers):
            if last >= first + len(known) or not all(number in known for number in range(first, last + 1)):
                return None
            found += [known[number] for number in range(first, last + 1)]
        return tuple(found)


def changed(states: Iterable[FileState]) -> set[FileState]:
    """Return the states that their files do not have now."""
    return {state for state in dict.fromkeys(states) if current(state.path) != state}


def changed_anywhere(comm: Comm, states: Iterable[FileState]) -> set[FileState]:
    """Return the states, given on rank 0, that their files do not have now; each rank looks at a part of them."""
    wanted = list(dict.fromkeys(states))
    part = comm.scatter([wanted[rank :: comm.size] for rank in range(comm.size)], root=0)
    return set().union(*comm.allgather(changed(part)))


def current(path: str) -> FileState:
    """Return the state of a file now; it is opened, since a network file system may remember an old state."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return FileState(path, 0, 0)
    return FileState(path, found.st_size, max(found.st_mtime_ns // 1000, 1))


def named(states: Iterable[FileState]) -> str:
    """Return the names of the first files, and how many more there are."""
    paths = list(dict.fromkeys(state.path for state in states))
    more = f" and {plural(len(paths) - MAX_NAMED, 'more file')}" if len(paths) > MAX_NAMED else ""
    return ", ".join(paths[:MAX_NAMED]) + more


def ranges(sorted_numbers: Iterable[int]) -> str:
    """Return numbers as text: ``0-4,7``."""
    parts = []
    for _, run in itertools.groupby(enumerate(sorted_numbers), key=lambda item: item[1] - item[0]):
        members = [number for _, number in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ",".join(parts)


def spans(text: str) -> list[tuple[int, int]]:
    """Return the first and last numbers of each part of such a text."""
    pairs = [part.partition("-") for part in text.split(",")]
    return [(int(first), int(last or first)) for first, _, last in pairs]
