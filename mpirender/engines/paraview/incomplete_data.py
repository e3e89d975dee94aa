"""Finds incomplete data that ParaView draws without an error.

- A file of VTK's XML formats that is cut short: uncompressed appended data beyond its end stay uninitialized memory. A
  complete file ends with the tag ``</VTKFile>``. So is a binary STL file with fewer triangles than it says.
- A table (.csv) whose last line has fewer fields than the first, and no end.
- An array that colors an object and is missing in a frame: ParaView draws the object in one color. It is missing if the
  object had it when the scene was opened or in an earlier frame, or if its reader was to read it when it was saved.

The files are those that the readers of the scene are at, and those to which index files refer.
"""

from __future__ import annotations

import contextlib
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from mpirender.engines.paraview import color_range, openfoam_fields
from mpirender.engines.paraview.proxies import PVObject, sources
from mpirender.system.text import plural

XML_FORMATS = re.compile(r"\.(p?vt[iprsu]|vtm|vtmb|vtpd|vtpc|vthb|vth|htg|phtg|pvd)$", re.IGNORECASE)
CHECKED = re.compile(rf"{XML_FORMATS.pattern}|\.(stl|csv|tsv)$", re.IGNORECASE)
END, END_BYTES = b"</VTKFile>", 256
LONGEST_LINE = 1 << 16  # bytes of a table
STL_HEADER, STL_TRIANGLE = 84, 50  # bytes in a binary file; the header ends with the number of triangles
REFERENCES = ("Source", "file")  # attributes with which an index file refers to other files
# A message about data by one of these classes does not name the file, if it contains no path.
OF_READERS = re.compile(r"^(vtk\w*(Reader|Parser)\w*): |^Error reading (binary|ascii) data")


class IncompleteData:
    """Checks the data of the current frame."""

    def __init__(self, views: Sequence[PVObject], keeper: PVObject) -> None:
        """Remember which objects are colored by an array in the frame that is shown now.

        :param keeper: the time keeper of the scene.
        """
        self.views, self._keeper = views, keeper
        self._whole: set[str] = set()  # files that were complete
        self._names = {proxy.GetGlobalID(): name for name, proxy in sources()}
        self._colored = {self._key(item) for item in self._items() if _has_array(item)}

    def problems(self) -> list[str]:
        """Return what is incomplete in the current frame, one line each."""
        return [*self._cut_files(), *self._missing_arrays()]

    def with_files(self, errors: Sequence[str]) -> list[str]:
        """Return errors of readers together with the files that they may be about."""
        return [self._with_file(text) for text in errors]

    def described(self, representation: PVObject, problem: str = "", array: str = "") -> str:
        """Return the name of the object that a representation shows, what is wrong, and the files that it is read from.

        The object itself is named if it has a name.

        :param array: which is missing: if it has a file of its own, that one is named.
        """
        source = representation.Input.SMProxy
        readers = {proxy.GetGlobalID() for proxy in _upstream(source)}
        files = dict.fromkeys(path for proxy, _, path in self._readers() if proxy.GetGlobalID() in readers)
        where = ""
        if len(files) == 1:
            (file,) = files
            where = f" ({openfoam_fields.named(file, array, float(self._keeper.Time)) or file})"
        return f"{self._names.get(source.GetGlobalID(), 'an object')}{problem and ' '}{problem}{where}"

    def _items(self) -> list[color_range.Colored]:
        return list(color_range.colored(self.views))

    def _key(self, item: color_range.Colored) -> tuple[int, int, str]:
        return item.representation.SMProxy.GetGlobalID(), item.association, item.array

    def _missing_arrays(self) -> Iterator[str]:
        for item in self._items():
            if _has_array(item):
                self._colored.add(self._key(item))
            elif _has_data(item) and (self._key(item) in self._colored or item.array in _selected(item.representation)):
                problem = f"has no array {item.array!r} in this frame, so its colors are wrong"
                yield self.described(item.representation, problem, item.array)

    def _cut_files(self) -> Iterator[str]:
        for _, path in self._current():
            for file in self._with_references(path):
                problem = "" if file in self._whole else _cut(file)
                if problem:
                    yield f"{file} is incomplete: {problem}"
                else:
                    self._whole.add(file)

    def _current(self) -> Iterator[tuple[str, str]]:
        """Yield the class of each reader, and the file that it is at."""
        return ((kind, path) for _, kind, path in self._readers())

    def _readers(self) -> Iterator[tuple[PVObject, str, str]]:
        """Yield each reader with its class and the file that it is at."""
        for _, proxy in sources():
            algorithm = proxy.GetClientSideObject()
            inner = algorithm.GetReader() if hasattr(algorithm, "GetReader") else None
            path = getattr(algorithm, "GetCurrentFileName", lambda: None)() or _file_name(proxy, algorithm)
            if path:
                yield proxy, (inner or algorithm).GetClassName(), str(path)

    def _with_references(self, path: str) -> Iterator[str]:
        """Yield a file, and the files to which it refers if it is an index; of a .pvd, those of the current time."""
        yield path
        if path not in self._whole or path.endswith(".pvd"):
            for reference in _references(path, float(self._keeper.Time)):
                yield from self._with_references(reference)

    def _with_file(self, text: str) -> str:
        match = OF_READERS.match(text)
        if match is None or os.sep in text:
            return text
        current = list(self._current())
        files = [path for kind, path in current if kind == match[1]] or [path for _, path in current]
        return f"{text} (while reading {' or '.join(dict.fromkeys(files))})" if files else text


