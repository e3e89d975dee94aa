"""Find the data files that libraries name on C's standard error, where VTK's error names none.

HDF5 and XDMF print the name and report "Failed to read attribute data" through VTK.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

OUTPUT = 2  # file descriptor
MOST = 1 << 18  # bytes
# What XDMF, HDF5, netCDF and Exodus write before the name of a file.
NAMED = re.compile(r"(?:Can't (?:Open|Read) Dataset |Cannot open \S+ / |name = '|[Ff]ile '|opening )([^\s'():,]+\.\w+)")
SOURCES = (".c", ".cxx", ".h", ".hpp")


class PrintedFiles:
    """Looks through what this process prints to a file, its log; without such a file it finds nothing."""

    def __init__(self) -> None:
        self._end = _size()

    def newest(self) -> str:
        """Return the file that was named last since the last call, empty for none."""
        begin, self._end = self._end, _size()
        if self._end <= begin:
            return ""
        with Path(f"/proc/self/fd/{OUTPUT}").open("rb") as log:  # opened again: the descriptor can only be written
            log.seek(max(begin, self._end - MOST))
            printed = log.read(self._end - log.tell()).decode(errors="replace")
        named = [name for name in NAMED.findall(printed) if not name.endswith(SOURCES)]
        return os.path.normpath(named[-1]) if named else ""


def _size() -> int:
    """Return the size of the log in bytes, 0 if there is none."""
    found = os.fstat(OUTPUT)
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
