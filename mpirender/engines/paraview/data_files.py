"""Where a ParaView state's data files are now: beside the state's own paths, --data-dir and --file.

The rules of --data-dir are those of ParaView's ``LoadState(data_directory=...)`` (vtkLoadStateOptions), but every file
is looked for; ParaView takes the rest of a series for granted after three files.
"""

from __future__ import annotations

import codecs
import glob
import os
import re
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpirender.engines.base import DataFile
from mpirender.engines.paraview.script_source import is_script
from mpirender.engines.paraview.state_xml import State, manager_state, parse_xml
from mpirender.job.render_job import RenderJob
from mpirender.system.text import did_you_mean

NAMED = 3  # missing files of a series that a message names


@dataclass(frozen=True)
class FileProperty:
    """A property of a proxy that names data files."""

    proxy_id: str
    reader: str
    name: str
    saved: tuple[str, ...]
    many: bool  # a series: more than one file

    @property
    def key(self) -> tuple[str, str]:
        """What finds the property again in another parse of the same file."""
        return self.proxy_id, self.name


def relocate(state: State, job: RenderJob) -> tuple[bytes, tuple[DataFile, ...], list[str]]:
    """Return the state with its data files where they are, each of those files, and what is wrong with them.

    The bytes are those given where no path changes, else well-formed UTF-8.
    """
    properties = list(file_properties(state))
    mistakes = _mistakes_of_options(properties, job)
    chosen = _chosen(properties, job, mistakes)
    files: list[DataFile] = []
    changes: dict[tuple[str, str], list[str]] = {}
    for prop in properties:
        if prop.name == "FilePrefix":
            placed = [_prefix(saved, job.data_dir) for saved in prop.saved]
        else:
            placed = chosen.get(prop.key) or [_placed(saved, job.data_dir) for saved in prop.saved]
            read = _data_files(prop, placed)
            files += read
            mistakes += _missing(prop, read, job, asked=prop.key in chosen)
        if placed != list(prop.saved):
            changes[prop.key] = placed
    return _rewritten(state, changes), tuple(files), mistakes


def file_properties(state: State) -> Iterator[FileProperty]:
    """Yield the properties that name data files: those with ParaView's file list domain, which it calls ``files``.

    A reader's FilePrefix (Exodus) has a path too, though not of a file.
    """
    for proxy in state.proxies:
        listed = [name for name, prop in proxy.properties.items() if prop.find("Domain[@name='files']") is not None]
        for name in [*listed, *(("FilePrefix",) if listed and "FilePrefix" not in listed else ())]:
            saved = tuple(proxy.values(name))
            if any(saved):
                yield FileProperty(proxy.id, proxy.name, name, saved, len(saved) > 1)


def _mistakes_of_options(properties: Sequence[FileProperty], job: RenderJob) -> list[str]:
    mistakes = []
    if job.data_dir is not None and not job.data_dir.is_dir():
        mistakes.append(f"--data-dir {job.data_dir}: no such folder")
    readers = sorted({prop.reader for prop in properties})
    for reader, path in job.files:
        if reader not in readers:
            has = (
                f"{did_you_mean(reader, readers)}; it has: {', '.join(readers)}"
                if readers
                else "; it reads no files at all"
            )
            mistakes.append(f"--file {reader}={path}: the scene has no reader of that name{has}")
    return mistakes


def _chosen(
    properties: Sequence[FileProperty], job: RenderJob, mistakes: list[str]
) -> dict[tuple[str, str], list[str]]:
    """Return the files that --file puts in place of a property's; append what is wrong with them to mistakes."""
    chosen: dict[tuple[str, str], list[str]] = {}
    for reader, path in job.files:
        firsts: dict[str, FileProperty] = {}  # by proxy: readers may share a name
        for prop in properties:
            if prop.reader == reader and prop.name != "FilePrefix":
                firsts.setdefault(prop.proxy_id, prop)
        for prop in firsts.values():
            paths = _expanded(path)
            if not paths:
                mistakes.append(f"--file {reader}={path}: no file is called like that")
            elif len(paths) > 1 and not prop.many:
                mistakes.append(f"--file {reader}={path}: {len(paths)} files fit, but the reader reads one; name one")
            chosen[prop.key] = paths or [path]
    return chosen


def _expanded(path: str) -> list[str]:
    """Return the files of a pattern in the order of the numbers in their names, or the path itself."""
    full = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - patterns are no Paths
    if not glob.has_magic(full) or os.path.exists(full):  # noqa: PTH110
        return [full]
    return sorted(glob.glob(full), key=_by_number)  # noqa: PTH207