def _file_name(proxy: PVObject, algorithm: PVObject) -> str | None:
    """Return the file of a reader that reads a single file."""
    properties = [found for found in map(proxy.GetProperty, ("FileName", "FileNames")) if found is not None]
    if properties and hasattr(algorithm, "GetFileName"):
        with contextlib.suppress(TypeError):  # a method that needs an index
            return str(algorithm.GetFileName() or "")
    elif properties and properties[0].GetNumberOfElements() == 1:  # the class is not known in Python: OpenFOAM's
        return str(properties[0].GetElement(0))
    return None


def _upstream(proxy: PVObject) -> Iterator[PVObject]:
    """Yield a source, and those on which it depends."""
    left, seen = [proxy], set[int]()
    while left:
        one = left.pop()
        if one.GetGlobalID() not in seen:
            seen.add(one.GetGlobalID())
            yield one
            left += [one.GetProducerProxy(number) for number in range(one.GetNumberOfProducers())]


def _selected(representation: PVObject) -> set[str]:
    """Return the names of the arrays that the readers of an object are to read: they existed when it was saved."""
    names: set[str] = set()
    for proxy in _upstream(representation.Input.SMProxy):
        properties = proxy.NewPropertyIterator()
        while not properties.IsAtEnd():
            found = properties.GetProperty()
            if found.FindDomain("vtkSMArraySelectionDomain") is not None:
                values = [found.GetElement(number) for number in range(found.GetNumberOfElements())]
                names |= {name for name, on in zip(values[::2], values[1::2]) if on != "0"}
            properties.Next()
    return names


def _has_array(item: color_range.Colored) -> bool:
    data = item.representation.SMProxy.GetRepresentedDataInformation()
    return data is not None and data.GetArrayInformation(item.array, item.association) is not None


def _has_data(item: color_range.Colored) -> bool:
    data = item.representation.SMProxy.GetRepresentedDataInformation()
    return data is not None and data.GetNumberOfElements(item.association) > 0


def _cut(path: str) -> str:
    """Return why a file is incomplete; empty if nothing is known to be missing.

    Files of other formats are not opened: it would be observed as if the frame depended on them.
    """
    if not CHECKED.search(path):
        return ""
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if XML_FORMATS.search(path):
            file.seek(max(size - END_BYTES, 0))
            return "" if END in file.read() else f"it does not end with {END.decode()}"
        if path.lower().endswith(".stl"):
            file.seek(0)
            head = file.read(STL_HEADER)
            expected = STL_HEADER + STL_TRIANGLE * int.from_bytes(head[-4:], "little")
            if not head.startswith(b"solid") and size < expected:
                return f"it has {size} bytes instead of {expected}"
        if path.lower().endswith((".csv", ".tsv")):
            return _cut_table(file)
    return ""


def _cut_table(file: BinaryIO) -> str:
    """Return why a table is incomplete: its last line is shorter than its first one, and has no end."""
    file.seek(0)
    first = file.readline(LONGEST_LINE)
    file.seek(max(file.seek(0, os.SEEK_END) - LONGEST_LINE, 0))
    last = file.read().split(b"\n")[-1].rstrip(b"\r")
    delimiter = max(b",", b";", b"\t", key=first.count)
    missing = first.count(delimiter) - last.count(delimiter)
    return f"its last line lacks {plural(missing, 'field')}" if last and missing > 0 and b'"' not in last else ""


def _references(path: str, time: float) -> list[str]:
    """Return the files to which an index file refers; of a .pvd, those of the timestep at or after a time."""
    if not re.search(r"\.(pvt\w|vt[mp]\w*|vthb|vth|pvd)$", path, re.IGNORECASE) or path.lower().endswith(".vtp"):
        return []
    try:
        root = ET.parse(path)
    except (OSError, ET.ParseError):
        return []
    entries = [one for one in root.iter() if any(name in one.attrib for name in REFERENCES)]
    if path.lower().endswith(".pvd"):
        steps = sorted({float(one.get("timestep", 0)) for one in entries})
        shown = next((step for step in steps if step >= time), steps[-1] if steps else 0.0)
        entries = [one for one in entries if float(one.get("timestep", 0)) == shown]
    names = (one.get(name, "") for one in entries for name in REFERENCES if one.get(name))
    return [str(Path(path).parent / name) for name in names]
