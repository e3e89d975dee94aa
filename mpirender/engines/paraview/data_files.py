"""Finds the data files of a ParaView state: at the saved paths, in ``--data-dir``, or as named by ``--file``.

``--data-dir`` follows the rules of ParaView's ``LoadState(data_directory=...)`` (vtkLoadStateOptions), but checks every
file; ParaView checks only the first three files of a series.
"""

from __future__ import annotations

import codecs
import contextlib
import glob
import os
import re
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender.engines.base import DataFile
from mpirender.engines.paraview import index_files
from mpirender.engines.paraview.script_source import is_script
from mpirender.engines.paraview.state_xml import State
from mpirender.job.paths import exists, is_folder
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean

MAX_NAMED = 3  # missing files of a series in a message
Paths = dict[tuple[str, str], list[str]]  # of data files, by the key of the property
_exists = os.path.exists  # unlike Path.exists, it accepts names that no file can have
# Readers of ParaView 5.11 whose files may be a series (properties with repeat_command), also if it has only one.
SERIES_READERS = frozenset((
    "AMReXGridReader", "AMReXParticlesReader", "AVSucdSeriesReader", "CGNSSeriesReader", "CSVReader", "EnzoReader",
    "ExodusIIReader", "FLUENTReader", "FlashReader", "HDFReader", "HyperTreeGridReader", "IOSSReader", "ImageReader",
    "JPEGSeriesReader", "LegacyVTKFileReader", "MRCSeriesReader", "MetaImageReader", "PLYReader", "PNGSeriesReader",
    "ParticleReader", "TIFFSeriesReader", "TecplotReader", "VelodyneAMRReader", "XMLHierarchicalBoxDataReader",
    "XMLImageDataReader", "XMLMultiBlockDataReader", "XMLPHyperTreeGridReader", "XMLPImageDataReader",
    "XMLPPolyDataReader", "XMLPRectilinearGridReader", "XMLPStructuredGridReader", "XMLPTableReader",
    "XMLPUnstructuredGridReader", "XMLPartitionedDataSetCollectionReader", "XMLPartitionedDataSetReader",
    "XMLPolyDataReader", "XMLRectilinearGridReader", "XMLStructuredGridReader", "XMLTableReader",
    "XMLUniformGridAMRReader", "XMLUnstructuredGridReader", "Xdmf3ReaderS", "Xdmf3ReaderT", "XdmfReader",
    "netCDFReader", "stlreader",
))  # fmt: skip


@dataclass(frozen=True)
class FileProperty:
    """A property of a proxy that names data files."""

    key: tuple[str, str]  # id of the proxy, and name: they identify the property in another parse of the same file
    reader: str
    name: str
    saved: tuple[str, ...]
    many: bool  # whether it is a series of files
    may_be_many: bool = False  # whether the reader takes a series


def relocate(state: State, job: RenderJob, folder: str = "") -> tuple[bytes, tuple[DataFile, ...], list[str]]:
    """Return the state with the current paths of its data files, these files, and the mistakes.

    The bytes are returned unchanged if no path changes, else as well-formed UTF-8.

    :param folder: under which the files are on another machine that will read the state, at the same paths.
    """
    properties = list(file_properties(state))
    mistakes: list[str] = []
    chosen = _from_options(properties, job, mistakes)
    files: list[DataFile] = []
    changes: Paths = {}
    for prop in properties:
        prefix = prop.name == "FilePrefix"
        located = chosen.get(prop.key) or [_located(saved, job.data_dir, prefix=prefix) for saved in prop.saved]
        if not prefix:
            read = _data_files(prop, located)
            referenced = _referenced(prop, read)
            files += [*read, *referenced]
            mistakes += _missing_parts(prop, read)
            mistakes += _missing(prop, read, job, by_option=prop.key in chosen)
            mistakes += _missing_references(prop, referenced) if job.on_error == "fail" else ()
        if folder:
            located = [f"{folder}{os.path.abspath(path)}" if path else "" for path in located]  # noqa: PTH100 - or a prefix
        if located != list(prop.saved):
            changes[prop.key] = located
    return _rewritten(state, changes), tuple(files), mistakes


