"""Fill in the page, and write it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from mpirender.monitor.report import facts, images
from mpirender.monitor.report.charts import Label
from mpirender.monitor.report.pictures import Album
from mpirender.monitor.report.reading import Reading
from mpirender.monitor.report.timeline import COLUMNS, Lane, Mark, Timeline, ticks, timeline
from mpirender.supervisor.timings import NAMES
from mpirender.system.text import duration, plural, printable, rank_or_group
from mpirender.version import __version__

PLAYED = {"mp4": "video", "webm": "video", "gif": "image"}  # by a browser; by format
SECTIONS = {
    "failures": ("failed", "Failed frames"), "movies": ("movie", "Movie"), "study": ("study", "Study"),
    "sheet": ("sheet", "Contact sheet"), "timeline": ("timeline", "Ranks"), "parts": ("time", "Time"),
    "seconds": ("frames", "Frames"), "slowest": ("slowest", "Slowest"), "memory": ("memory", "Memory"),
    "measured": ("measured", "Measured"), "events": ("events", "Warnings"), "provenance": ("origin", "Origin"),
}  # fmt: skip


def html(reading: Reading, album: Album, folder: Path, refresh: int = 0) -> str:
    """Return the page of a run, for a file in ``folder``.

    :param refresh: seconds after which a browser loads it again; 0 for never.
    """
    values = _values(reading, album)
    values["movies"] = [
        (place.name, _link(place, folder), PLAYED.get(place.suffix[1:], "")) for place in images.movies(reading)
    ]
    values["contents"] = [section for name, section in SECTIONS.items() if values[name]]
    values["refresh"] = refresh
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )  # fmt: skip
    css = (Path(__file__).parent / "page.css").read_text()
    return environment.get_template("page.html.jinja").render(values, css=Markup(css))


def _shown(value: object) -> object:
    """Return a text from a file as it is safe to show; of two lines one."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value.replace("\n", " "))
    return value


def _values(reading: Reading, album: Album) -> dict[str, Any]:
    """Return what the template shows, by name."""
    status = reading.status
    drawn = timeline(reading.runs, status.time if status.state == "running" else None)
    parts, efficiency = facts.where_time_went(reading)
    memory, memory_left_out = facts.memory(reading)
    measured, measured_left_out = images.measured(reading)
    sheet, study = images.sheet(reading, album), images.study(reading, album)
    shown = [*sheet, *(one for _, cells in (study.rows if study else ()) for one in cells)]
    return {
        "title": status.scene or reading.status.output, "status": status, "version": __version__,
        "unit": rank_or_group(status.ranks_per_frame), "headline": facts.headline(reading),
        "tiles": facts.tiles(reading), "failures": images.failures(reading), "sheet": sheet, "study": study,
        "no_pictures": bool(reading.done) and not any(one.url for one in shown),
        **_of_timeline(drawn), "runs": len(reading.runs), "names": NAMES, "parts": parts, "efficiency": efficiency,
        "seconds": images.seconds_chart(reading), "slowest": images.slowest(reading, album), "memory": memory,
        "memory_left_out": memory_left_out, "measured": measured, "measured_left_out": measured_left_out,
        "events": facts.events(reading), "command": facts.command(reading),
        "provenance": facts.provenance(reading), "citations": facts.citations(reading),
    }  # fmt: skip


def _of_timeline(drawn: Timeline | None) -> dict[str, Any]:
    """Return what the template shows of the timeline."""
    if drawn is None:
        return {"timeline": None}
    marks = _marks(drawn.marks)
    axis = [Label(tick.column / COLUMNS * 100, _since(tick.seconds)) for tick in ticks(drawn.axis)]
    return {
        "timeline": drawn, "drawn": [_lane(lane) + marks for lane in drawn.lanes], "ticks": axis,
        "kinds": {mark.kind for mark in drawn.marks}, "timeline_about": _about(drawn),
    }  # fmt: skip


def _since(seconds: float) -> str:
    """Write a round time in its own unit: ``30 s``, ``15 min``, ``6 h``."""
    unit, name = next(
        (one for one in ((86400, "d"), (3600, "h"), (60, "min")) if seconds and seconds % one[0] == 0), (1, "s")
    )
    return f"{seconds / unit:g} {name}"


def _about(drawn: Timeline) -> str:
    """Describe the timeline in sentences."""
    each = {"rank": "A line for each rank", "group": "A line for each group of ranks", "node": "A line for each node"}
    text = f"{each.get(drawn.unit, 'A line for some nodes each')}; the color is what took most of the time."
    pieces = drawn.axis.pieces
    pauses = [duration(begin - end) for (_, end), (begin, _) in zip(pieces, pieces[1:])]
    if pauses:
        text += f" {plural(len(pieces), 'run')}; the time between them ({', '.join(pauses)}) is left out."
    return text + (f" {plural(drawn.left_out, 'earlier run')} left out." if drawn.left_out else "")


def _lane(lane: Lane) -> Markup:
    """Draw a lane: a path for each state."""
    paths: dict[int, list[str]] = {}
    for state, first, length in lane.runs:
        paths.setdefault(state, []).append(f"M{first} 6.5h{length}")
    return Markup("").join(
        Markup('<path class="t{}" d="{}"/>').format(state, "".join(parts)) for state, parts in paths.items()
    )


def _marks(marks: Sequence[Mark]) -> Markup:
    """Draw the moments of deaths and restarts across a lane."""
    kinds = dict.fromkeys(mark.kind for mark in marks)
    paths = {kind: "".join(f"M{mark.column:.0f} -1v15" for mark in marks if mark.kind == kind) for kind in kinds}
    return Markup("").join(Markup('<path class="mark {}" d="{}"/>').format(kind, path) for kind, path in paths.items())


def _link(place: Path, folder: Path) -> str:
    """Return a relative link; the colon of a name does not make it another kind of address."""
    return "./" + quote(os.path.relpath(place, folder), errors="surrogateescape")
