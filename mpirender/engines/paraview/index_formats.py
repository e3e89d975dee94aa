"""The files to which index files refer, format by format, read without ParaView.

The files may be damaged or hostile: what cannot be read refers to nothing, and ParaView reports it when it reads it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Optional
from xml.parsers import expat
from xml.parsers.expat import ExpatError

MAX_BYTES = 64 << 20  # of an index file
MAX_FILES = 100_000  # to which an index file refers
HEAD = 4 << 20  # bytes in which links of HDF5 and netCDF files are searched
MAX_DEPTH = 4  # of folders below a time folder of OpenFOAM


class Reference(NamedTuple):
    """A file to which an index file refers; at which time it is read, None if always or unknown."""

    path: str
    time: Optional[float] = None  # noqa: UP045 - evaluated, also by Python 3.9


class Unreadable(ValueError):
    """A file is not of its format."""


Parser = Callable[[Path], Iterator[Reference]]


def references(path: str) -> list[Reference]:
    """Return the files to which an index file refers, none for files of other formats."""
    found: list[Reference] = []
    parse = next((parse for pattern, parse in PARSERS if pattern.search(path)), None)
    if parse is not None:
        with contextlib.suppress(
            OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError, ExpatError
        ):
            found.extend(islice(parse(Path(path)), MAX_FILES))
    return found


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable
    return path.read_text(errors="replace")


def _parse_xml(path: Path, **handlers: Callable[..., object]) -> None:
    """Call the handlers of expat for a file; entities, which could be endless, are refused."""

    def refuse(*_declaration: object) -> None:
        raise Unreadable

    parser = expat.ParserCreate()
    for name, handler in {**handlers, "EntityDeclHandler": refuse}.items():
        setattr(parser, name, handler)
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable
    with path.open("rb") as file:
        parser.ParseFile(file)


def _beside(path: Path, name: str) -> str:
    return os.path.normpath(path.parent / name.strip())


def _vtk_xml(path: Path) -> Iterator[Reference]:
    """Yield the pieces, blocks or timesteps of VTK's XML formats (.pvd, .pvtu, .vtm, .vtpc)."""
    found: list[Reference] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        name = attributes.get("file") or attributes.get("Source", "")
        if name and len(found) < MAX_FILES:
            timed = path.suffix.lower() == ".pvd"
            found.append(Reference(_beside(path, name), _number(attributes.get("timestep", "0")) if timed else None))

    _parse_xml(path, StartElementHandler=start)
    yield from found


def _number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _series(path: Path) -> Iterator[Reference]:
    """Yield the files of a series in JSON: ParaView's .series and PLOT3D's .p3d."""
    content = json.loads(_text(path))
    for entry in filter(lambda entry: isinstance(entry, dict), content.get("files", content.get("filenames", ()))):
        time = _number(entry.get("time"))
        for key in ("name", "xyz", "q", "function"):
            for name in entry[key] if isinstance(entry.get(key), list) else [entry.get(key)]:
                if isinstance(name, str):
                    yield Reference(_beside(path, name), time)


def _exodus_series(path: Path) -> Iterator[Reference]:
    for line in _text(path).splitlines():
        if line.strip():
            yield Reference(_beside(path, line))


def _spcth_case(path: Path) -> Iterator[Reference]:
    """Yield the files of the processors of an SPCTH simulation."""
    first, *lines = _text(path).splitlines()
    for line in map(str.strip, lines if first.startswith("spycase") else ()):
        if line and not line.startswith("#"):
            yield Reference(_beside(path, line))


def _image_header(path: Path) -> Iterator[Reference]:
    """Yield the file of raw data of a MetaImage or NRRD header."""
    with path.open("rb") as file:
        match = re.search(rb"(?im)^(?:ElementDataFile\s*=|data ?file:)[ \t]*(\S+)", file.read(1 << 16))
    if match and match[1].upper() not in (b"LOCAL", b"LIST") and b"%" not in match[1]:
        yield Reference(_beside(path, match[1].decode(errors="replace")))


class _Grid(NamedTuple):
    """A grid of an XDMF file: its time, and the files of its data."""

    times: list[float]
    files: list[str]


def _xdmf(path: Path) -> Iterator[Reference]:
    """Yield the files of heavy data; if grids refer to one another, their times say nothing."""
    found: list[Reference] = []
    grids, text, shared = [_Grid([], [])], list[str](), list[str]()

    def start(tag: str, attributes: dict[str, str]) -> None:
        text.clear()
        if attributes.get("Reference") or tag.endswith("include"):
            shared.append(attributes.get("href", ""))
        if tag == "Grid":
            grids.append(_Grid([], []))
        elif tag == "Time" and (time := _number(attributes.get("Value"))) is not None:
            grids[-1].times.append(time)
        elif tag == "DataItem" and attributes.get("Format", "XML").upper() != "XML":
            text.append("")

    def characters(more: str) -> None:
        if text and len(text) < 1000:
            text.append(more)

    def end(tag: str) -> None:
        if tag == "DataItem" and text:
            name = "".join(text).strip()
            grids[-1].files.append(re.sub(r":[^:]*$", "", name))
        elif tag == "Grid" and len(grids) > 1:
            grid = grids.pop()
            if len(grid.times) == 1:
                found.extend(Reference(_beside(path, name), grid.times[0]) for name in grid.files if name)
            else:
                grids[-1].files.extend(grid.files)
        text.clear()

    _parse_xml(path, StartElementHandler=start, EndElementHandler=end, CharacterDataHandler=characters)
    found += [Reference(_beside(path, name)) for name in [*grids[0].files, *shared] if name]
    yield from (Reference(one.path) for one in dict.fromkeys(found)) if shared else dict.fromkeys(found)


