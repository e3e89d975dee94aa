"""All files that a reader may read: those of its properties, and those to which these refer, directly or not.

Many formats spread data over files to which an index file refers (.pvd, .vtm, .case, .foam). If one of them changes, so
do the images.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Union

from mpirender.engines.paraview.index_formats import MAX_FILES, references

# At which timestep a file is read: its time, or the file of a series through which it is reached.
Step = Union[float, str]
Steps = dict[str, Union[set[Step], None]]  # by path; None if a file is read at all times, or nobody knows
FAMILY = re.compile(
    r"(.*\.(?:e|ex2|exo|exoII|g|gen|n|nem)[^/]*)\.(\d+)\.(\d+)", re.IGNORECASE
)  # Exodus: name, count, number
MAX_PARTS = 100_000
SPCTH = b"spydata\0"  # begins an SPCTH file; a description of 128 bytes follows
SPCTH_HEAD = len(SPCTH) + 128 + 20
SPCTH_WITH_POINTER_SIZE = 102  # the version from which on the head has one number more
# Formats that read nothing else, or only files that :mod:`index_formats` finds.
UNDERSTOOD = re.compile(
    r"\.(vt[iprsu]|pvt[iprsu]|vtk|vtm|vtmb|vtpc|vtpd|pvd|csv|tsv|txt|stl|ply|png|jpe?g|tiff?|bmp|hdr|series|"
    r"p3d|case|xmf|xdmf|foam|e|exo|ex2|g|ex-timeseries|nek5000|mhd)(\.\d+\.\d+)?$",
    re.IGNORECASE,
)


def all_files(paths: Sequence[str]) -> Steps:
    """Return the files that a reader reads through these, with the timesteps at which it does; its own come first.

    :param paths: of a file, or of a series of files, each of which is a timestep.
    """
    found: Steps = {path: {path} if len(paths) > 1 else None for path in paths}
    left = list(found)
    while left and len(found) < MAX_FILES:
        path = left.pop()
        inherited = found[path]
        for reference, time in chain(references(path), ((part, None) for part in family(path))):
            steps = inherited if time is None else {time}
            before = found[reference] if reference in found else set[Step]()
            merged = None if steps is None or before is None else {*steps, *before}
            if reference not in found or merged != before:
                found[reference] = merged
                left.append(reference)
    return found


def family(path: str) -> list[str]:
    """Return all files of a family of Exodus (``NAME.e.4.0`` to ``NAME.e.4.3``) or SPCTH files, none for others."""
    match = FAMILY.fullmatch(path)
    if match is None or len(match[2]) != len(match[3]):
        return _spcth_family(path)
    count, digits = int(match[2]), len(match[3])
    return [f"{match[1]}.{match[2]}.{number:0{digits}d}" for number in range(min(count, MAX_PARTS))]


def _spcth_family(path: str) -> list[str]:
    """Return all files of a family of SPCTH files: ``NAME.0`` and so on, one for each processor of the simulation.

    ParaView reads those with numbers in a row. The head has the number of processors and that of this file.
    """
    name, dot, number = path.rpartition(".")
    if not dot or not re.fullmatch(r"\d{1,6}", number):
        return []
    try:
        with Path(path).open("rb") as file:
            head = file.read(SPCTH_HEAD)
        version, *values = struct.unpack(">5i", head[-20:])
    except (OSError, ValueError, struct.error):
        return []
    if not head.startswith(SPCTH):
        return []
    _, processor, count = values[1:] if version >= SPCTH_WITH_POINTER_SIZE else values[:3]
    first = int(number) - processor
    if not 0 <= processor < count <= MAX_PARTS or first < 0:
        return []
    return [f"{name}.{first + one}" for one in range(count)]


def newer(paths: Sequence[str]) -> list[str]:
    """Return the files of a series that exist beside the last one with higher numbers than it, in their order.

    If the series is every tenth file, for example, the files between do not count.
    """
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", paths[-1], re.DOTALL)
    if match is None or len(paths) < 2:
        return []
    beginning, last, end = match.groups()
    folder, name = os.path.split(beginning)
    same = re.compile(rf"{re.escape(name)}(\d+){re.escape(end)}")
    if not all(path.startswith(beginning) and path.endswith(end) for path in paths):
        return []
    step = math.gcd(*(int(last) - int(number) for number in map(_last_number, paths[:-1]))) or 1
    found = {int(one[1]): one[0] for one in map(same.fullmatch, _names(folder)) if one}
    later = [number for number in sorted(found) if number > int(last) and (number - int(last)) % step == 0]
    return [str(Path(folder) / found[number]) for number in later]


def _last_number(path: str) -> str:
    return str(re.findall(r"\d+", path)[-1])


def _names(folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder or ".").iterdir()]
    except (OSError, ValueError):
        return []


def beside(paths: Iterable[str]) -> list[str]:
    """Return the other files in the folders of files of formats that may read files of which only ParaView knows."""
    folders = dict.fromkeys(os.path.dirname(path) for path in paths if not UNDERSTOOD.search(path))  # noqa: PTH120
    found = (str(Path(folder) / name) for folder in folders for name in _names(folder))
    return [path for path in islice(found, MAX_FILES) if os.path.isfile(path)]  # noqa: PTH113


def missing(paths: Iterable[str]) -> list[str]:
    """Return the files that do not exist."""
    return [path for path in paths if not os.path.exists(path)]  # noqa: PTH110 - accepts any name
