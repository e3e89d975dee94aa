"""Names the files of an OpenFOAM case that hold a field at a time, whether they exist or not."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from mpirender.engines.paraview.index_formats import is_time, references

CASE = re.compile(r"(?:\.foam|/controlDict)$", re.IGNORECASE)
MOST_NAMED = 3


def named(case: str, field: str, time: float) -> str:
    """Return the first files of a field at a time, with what is wrong with them if it is known; empty if none is known.

    :param case: the file that ParaView opens; for other formats nothing is known.
    """
    files: Sequence[Path] = []
    with contextlib.suppress(OSError):
        files = _field_files(case, field, time) if CASE.search(case) else []
    missing = [path for path in files if not path.exists()]
    names = ", ".join(map(str, (missing or files)[:MOST_NAMED]))
    return f"{names} {'does' if len(missing) == 1 else 'do'} not exist" if missing else names


def _field_files(case: str, field: str, time: float) -> Sequence[Path]:
    """Return the files of a field at a time: as at other times, in the folder of this time of each processor."""
    files = [Path(one.path) for one in references(case) if one.time is not None]
    found = set[Path]()
    for path in (path for path in files if path.name in (field, f"{field}.gz")):
        folder = next(folder for folder in path.parents if is_time(folder.name))
        times = [other.name for other in folder.parent.iterdir() if is_time(other.name)]
        now = min(times, key=lambda name: abs(float(name) - time))
        found.add(folder.with_name(now) / path.relative_to(folder))
    return sorted(found)