def _by_number(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", path)]


def _placed(saved: str, data_dir: Path | None) -> str:
    """Return where a file is: in the data folder if there is one of its name, else where the state says."""
    path = _with_variable(saved)
    if not path or data_dir is None:
        return path
    *folders, name = parts(path)
    for depth in range(len(folders) + 1):
        place = data_dir.joinpath(*folders[len(folders) - depth :], name)
        if place.exists():
            return str(place)
    return path


def _prefix(saved: str, data_dir: Path | None) -> str:
    """Return a reader's FilePrefix in the data folder, if files begin like that there."""
    path = _with_variable(saved)
    if not path or data_dir is None:
        return path
    place = data_dir / parts(path)[-1]
    return str(place) if glob.glob(f"{glob.escape(str(place))}*") else path  # noqa: PTH207 - not a whole name


def parts(path: str) -> list[str]:
    r"""Split a path of any system into folders and name, without drive and root: ``Y:\a\b`` is ``[a, b]``."""
    if re.match(r"[A-Za-z]:[\\/]|\\\\", path):
        path = re.sub(r"^[A-Za-z]:", "", path).replace("\\", "/")
    names = [part for part in path.split("/") if part not in ("", ".", "..")]
    return names or [path]


def _with_variable(path: str) -> str:
    """Return the path with the environment variable at its start replaced, if that is set."""
    match = re.match(r"\$([A-Za-z0-9_-]+)(?=[\\/]|$)", path)
    value = os.environ.get(match[1]) if match else None
    return path if match is None or value is None else value + path[match.end() :]


def _data_files(prop: FileProperty, placed: Sequence[str]) -> list[DataFile]:
    """Return a record of each file; paths are taken from where ParaView is started, as it does."""
    files = []
    for index, path in enumerate(placed):
        if path:
            saved = prop.saved[index] if index < len(prop.saved) else ""
            foreign = re.match(r"[A-Za-z]:[\\/]|\\\\|\$", path)
            full = path if foreign else str(Path(path).absolute())
            files.append(DataFile(prop.reader, prop.name, saved, full, _exists(path)))
    return files


def _exists(path: str) -> bool:
    """Say whether a path is there; os.path, unlike Path, takes names that no file can have."""
    return os.path.exists(path)  # noqa: PTH110


def _missing(prop: FileProperty, files: Sequence[DataFile], job: RenderJob, *, asked: bool) -> list[str]:
    """Return one line for all files of a property that are not there."""
    lost = [file for file in files if not file.found]
    if not lost:
        return []
    if asked:
        path = dict(job.files).get(prop.reader, "")
        return [] if glob.has_magic(path) else [f"--file {prop.reader}={path}: no such file"]
    nowhere = f"nor in {job.data_dir}" if job.data_dir and job.data_dir.is_dir() else ""
    if len(files) == 1:
        where = f"which is neither there {nowhere}" if nowhere else "which is not here"
        told = f"reads {lost[0].saved}, {where}"
    else:
        first = ", ".join(file.saved for file in lost[:NAMED]) + (", ..." if len(lost) > NAMED else "")
        where = f"neither there {nowhere}" if nowhere else "not here"
        told = f"reads {len(files)} files, {len(lost)} of them {where}, first {first}"
    return [f"reader {prop.reader!r} {told}; {_cure(prop, lost[0], job)}"]


def _cure(prop: FileProperty, lost: DataFile, job: RenderJob) -> str:
    """Say what to do about a missing file."""
    beside = job.scene.parent
    if is_script(job):
        return f"mend the script, or --set {shlex.quote(prop.reader)}.{prop.name}=PATH"
    variable = re.match(r"\$([A-Za-z0-9_-]+)", lost.saved)
    if variable and variable[1] not in os.environ:
        return f"the environment variable {variable[1]} is not set"
    if job.data_dir != beside and _exists(_placed(lost.saved, beside)):
        return f"{'they are' if prop.many else 'it is'} beside the scene: --data-dir {shlex.quote(str(beside))}"
    pattern = "PATH" if not prop.many else "'FOLDER/NAME_*.SUFFIX'"
    return f"say where it is with --data-dir FOLDER or --file {shlex.quote(prop.reader)}={pattern}"


def _rewritten(state: State, changes: dict[tuple[str, str], list[str]]) -> bytes:
    """Return the state's bytes with the values of some properties replaced."""
    if not changes and _is_plain_utf8(state.content):
        return state.content
    top = parse_xml(state.content, state.name)  # a parse of its own: the caller's state stays as it is
    root = manager_state(top)
    for proxy in () if root is None else root.iterfind("Proxy"):
        for prop in proxy.iterfind("Property"):
            new = changes.get((proxy.get("id", ""), prop.get("name", "")))
            if new is not None:
                _set_values(prop, new)
    content: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return content


def _is_plain_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return not content.startswith(codecs.BOM_UTF8)


def _set_values(prop: ET.Element, new: Sequence[str]) -> None:
    for element in prop.findall("Element"):
        prop.remove(element)
    prop.set("number_of_elements", str(len(new)))
    for index, value in enumerate(new):
        element = ET.Element("Element", {"index": str(index), "value": value})
        element.tail = "\n        "
        prop.insert(index, element)