def file_properties(state: State) -> Iterator[FileProperty]:
    """Yield the properties that name data files: properties with ParaView's file list domain, ``files``.

    The FilePrefix of a reader (Exodus) is included; it is a path, but not of a file.
    """
    for proxy in state.proxies:
        listed = [name for name, prop in proxy.properties.items() if prop.find("Domain[@name='files']") is not None]
        for name in [*listed, *(("FilePrefix",) if listed and "FilePrefix" not in listed else ())]:
            saved = tuple(proxy.values(name))
            if any(saved):
                many = len(saved) > 1
                series = many or proxy.type in SERIES_READERS
                yield FileProperty((proxy.id, name), proxy.name, name, saved, many, series)


def _from_options(properties: Sequence[FileProperty], job: RenderJob, mistakes: list[str]) -> Paths:
    """Return the files that ``--file`` sets; append mistakes in ``--file`` and ``--data-dir`` to the list."""
    if job.data_dir is not None and not is_folder(job.data_dir):
        mistakes.append(f"--data-dir {job.data_dir}: no such folder")
    readers = sorted({prop.reader for prop in properties})
    chosen: Paths = {}
    for reader, path in job.files:
        if reader not in readers:
            has = f"{did_you_mean(reader, readers)}; it has: {', '.join(readers) or 'none'}"
            mistakes.append(f"--file {reader}={path}: the scene has no reader of that name{has}")
        named = [prop for prop in properties if prop.reader == reader and prop.name != "FilePrefix"]
        paths = _expanded(path)
        for prop in {prop.key[0]: prop for prop in reversed(named)}.values():  # several readers may share a name
            if not paths:
                mistakes.append(f"--file {reader}={path}: no file matches")
            elif len(paths) > 1 and not prop.may_be_many:
                mistakes.append(f"--file {reader}={path}: {len(paths)} files match, but the reader reads one; name one")
            chosen[prop.key] = paths or [path]
    return chosen


def _expanded(path: str) -> list[str]:
    """Return the files that match a pattern, sorted by the numbers in their names, or the path itself."""
    full = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - patterns are no Paths
    if not glob.has_magic(full) or _exists(full):
        return [full]

    def numbers(path: str) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", path)]

    return sorted(glob.glob(full), key=numbers)  # noqa: PTH207


def _located(saved: str, data_dir: Path | None, *, prefix: bool = False) -> str:
    """Return the current path of a file, or of files with a prefix: in the data folder if they exist there."""
    path = _with_variable(saved)
    if not path or data_dir is None:
        return path
    *folders, name = parts(path)
    if prefix:
        beginning = str(data_dir / name)
        return beginning if glob.glob(f"{glob.escape(beginning)}*") else path  # noqa: PTH207 - not a whole name
    for depth in range(len(folders) + 1):
        place = data_dir.joinpath(*folders[len(folders) - depth :], name)
        if exists(place):
            return str(place)
    return path


def parts(path: str) -> list[str]:
    r"""Split a path of any operating system into its parts, without drive and root: ``Y:\a\b`` gives ``[a, b]``."""
    if re.match(r"[A-Za-z]:[\\/]|\\\\", path):
        path = re.sub(r"^[A-Za-z]:", "", path).replace("\\", "/")
    names = [part for part in path.split("/") if part not in ("", ".", "..")]
    return names or [path]


def _with_variable(path: str) -> str:
    """Return the path with the environment variable at its start expanded, if it is set."""
    match = re.match(r"\$([A-Za-z0-9_-]+)(?=[\\/]|$)", path)
    value = os.environ.get(match[1]) if match else None
    return path if match is None or value is None else value + path[match.end() :]


def _data_files(prop: FileProperty, located: Sequence[str]) -> list[DataFile]:
    """Return a record of each file. Like ParaView, resolve relative paths against the current folder."""
    files = []
    for saved, path in zip((*prop.saved, *[""] * len(located)), located):
        if path:
            foreign = re.match(r"[A-Za-z]:[\\/]|\\\\|\$", path)
            full = path if foreign else str(Path(path).absolute())
            files.append(DataFile(prop.reader, prop.name, saved, full, _exists(path)))
    return files


def _missing(prop: FileProperty, files: Sequence[DataFile], job: RenderJob, *, by_option: bool) -> list[str]:
    """Return one line about all missing files of a property."""
    missing = [file for file in files if not file.found]
    if not missing:
        return []
    if by_option:
        path = dict(job.files).get(prop.reader, "")
        return [] if glob.has_magic(path) else [f"--file {prop.reader}={path}: no such file"]
    where = f" there or in {job.data_dir}" if job.data_dir and is_folder(job.data_dir) else ""
    if len(files) == 1:
        problem = f"{missing[0].saved} does not exist{where}"
    else:
        names = [file.saved for file in missing]
        problem = f"{len(missing)} of {len(files)} files do not exist{where}: {_first(names)}"
    return [f"reader {prop.reader!r}: {problem}; {_fix(prop, missing[0], job)}"]


