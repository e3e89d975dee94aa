"""Which files of the output folder mpirender made, by its journals; it replaces and deletes no others."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mpirender.errors import UsageError
from mpirender.job import frames as framesets
from mpirender.job.outputs import Image, Output
from mpirender.job.paths import is_file, is_folder
from mpirender.job.render_job import RenderJob
from mpirender.run_folder import events, lock
from mpirender.run_folder.event_fields import readable
from mpirender.run_folder.events import Event
from mpirender.run_folder.journal import Journal, Tail
from mpirender.system import files

CONTACT_SHEET = "contact_sheet.png"
REPORT = "report.html"
PART = re.compile(r"\.part-(\d+)-.+", re.DOTALL)
NAMED = 3  # files in messages
INSTEAD = "move it away, choose another --output, or replace it with --overwrite"


class OwnFiles:
    """What mpirender made in an output folder."""

    def __init__(self, recorded: Iterable[Event], *, damaged: bool = False) -> None:
        """Take the events of all journals; if some are ``damaged``, the names of files must do."""
        self._damaged = damaged
        self._images: set[Image] = set()
        self._beside: set[tuple[str, str]] = set()
        self._made: set[tuple[str, int, str]] = set()
        self.pids: set[int] = set()  # of the processes that wrote
        for event in recorded:
            if isinstance(event, (events.Take, events.Done)):
                self._images.add(event.image)
            if isinstance(event, events.Done):
                self._beside.update((event.image.output, other.path) for other in event.beside)
            elif isinstance(event, events.Made):
                self._made.add((event.path, event.bytes, event.digest))
            elif isinstance(event, (events.Start, events.Launch, events.Writer)):
                self.pids.add(event.pid)

    @classmethod
    def read(cls, job: RenderJob, journals: str = "*.jsonl") -> OwnFiles:
        """Return what the journals in the folder of a job say, or those with such names."""
        tail = Tail(job.folder, journals, from_start=True)
        recorded = list(tail.each())
        empty = any(is_file(path) and not path.stat().st_size for path in job.folder.glob(tail.pattern))
        return cls(recorded, damaged=bool(tail.skipped) or empty)

    def has_image(self, image: Image) -> bool:
        """Return whether the file of an image is mpirender's, by its name: a changed one is rendered again."""
        return self._damaged or image in self._images

    def has_beside(self, output: str, path: str) -> bool:
        """Return whether a file that lies with images is mpirender's; ``path``: from the folder of the images.

        One that was put in its place, but not recorded yet, has the number of an image in its name.
        """
        numbers = re.findall(r"\d+", path)
        begun = bool(numbers) and Image(int(numbers[-1][:9]), output) in self._images
        return self._damaged or begun or (output, path) in self._beside

    def has_made(self, job: RenderJob, place: Path) -> bool:
        """Return whether a movie, contact sheet or table is one that mpirender made, unchanged."""
        if self._damaged:
            return True
        try:
            return (recorded_name(job, place), *files.short_digest(place)) in self._made
        except OSError:
            return False


def recorded_name(job: RenderJob, place: Path) -> str:
    """Return the name under which a file in the output folder is recorded, when it has been made."""
    return readable(str(place.relative_to(job.output)))


def table_path(job: RenderJob) -> Path:
    """Return the path of the table of a job's images."""
    return job.output / ("study.csv" if job.vary else "measured.csv")


def cinema_path(job: RenderJob) -> Path:
    """Return the path of the table of the Cinema database of a study."""
    return job.output / f"{job.scene.stem}.cdb" / "data.csv"


def results(job: RenderJob) -> list[Path]:
    """Return the files that a job writes beside its images: movies, contact sheet, tables and report."""
    movies = [job.movie_path(output) for output in job.outputs] if job.movie != "none" else []
    tables = [table_path(job)] if job.vary or job.measure else []
    tables += [table_path(job).with_suffix(".json"), cinema_path(job)] if job.vary else []
    return [*movies, job.output / CONTACT_SHEET, *tables, job.output / REPORT]


def mistakes(job: RenderJob, frames: Collection[int], beside: Sequence[str] = ()) -> list[str]:
    """Return why a job must not be written into its output folder: it holds what mpirender did not make, or made of
    another scene.

    :param frames: the frames to be rendered; none if they are not known yet.
    :param beside: where the engine writes other files with the images: paths, or their beginnings, from their folder.
    """
    if job.overwrite or not is_folder(job.output):
        return []
    if other := other_scene(job):
        with_ = "choose another --output, or replace them with --overwrite"
        return [f"--output {job.output}: holds the frames of {other}; {with_}"]
    images = {output.name: list(images_in(job, output, frames)) for output in job.outputs}
    others = {output.name: list(files_below(job.output / output.name, beside)) for output in job.outputs}
    made = [place for place in results(job) if os.path.lexists(place)]
    if not (made or any(images.values()) or any(others.values())):
        return []
    own = OwnFiles.read(job)
    foreign = [job.place(image) for each in images.values() for image in each if not own.has_image(image)]
    for name, paths in others.items():
        foreign += [job.output / name / path for path in paths if not own.has_beside(name, path)]
    foreign += [place for place in made if not own.has_made(job, place)]
    return refused(foreign)


