"""Where an image or a movie comes from: what its file says, and what the journals of the run beside it say."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mpirender.errors import EncodeFailed, UsageError
from mpirender.job.options import CODECS
from mpirender.job.origin import Origin
from mpirender.job.outputs import Image
from mpirender.job.render_job import FOLDER, RenderJob
from mpirender.movie import movie_metadata
from mpirender.ranks import image_metadata
from mpirender.run_folder import events, folder, journal, own_files
from mpirender.run_folder.events import Done, Event
from mpirender.system import files

MOVIES = [f".{kind}" for kind in CODECS]  # suffixes
DEEPEST = 4  # folders between an image and the output folder, itself included: view, size and values of a study
LABEL_WIDTH = 11
UNCHANGED, CHANGED = "unchanged since", "CHANGED since: it is not the file that mpirender wrote"


@dataclass(frozen=True)
class Record:
    """What the journals of a run say about a file."""

    job: RenderJob  # the newest one of the folder
    place: Path
    made: Done | events.Made | None  # by which it was recorded; None if it was not
    fingerprint: str  # of the file, as it was recorded, empty if it is not known
    newest: str  # fingerprint of the newest run
    unchanged: bool = False


def lines(place: Path) -> list[str]:
    """Return the lines about a file.

    :raises UsageError: it is no image and no movie, or neither it nor a run folder beside it says where it comes from.
    :raises ToolMissing: it is a movie, and ffmpeg is missing.
    """
    origin, record = origin_of(place), record_of(place)
    if origin is None and (record is None or record.made is None):
        lost = "rendered with --no-metadata, saved by another program, or not made by mpirender"
        raise UsageError(f"{place}: does not say where it comes from ({lost}), and no run beside it recorded it")
    rows = [*(of_file(origin) if origin else []), *(of_run(record, origin) if record else [])]
    if origin is None:
        rows.insert(0, ("metadata", "none in the file; these are the records of the run"))
    if record is None:
        rows.append(("run", "no run folder beside the file, so it cannot be checked whether it was changed"))
    return [f"{label:>{LABEL_WIDTH}}  {text}" for label, text in rows]


def of_file(origin: Origin) -> list[tuple[str, str]]:
    """Return label and text of what a file says about itself."""
    at = "" if origin.time is None else f", time {origin.time:g}"
    noun = "frame" if origin.frames.lstrip("-").isdigit() else "frames"
    again = origin.command or "too long for the file"
    return [
        ("scene", origin.scene), ("output", origin.output), (noun, f"{origin.frames}{at}"),
        ("made with", origin.software), ("fingerprint", origin.fingerprint), ("again", again),
    ]  # fmt: skip


def of_run(record: Record, origin: Origin | None) -> Iterator[tuple[str, str]]:
    """Yield label and text of what a run recorded about a file."""
    yield "run", str(record.job.output)
    if record.made is None:
        yield "recorded", "no; the file was renamed, copied into this folder, or its record is damaged"
        return
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.made.time))
    who = f"rank {record.made.rank} on " if isinstance(record.made, Done) else ""
    yield "written", f"{when} by {who}{record.made.host}, {UNCHANGED if record.unchanged else CHANGED}"
    if origin and isinstance(record.made, Done) and origin.frames != str(record.made.image.frame):
        yield "place", f"that of frame {record.made.image.frame}, not of frame {origin.frames}"
    known = record.fingerprint or (origin.fingerprint if origin else record.newest)
    if origin and origin.fingerprint != known:
        yield "matches", f"no: the fingerprint in the records is {known}"
    elif known != record.newest:
        yield "matches", "an earlier run here; scene, data or options have changed since"
    else:
        yield "matches", "the newest run here, whose command is:"
        yield "command", shlex.join(record.job.command())


def origin_of(place: Path) -> Origin | None:
    """Return what a file says about its origin, None if it says nothing.

    :raises UsageError: it cannot be read, or is no image and no movie.
    """
    try:
        if place.is_dir():
            raise UsageError(f"{place}: is a folder; name an image or a movie")
        content = files.content(place) if place.suffix.lower() not in MOVIES else b""
        if image_metadata.is_image(content):
            return image_metadata.read(content)
        if place.suffix.lower() in MOVIES:
            return movie_metadata.read(place)
    except OSError as error:
        raise UsageError(f"{place}: cannot be read ({error.strerror or error})") from None
    except EncodeFailed as error:
        raise UsageError(f"{place}: is no movie that can be read ({error})") from None
    raise UsageError(f"{place}: is neither a png, jpg or tiff image nor a movie ({', '.join(MOVIES)})")


def record_of(place: Path) -> Record | None:
    """Return what a run whose folder holds a file recorded about it; None if there is no such folder."""
    place = place.absolute()
    above = next((one for one in place.parents[:DEEPEST] if (one / FOLDER / "job.json").is_file()), None)
    if above is None:
        return None
    try:
        job, recorded = folder.read_job(above), journal.read(above / FOLDER)
    except (UsageError, OSError):
        return None
    plans = [event.fingerprint for event in recorded if isinstance(event, events.Plan)]
    newest = plans[-1] if plans else ""
    done = [event for event in recorded if isinstance(event, Done) and is_place_of(job, event.image, place)]
    if not done:
        return movie_record(job, place, recorded, newest)
    one = next((event for event in done if journal.whole(place, event.bytes, event.digest)), None)
    last = one or done[-1]
    return Record(job, place, last, last.fingerprint, newest, unchanged=one is not None)


def is_place_of(job: RenderJob, image: Image, place: Path) -> bool:
    """Return whether a file has the place of an image, in any file format: the job may ask for another one now."""
    return place.with_suffix("") == job.place(image).with_suffix("")


def movie_record(job: RenderJob, place: Path, recorded: list[Event], newest: str) -> Record:
    """Return what a run recorded about a movie or another file that is no image."""
    name = own_files.recorded_name(job, place)
    made = [event for event in recorded if isinstance(event, events.Made) and event.path == name]
    size, digest = files.short_digest(place)
    same = [event for event in made if (event.bytes, event.digest) == (size, digest)]
    last = next(reversed(same or made), None)
    return Record(job, place, last, "", newest, unchanged=bool(same))
