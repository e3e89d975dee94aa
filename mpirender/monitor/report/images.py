"""What the page shows of images: pictures, their seconds, failures, and the numbers measured in their data."""

from __future__ import annotations

import heapq
import re
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mpirender.errors import MpirenderError
from mpirender.job import frames as framesets
from mpirender.job import sweep
from mpirender.job.outputs import Image, Output
from mpirender.job.render_job import RenderJob
from mpirender.job.sweep import Axis
from mpirender.monitor import contact_sheet
from mpirender.monitor.report import charts
from mpirender.monitor.report.charts import Chart, Series
from mpirender.monitor.report.pictures import Album, spread
from mpirender.monitor.report.reading import Reading
from mpirender.run_folder.events import Done, Fail
from mpirender.supervisor import crash_recovery

SHEET_PICTURES, SHEET_WIDTH, SHEET_BYTES = 12, 960, 1_100_000
SLOWEST, SLOWEST_WIDTH, SLOWEST_BYTES = 8, 480, 400_000
CELLS, CELL_WIDTH, STUDY_BYTES = 240, 640, 1_200_000
MOST_CHARTS = 24
MOST_REASONS, LONGEST_REASON = 200, 600
LONGEST_FRAMES = 200  # characters of a frame set in a command


class Picture(NamedTuple):
    """A picture with a caption; the URL is empty if there is no picture."""

    url: str
    caption: str
    alt: str


class Slow(NamedTuple):
    """A slow image; ``times`` is how many times the median it took."""

    picture: Picture
    seconds: float
    times: float
    where: str


class Failed(NamedTuple):
    """Images that failed for the same reason, and the command that tries them alone."""

    output: str
    frames: str
    reason: str
    command: str


class Grid(NamedTuple):
    """The pictures of a study: the last property from left to right, the others from top to bottom."""

    across: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Picture]]]
    left_out: int  # rows


class Measured(NamedTuple):
    """The chart of a measured number."""

    name: str
    along: str  # what the horizontal axis shows
    chart: Chart


def smallest(reading: Reading) -> Output | None:
    """Return the output with the fewest pixels."""
    return contact_sheet.smallest(reading.job) if reading.job is not None else None


def sheet(reading: Reading, album: Album) -> list[Picture]:
    """Return pictures of frames spread evenly over the movie; none of a study."""
    job, output = reading.job, smallest(reading)
    if job is None or output is None or job.vary:
        return []
    frames = [one.image.frame for one in reading.of_output.get(output.name, ())]
    chosen = [Image(frames[place], output.name) for place in spread(frames, SHEET_PICTURES)]
    return [one for one in pictures(job, chosen, album, SHEET_WIDTH, SHEET_BYTES) if one.url]


def pictures(job: RenderJob, images: Sequence[Image], album: Album, width: int, limit: int) -> list[Picture]:
    """Return pictures of some images, captioned with their frames."""
    urls = album.urls([job.place(image) for image in images], width, limit)
    several = len(job.outputs) > 1
    named = [f"{image.output}, frame {image.frame}" if several else f"frame {image.frame}" for image in images]
    return [Picture(url, name, name) for url, name in zip(urls, named)]


def slowest(reading: Reading, album: Album) -> list[Slow]:
    """Return the slowest images."""
    found = heapq.nlargest(SLOWEST, reading.done.values(), key=lambda one: one.seconds)
    if not found or found[0].seconds <= 0:
        return []
    median = statistics.median(one.seconds for one in reading.done.values())
    images = [one.image for one in found]
    job = reading.job
    none = [Picture("", f"{image.output}, frame {image.frame}", "") for image in images]
    shown = pictures(job, images, album, SLOWEST_WIDTH, SLOWEST_BYTES) if job is not None else none
    return [
        Slow(picture, one.seconds, one.seconds / median if median else 1.0, f"rank {one.rank} on {one.host}")
        for picture, one in zip(shown, found)
    ]


def seconds_chart(reading: Reading) -> Chart | None:
    """Return the chart of the seconds of each image; None if there is only one frame."""
    series = [
        Series(output, [one.image.frame for one in images], [one.seconds for one in images])
        for output, images in reading.of_output.items()
    ]
    failed = [image.frame for image, one in reading.outcomes.items() if isinstance(one, Fail)]
    frames = {frame for one in series for frame in (one.x[0], one.x[-1])}
    return charts.chart(series, zero=True, unit=" s", crosses=failed) if len(frames) > 1 else None


def failures(reading: Reading) -> list[Failed]:
    """Return the images that failed, by reason; those of too many reasons together."""
    found = reading.status.failures
    shown = [
        Failed(one.size, one.frames, _short(one.reason), _alone(reading.job, one.size, one.frames))
        for one in found[:MOST_REASONS]
    ]
    more: dict[str, list[str]] = {}
    for one in found[MOST_REASONS:]:
        more.setdefault(one.size, []).append(one.frames)
    reason = "other reasons; mpirender status and the journals name them"
    return [*shown, *(Failed(size, ",".join(sets), reason, "") for size, sets in more.items())]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