def _ensight(path: Path) -> Iterator[Reference]:
    """Yield the files of an EnSight case: geometry, variables, and those of a .sos file."""
    lines = [line.strip() for line in _text(path).splitlines()]
    times = _ensight_times(lines)
    for line in lines:
        key, _, value = line.partition(":")
        key, words = key.strip().lower(), re.findall(r'"[^"]*"|\S+', value)
        if key == "casefile" and words:
            yield Reference(_beside(path, words[-1].strip('"')))
        if not re.match(r"model|measured|match|boundary|rigid_body|\w+ per (?!case)", key) or not words:
            continue
        coordinates = words[-1].startswith("change_coords")
        name = words[-2 if coordinates and len(words) > 1 else -1].strip('"')
        steps = times.get(int(words[0]) if words[0].isdigit() else 1) or next(iter(times.values()), [])
        if "*" not in name:
            yield Reference(_beside(path, name))
            continue
        for place, (number, time) in enumerate(steps):
            full = re.sub(r"\*+", lambda stars, number=number: f"{number:0{len(stars[0])}d}", name)  # type: ignore[misc]
            yield Reference(_beside(path, full), None if coordinates and not place else time)


def _ensight_times(lines: list[str]) -> dict[int, list[tuple[int, float]]]:
    """Return the steps of each time set: number in the names of files, and time."""
    sections: dict[int, dict[str, str]] = {}
    fields: dict[str, str] = {}
    key = ""
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            key = name.strip().lower()
            if key == "time set":
                fields = sections.setdefault(int(value.split()[0]), {})
            fields[key] = value
        elif line.upper() == line and line.isalpha():
            key = ""
        elif key:
            fields[key] = f"{fields.get(key, '')} {line}"
    steps = {}
    for number, one in sections.items():
        count = min(int(one.get("number of steps", "0")), MAX_FILES)
        first, by = int(one.get("filename start number", "0")), int(one.get("filename increment", "1"))
        numbers = list(map(int, one.get("filename numbers", "").split())) or [first + by * i for i in range(count)]
        values = list(map(float, one.get("time values", "").split()))
        steps[number] = list(zip(numbers, values))
    return steps


def is_time(name: str) -> bool:
    """Return whether a folder of an OpenFOAM case holds the fields of a time."""
    return re.fullmatch(r"[0-9.]+(?:[eE][-+]?[0-9]+)?", name) is not None and _number(name) is not None


def _openfoam(path: Path) -> Iterator[Reference]:
    """Yield the files of an OpenFOAM case: of the mesh, and the fields of each time.

    A mesh in a time folder holds for later times, too.
    """
    case = path.parent.parent if path.name == "controlDict" else path.parent
    parts = [one for one in sorted(case.iterdir()) if re.fullmatch(r"processors?\d+.*", one.name) and one.is_dir()]
    for folder in (folder for root in [case, *parts] for folder in sorted(root.iterdir())):
        if folder.name == "constant":
            yield from map(Reference, _below(folder))
        elif is_time(folder.name) and folder.is_dir():
            for file in _below(folder):
                mesh = any(part in ("polyMesh", "uniform", "sets") for part in Path(file).parts)
                yield Reference(file, None if mesh else float(folder.name))
    control = case / "system" / "controlDict"
    if control.is_file():
        yield Reference(str(control))


def _below(folder: Path, depth: int = MAX_DEPTH) -> Iterator[str]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_file():
            yield entry.path
        elif depth and entry.is_dir():
            yield from _below(Path(entry.path), depth - 1)


def _nek(path: Path) -> Iterator[Reference]:
    """Yield the files of a Nek5000 series: each step in a file named by a template of C's printf."""
    fields = dict(re.findall(r"(?im)^\s*(filetemplate|firsttimestep|numtimesteps):\s*(\S+)", _text(path)))
    first, count = int(fields["firsttimestep"]), int(fields["numtimesteps"])
    template = fields["filetemplate"]
    if re.fullmatch(r"[^%]*(?:%0?\d?d[^%]*){1,2}", template):
        for step in range(first, first + min(count, MAX_FILES)):
            yield Reference(_beside(path, template % ((0, step) if template.count("%") > 1 else step)))


def _linked(path: Path) -> Iterator[Reference]:
    """Yield the existing files whose names occur in an HDF5, CGNS or netCDF file: external links store them as text."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    for match in re.finditer(rb"[\x20-\x7e]{1,255}?\.(?:vtkhdf|hdf5?|h5|cgns|nc)(?=[^\w.])", head):
        name = match[0].decode()
        for start in (name, re.split(r"[\s\"':]", name)[-1]):
            place = _beside(path, start)
            if place != os.path.normpath(path) and os.path.isfile(place):  # noqa: PTH113 - accepts any name
                yield Reference(place)
                break


def _pattern(suffixes: str) -> re.Pattern[str]:
    return re.compile(rf"\.(?:{suffixes})$", re.IGNORECASE)


PARSERS: list[tuple[re.Pattern[str], Parser]] = [
    (_pattern(r"pvd|pvt[iprsu]|phtg|vtm|vtmb|vtpd|vtpc|vth|vthb"), _vtk_xml),
    (_pattern("series|p3d"), _series),
    (_pattern("ex-timeseries"), _exodus_series),
    (_pattern("spcth"), _spcth_case),
    (_pattern("xmf|xdmf|xmf2|xdmf2|xmf3|xdmf3"), _xdmf),
    (_pattern("case|encas|sos"), _ensight),
    (re.compile(r"(?:\.foam|/controlDict)$", re.IGNORECASE), _openfoam),
    (_pattern("nek5000|nek3d"), _nek),
    (_pattern("mhd|nhdr"), _image_header),
    (_pattern("vtkhdf|hdf5?|h5|cgns|nc|cdf"), _linked),
]