def in_the_way(job: RenderJob, frames: Collection[int]) -> Iterator[str]:
    """Yield what stands in the place of an image, its folder or a result, and cannot be replaced.

    :param frames: the frames to be rendered; none if they are not known yet.
    """
    places, fix = [*results(job)], "move it away, or choose another --output"
    for output in job.outputs:
        folder = job.output / output.name
        if os.path.lexists(folder) and not is_folder(folder):
            yield f"{folder}: not a folder, but the images are written there; {fix}"
        places += map(job.place, images_in(job, output, frames))
    folders = [place for place in places if is_folder(place) and not place.is_symlink()]
    yield from (f"{place}: a folder in the place of a file that mpirender makes; {fix}" for place in folders[:NAMED])


def refused(foreign: Sequence[Path]) -> list[str]:
    """Return the mistake that files of others are in the way, empty without any."""
    if not foreign:
        return []
    more = f" (and {len(foreign) - 1} more such files)" if len(foreign) > 1 else ""
    return [f"{foreign[0]}: mpirender did not make this file{more}; {INSTEAD}"]


def refuse(job: RenderJob, place: Path, journals: str = "*.jsonl") -> None:
    """Raise UsageError if a file is in the way that mpirender did not make, or that was changed since.

    :param journals: the names of those that record it, since reading all may take long.
    """
    if not job.overwrite and os.path.lexists(place) and not OwnFiles.read(job, journals).has_made(job, place):
        raise UsageError(refused([place]))


def other_scene(job: RenderJob) -> str:
    """Return the name of the scene whose frames are in the output folder, empty if that is the scene of the job.

    A scene of the same name is the same one if the other is gone, or if the folder is elsewhere now: scene and folder
    were moved or copied.
    """
    try:
        read = json.loads(files.content(job.folder / "job.json"))
        before, output = Path(read["scene"]), Path(read["output"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""
    if before.name == job.scene.name:
        with contextlib.suppress(OSError, ValueError):
            return "" if output != job.output or before.samefile(job.scene) else str(before)
        return ""
    outcomes = (event for event in Tail(job.folder, from_start=True).each() if isinstance(event, events.Done))
    return before.name if next(outcomes, None) else ""


def images_in(job: RenderJob, output: Output, frames: Collection[int]) -> Iterator[Image]:
    """Yield the images of an output for which a file is there."""
    wanted = set(frames)
    for name in names(job.output / output.name):
        found = re.fullmatch(r"frame_(\d{6,9})", Path(name).stem)
        frame = int(found[1]) if found else -1
        if name == framesets.file_name(frame, job.image_format) and (not wanted or frame in wanted):
            yield Image(frame, output.name)


def files_below(folder: Path, beginnings: Sequence[str]) -> Iterator[str]:
    """Yield the files in a folder and its folders whose paths from there begin with one of these texts."""
    found = (str(path.relative_to(folder)) for path in (folder.rglob("*") if beginnings else ()) if not path.is_dir())
    return (path for path in found if path.startswith(tuple(beginnings)))


def names(folder: Path) -> list[str]:
    """Return the names of the files in a folder, none if it cannot be read."""
    with contextlib.suppress(OSError):
        return [path.name for path in folder.iterdir()]
    return []


def tidy(job: RenderJob) -> None:
    """Remove the incomplete files of processes that died: by their names, and process ids in the journals."""
    inside = [job.folder / name for name in names(job.folder) if name.startswith(".part-")]  # nobody else writes here
    folders = [job.output, *(job.output / output.name for output in job.outputs)]
    found = [(folder / name, part) for folder in folders for name in names(folder) if (part := PART.fullmatch(name))]
    pids = OwnFiles.read(job).pids if found else set()
    for place in [*inside, *(place for place, part in found if int(part[1][:18]) in pids)]:
        with contextlib.suppress(OSError):
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()


@contextlib.contextmanager
def recording(job: RenderJob) -> Iterator[files.Made]:
    """Hold the lock of the folder while a process that is no run writes files; yield what records each of them.

    :raises UsageError: a run uses the folder.
    """
    with lock.held(job.folder, lock.RESULTS), recorder(job) as made:
        yield made


@contextlib.contextmanager
def recorder(job: RenderJob) -> Iterator[files.Made]:
    """Yield what records each file that this process makes; the lock of the folder must be held."""
    with Journal(job.folder, None, socket.gethostname()) as log:
        log.write(events.Writer(os.getpid()))
        yield partial(log.record_made, job.output)