def _alone(job: RenderJob | None, output: str, frames: str) -> str:
    """Return the command that renders these frames alone; of very many the first."""
    of_name = {one.name: one for one in job.outputs} if job is not None else {}
    if job is None or output not in of_name:
        return ""
    chosen = frames if len(frames) <= LONGEST_FRAMES else re.split("[-,]", frames)[0]
    try:
        return shlex.join(crash_recovery.alone(job, of_name[output], chosen).command())
    except MpirenderError:  # a journal may name frames that no run has
        return ""


def study(reading: Reading, album: Album) -> Grid | None:
    """Return the pictures of a study: of each combination the frame in the middle."""
    job, output = reading.job, smallest(reading)
    if job is None or output is None or not job.vary:
        return None
    axes = [sweep.parse(text) for text in job.vary]
    alike = [one for one in job.outputs if one.size == output.size and _same_target(one, output)]
    frames = framesets.parse(reading.plan.frames) if reading.plan is not None else (0,)
    columns = len(axes[-1].values)
    rows = min(max(CELLS // columns, 1), len(alike) // columns)
    chosen = alike[: rows * columns]
    images = [Image(frames[len(frames) // 2], one.name) for one in chosen]
    shown = pictures(job, images, album, CELL_WIDTH if rows * columns < 60 else CELL_WIDTH // 2, STUDY_BYTES)
    cells = [
        Picture(one.url, _values(axes, values := _assigned(output)), _values(axes, values))
        for one, output in zip(shown, chosen)
    ]
    side = [_values(axes[:-1], _assigned(one)) for one in chosen[::columns]]
    lines = [(name, cells[row * columns : (row + 1) * columns]) for row, name in enumerate(side)]
    return Grid([_values(axes[-1:], _assigned(one)) for one in chosen[:columns]], lines, len(alike) // columns - rows)


def _same_target(one: Output, other: Output) -> bool:
    return (one.view, one.layout, one.eye) == (other.view, other.layout, other.eye)


def _assigned(output: Output) -> Mapping[str, str]:
    """Return the values of the properties that vary."""
    return {name: value for name, _, value in (text.partition("=") for text in output.overrides)}


def _values(axes: Sequence[Axis], values: Mapping[str, str]) -> str:
    names = sweep.short_names(axes)
    return ", ".join(f"{name} {values.get(axis.target, '')}" for name, axis in zip(names, axes))


def measured(reading: Reading) -> tuple[list[Measured], int]:
    """Return a chart for each measured number, and how many more there are."""
    names = list(dict.fromkeys(name for one in reading.done.values() for name in one.measured))
    found = []
    for name in names[:MOST_CHARTS]:
        along, series = _measured_series(reading, name)
        if len({x for one in series for x in one.x}) > 1 and (drawn := charts.chart(series)) is not None:
            found.append(Measured(name, along, drawn))
    return found, max(len(names) - MOST_CHARTS, 0)


def _measured_series(reading: Reading, name: str) -> tuple[str, list[Series]]:
    """Return what the horizontal axis shows, and the lines of a measured number.

    In a study of one frame that is the last property whose values are numbers.
    """
    job = reading.job
    frames = {image.frame for image in reading.done}
    if job is not None and job.vary and len(frames) == 1:
        axes = [sweep.parse(text) for text in job.vary]
        numeric = [axis for axis in axes if all(map(_is_number, axis.values))]
        return (numeric[-1].target, _along_property(reading, job, axes, numeric[-1], name)) if numeric else ("", [])
    timed = all(one.scene_time is not None for one in reading.done.values())
    return "time" if timed else "frame", [
        Series(
            output,
            [one.image.frame if one.scene_time is None or not timed else one.scene_time for one in images],
            [_value(one, name) for one in images],
        )
        for output, images in reading.of_output.items()
    ]


def _along_property(reading: Reading, job: RenderJob, axes: Sequence[Axis], along: Axis, name: str) -> list[Series]:
    """Return a line for each combination of the other properties."""
    others = [axis for axis in axes if axis != along]
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for output in job.outputs:
        for one in reading.of_output.get(output.name, ()):
            values = _assigned(output)
            xs, ys = lines.setdefault(_values(others, values) or output.size.name, ([], []))
            xs.append(float(values[along.target]))
            ys.append(_value(one, name))
    return [Series(label, xs, ys) for label, (xs, ys) in lines.items()]


def _value(one: Done, name: str) -> float:
    value = one.measured.get(name)
    return float("nan") if value is None else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def movies(reading: Reading) -> list[Path]:
    """Return the movies that are there."""
    if reading.job is None or reading.job.movie == "none":
        return []
    places = [reading.job.movie_path(output) for output in reading.job.outputs]
    return [place for place in places if place.is_file()]