def _missing_parts(prop: FileProperty, files: Sequence[DataFile]) -> Iterator[str]:
    """Yield the families of Exodus or SPCTH files that are incomplete, one line each.

    The reader finds the other files of a family itself, and shows a part of the model if one is missing.
    """
    families = {parts[0]: parts for parts in (index_files.family(file.path) for file in files if file.found) if parts}
    for parts in families.values():
        missing = index_files.missing(parts)
        if missing:
            count, name = f"{len(missing)} of the {len(parts)} files", parts[0].rpartition(".")[0]
            yield f"reader {prop.reader!r}: {count} of {name} do not exist: {_first(missing)}"


def _referenced(prop: FileProperty, files: Sequence[DataFile]) -> list[DataFile]:
    """Return the files to which those of a property refer, directly or not."""
    own = [file.path for file in files]
    referenced = []
    for path, steps in index_files.all_files(own).items():
        step = next(iter(steps)) if steps and len(steps) == 1 else None
        index, time = (step, None) if isinstance(step, str) else (own[0], step)
        if path not in own:
            saved = os.path.relpath(path, os.path.dirname(index))  # noqa: PTH120
            referenced.append(DataFile(prop.reader, prop.name, saved, path, _exists(path), index, time))
    return referenced


def _missing_references(prop: FileProperty, referenced: Sequence[DataFile]) -> Iterator[str]:
    """Yield the files to which an existing index file refers and that do not exist, one line for each index file."""
    by_index: dict[str, list[str]] = {}
    for file in referenced:
        if not file.found and file.path not in index_files.family(file.index):
            by_index.setdefault(file.index, []).append(file.saved)
    for index, missing in by_index.items():
        count = "a file" if len(missing) == 1 else f"{len(missing)} files"
        there = "does" if len(missing) == 1 else "do"
        yield (
            f"reader {prop.reader!r}: {count} to which {index} refers {there} not exist: {_first(missing)}; restore "
            "what is missing, or render what there is with --on-error warn"
        )


def _first(names: Sequence[str]) -> str:
    """Return the first names of files."""
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")


def _fix(prop: FileProperty, missing: DataFile, job: RenderJob) -> str:
    """Return how to fix a missing file."""
    scene_dir = job.scene.parent
    if is_script(job):
        if not Path(missing.saved).is_absolute() and exists(scene_dir / missing.saved):
            return f"found next to the script: run mpirender in {scene_dir}"
        return f"correct the script, or use --set {shlex.quote(prop.reader)}.{prop.name}=PATH"
    variable = re.match(r"\$([A-Za-z0-9_-]+)", missing.saved)
    if variable and variable[1] not in os.environ:
        return f"set the environment variable {variable[1]}"
    if job.data_dir != scene_dir and _exists(_located(missing.saved, scene_dir)):
        return f"found next to the scene: use --data-dir {shlex.quote(str(scene_dir))}"
    pattern = "PATH" if not prop.many else "'FOLDER/NAME_*.SUFFIX'"
    return f"use --data-dir FOLDER or --file {shlex.quote(prop.reader)}={pattern}"


def _rewritten(state: State, changes: Paths) -> bytes:
    """Return the state's bytes with the values of some properties replaced."""
    if not changes and not state.content.startswith(codecs.BOM_UTF8):
        with contextlib.suppress(UnicodeDecodeError):
            state.content.decode()
            return state.content
    state = State.parse(state.content, state.name)  # parsed again, so that the caller's state stays unchanged
    for (proxy_id, name), new in changes.items():
        _set_values(state.by_id[proxy_id].properties[name], new)
    content: bytes = ET.tostring(state.top, encoding="utf-8", xml_declaration=True)
    return content


def _set_values(prop: ET.Element, new: Sequence[str]) -> None:
    for element in prop.findall("Element"):
        prop.remove(element)
    prop.set("number_of_elements", str(len(new)))
    for index, value in enumerate(new):
        element = ET.Element("Element", {"index": str(index), "value": value})
        element.tail = "\n        "
        prop.insert(index, element)
