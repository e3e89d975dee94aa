"""Which files of some folders are read, on this machine and by any process: inotify(7) of Linux."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator

CLOSE_NOWRITE, OVERFLOW, IS_FOLDER = 0x10, 0x4000, 0x40000000  # IN_CLOSE_NOWRITE, IN_Q_OVERFLOW, IN_ISDIR
EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
READ_BYTES = 1 << 16
OWN_FILES = "/proc/self/fd"
LIMITS = {errno.EMFILE: "fs.inotify.max_user_instances or of open files", errno.ENOSPC: "fs.inotify.max_user_watches"}


class FolderWatch:
    """Reports the files that were read in the folders that were added: opened for reading only, and closed.

    Files that this process still holds open are included. Files that are written are not, so that the output of a
    simulation that goes on does not count.
    """

    def __init__(self) -> None:
        """Start to watch.

        :raises OSError: the system does not offer it, or the user watches too much already.
        """
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except AttributeError:
            raise OSError("this system has no inotify") from None
        if self._descriptor < 0:
            raise _error()
        self._names: dict[int, list[str]] = {}  # of the folders, by their watch; a folder may have several
        self._real: dict[str, int] = {}
        self.overflowed = False  # whether events were lost

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)

    def add(self, folder: str) -> None:
        """Watch the files of a folder, but not those of the folders in it.

        :raises OSError: it cannot be watched, or the limit of watches is reached.
        """
        watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), CLOSE_NOWRITE)
        if watch < 0:
            raise _error()
        self._names.setdefault(watch, []).append(folder)
        self._real[os.path.realpath(folder)] = watch

    def read(self) -> list[str]:
        """Return the files that were read since the last call, each once, with the folders as they were added."""
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while events := os.read(self._descriptor, READ_BYTES):
                found += self._parsed(events)
        return list(dict.fromkeys([*found, *self._held()]))

    def _parsed(self, events: bytes) -> Iterator[str]:
        place = 0
        while place < len(events):
            watch, mask, _, length = EVENT.unpack_from(events, place)
            place += EVENT.size + length
            name = os.fsdecode(events[place - length : place].rstrip(b"\0"))
            self.overflowed = self.overflowed or bool(mask & OVERFLOW)
            if mask & CLOSE_NOWRITE and not mask & IS_FOLDER and name:
                yield from self._under(watch, name)

    def _held(self) -> Iterator[str]:
        for number in os.listdir(OWN_FILES):  # noqa: PTH208
            with contextlib.suppress(OSError):
                folder, name = os.path.split(os.readlink(f"{OWN_FILES}/{number}"))  # noqa: PTH115
                if folder in self._real:
                    yield from self._under(self._real[folder], name)

    def _under(self, watch: int, name: str) -> list[str]:
        return [os.path.join(folder, name) for folder in self._names.get(watch, ())]  # noqa: PTH118


def _error() -> OSError:
    number = ctypes.get_errno()
    if number in LIMITS:
        return OSError(f"the limit {LIMITS[number]} of this user is reached")
    return OSError(number, os.strerror(number))
