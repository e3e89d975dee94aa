"""The summary and the contact sheet of a run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mpirender.job import frames as framesets
from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from mpirender.launcher.placement import cores
from mpirender.monitor import rank_table
from mpirender.supervisor import timings
from mpirender.supervisor.result import RenderResult
from mpirender.system import files
from mpirender.system.text import damaged_lines, duration, plural, rank_or_group, ranks_or_groups

if TYPE_CHECKING:
    from PIL.Image import Image

CONTACT_SHEET = "contact_sheet.png"
PICTURES = 12
COLUMNS = 4
THUMBNAIL = 480  # pixels across
GAP = 12
LABEL = 26
LABEL_WIDTH = 13  # characters of the summary
LISTED = 8  # folders, or movies
PAPER = (24, 26, 31)
INK = (214, 218, 226)


def summary(job: RenderJob, result: RenderResult, sheet: Path | None) -> str:
    """Write where the results are, how long the run took and what an image cost."""
    count, unit = len(next(iter(result.frames.values()))), rank_or_group(result.ranks_per_frame)
    kept = f", {result.kept} kept from before" if result.kept else ""
    each = f", {result.seconds_per_image:.2f} s each on a {unit}, {unit}s {result.busy:.0%} busy"
    frames = [f"{job.output / output.name} ({plural(count, 'image')})" for output in job.outputs]
    rows = [
        ("done in", [duration(result.seconds)]),
        ("images", [f"{result.rendered} rendered{kept}{each if result.rendered else ''}"]),
        ("by", rank_table.table(result.roster)),
        ("time", where_time_went(result)),
        ("frames", _some(frames)),
        ("movie", _some([f"{movie} ({float(count / job.rate):.1f} s)" for movie in result.movies])),
        ("restarts", _restarts(result)),
        ("warning", _warnings(result)),
        ("measured", [str(table_path(job))] if sheet is not None and job.measure else []),
        ("contact sheet", [] if sheet is None else [str(sheet)]),
    ]
    lines = ((label if not number else "", text) for label, texts in rows for number, text in enumerate(texts))
    return "\n".join(f"{label:>{LABEL_WIDTH}}  {text}" for label, text in lines)


def _restarts(result: RenderResult) -> list[str]:
    times = "once" if result.restarts == 1 else f"{result.restarts} times"
    return [f"{times}, because ranks died; all frames are complete"] if result.restarts else []


def _warnings(result: RenderResult) -> list[str]:
    during = f"errors were reported during {plural(result.complained, 'image')}; --on-error warn kept them"
    damaged = damaged_lines(result.skipped)
    return [text for text, count in ((during, result.complained), (damaged, result.skipped)) if count]


def table_path(job: RenderJob) -> Path:
    """Return the path of the table of a job's images."""
    return job.output / ("study.csv" if job.vary else "measured.csv")


def _some(texts: Sequence[str]) -> list[str]:
    """Return the texts; of very many, as in a study, the first ones and the number of the others."""
    more = len(texts) - LISTED
    return [*texts[:LISTED], f"and {more} more"] if more > 0 else list(texts)


def where_time_went(result: RenderResult) -> list[str]:
    """Write where the time went; empty if nothing was rendered."""
    if not result.rendered:
        return []
    count, each = len(result.spent), result.ranks_per_frame
    who = ranks_or_groups(count, each) if count > 1 else f"the {rank_or_group(each)}"
    share = f"{result.efficiency:.0%} of the time of {who} was spent on rendering"
    return [*timings.table(result.spent, rank_or_group(each)), share]


def contact_sheet(job: RenderJob, result: RenderResult) -> Path:
    """Put thumbnails of frames spread evenly over the movie on one sheet; return its path."""
    from PIL import Image as Images

    smallest = min(job.outputs, key=lambda output: output.width * output.height)
    images = spread(result.frames[smallest.name], PICTURES)
    pictures = small(images, smallest)
    width, height = pictures[0].size
    columns = min(COLUMNS, len(images))
    rows = -(-len(images) // columns)
    sheet = Images.new(
        "RGB", (columns * (width + GAP) + GAP, rows * (height + LABEL + GAP) + GAP), PAPER
    )  # fmt: skip
    for place, (image, picture) in enumerate(zip(images, pictures)):
        row, column = divmod(place, columns)
        _paste(sheet, picture, image, (GAP + column * (width + GAP), GAP + row * (height + LABEL + GAP)))
    path = job.output / CONTACT_SHEET
    with files.replacing(path) as part:
        sheet.save(part, "png", compress_level=1)
    return path


def spread(images: Sequence[Path], count: int) -> list[Path]:
    """Choose so many images evenly spread from first to last, all if there are no more."""
    if len(images) <= count:
        return list(images)
    return [images[round(place * (len(images) - 1) / (count - 1))] for place in range(count)]


def small(images: Sequence[Path], output: Output) -> list[Image]:
    """Return the images of an output scaled to the width of a thumbnail."""
    width = min(THUMBNAIL, output.width)
    size = width, max(round(output.height * width / output.width), 1)
    with ThreadPoolExecutor(cores()) as pool:  # decoding and scaling let go of the interpreter lock
        return list(pool.map(partial(_scaled, size=size), images))


def _scaled(path: Path, size: tuple[int, int]) -> Image:
    """Return a picture scaled to this many pixels."""
    from PIL import Image as Images

    with Images.open(path) as opened:
        mode = "RGBA" if "A" in opened.getbands() else "RGB"
        picture: Image = opened.convert(mode).resize(size, Images.Resampling.LANCZOS, reducing_gap=2.0)
    return picture


def _paste(sheet: Image, picture: Image, path: Path, corner: tuple[int, int]) -> None:
    """Paste a thumbnail with its frame number below; transparent parts show the background."""
    from PIL import ImageDraw, ImageFont

    sheet.paste(picture, corner, picture if picture.mode == "RGBA" else None)
    text = f"frame {framesets.number(path)}"
    place = (corner[0], corner[1] + picture.height + 5)
    ImageDraw.Draw(sheet).text(place, text, fill=INK, font=ImageFont.load_default(16))


HANDED_OUT = "one more process assigns frames to ranks as they become free; it renders nothing itself"


def schedule_lines(shares: Sequence[Sequence[int]], unit: str = "rank") -> list[str]:
    """Write which frames each rank, or group, renders."""
    return [f"{unit} {rank}: {framesets.text(share) or 'nothing'}" for rank, share in enumerate(shares)]
