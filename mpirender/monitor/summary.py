"""What a person looks at after a run: the summary and the contact sheet."""

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
LISTED = 8  # folders, or movies
PAPER = (24, 26, 31)
INK = (214, 218, 226)


def summary(job: RenderJob, result: RenderResult, sheet: Path | None) -> str:
    """Say where everything is, how long it took and what a frame cost."""
    count = len(next(iter(result.frames.values())))
    lines = [f"{'done in':>10}  {duration(result.seconds)}"]
    unit = rank_or_group(result.ranks_per_frame)
    cost = (
        f", {result.seconds_per_image:.2f} s each on a {unit}, {unit}s {result.busy:.0%} busy"
        if result.rendered
        else ""
    )
    kept = f", {result.kept} kept from before" if result.kept else ""
    lines.append(f"{'images':>10}  {result.rendered} rendered{kept}{cost}")
    lines += [f"{'by' if not place else '':>10}  {line}" for place, line in enumerate(rank_table.table(result.roster))]
    lines += [f"{'' if place else 'time':>10}  {line}" for place, line in enumerate(where_time_went(result))]
    frames = [f"{job.output / output.name}{_of(count)}" for output in job.outputs]
    movies = [f"{movie} ({float(count / job.rate):.1f} s)" for movie in result.movies]
    lines += [*_some("frames", frames), *_some("movie", movies)]
    if result.restarts:
        times = "once" if result.restarts == 1 else f"{result.restarts} times"
        lines.append(f"{'restarts':>10}  {times}, since ranks died; every frame is there and whole")
    if result.complained:
        lines.append(
            f"{'warning':>10}  errors were reported during {result.complained} images; --on-error warn kept them"
        )
    if result.skipped:
        lines.append(f"{'warning':>10}  {damaged_lines(result.skipped)}")
    if sheet is not None and job.measure:
        lines.append(f"{'measured':>10}  {table_path(job)}")
    if sheet is not None:
        lines.append(f"{'look at':>10}  {sheet}")
    return "\n".join(lines)


def table_path(job: RenderJob) -> Path:
    """Return where the table of a job's images has its place, if it has one."""
    return job.output / ("study.csv" if job.vary else "measured.csv")


def _some(name: str, texts: Sequence[str]) -> list[str]:
    """Return a line for each text; of very many, as a study has them, the first and how many more there are."""
    lines = [f"{name:>10}  {text}" for text in texts[:LISTED]]
    more = len(texts) - LISTED
    return [*lines, f"{'':>10}  and {more} more"] if more > 0 else lines


def where_time_went(result: RenderResult) -> list[str]:
    """Say where the time went, as lines; nothing where nothing was rendered."""
    if not result.rendered:
        return []
    count, each = len(result.spent), result.ranks_per_frame
    who = ranks_or_groups(count, each) if count > 1 else f"the {rank_or_group(each)}"
    share = f"{result.efficiency:.0%} of the time of {who} was spent on rendering"
    return [*timings.table(result.spent, rank_or_group(each)), share]


def _of(count: int) -> str:
    return f" ({plural(count, 'image')})"


def contact_sheet(job: RenderJob, result: RenderResult) -> Path:
    """Put small pictures of frames spread evenly over the movie on one sheet; return its path."""
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
    """Choose so many images evenly spread from first to last, all when there are no more."""
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
    """Paste one picture with its frame number below; what is transparent shows the paper."""
    from PIL import ImageDraw, ImageFont

    sheet.paste(picture, corner, picture if picture.mode == "RGBA" else None)
    text = f"frame {framesets.number(path)}"
    place = (corner[0], corner[1] + picture.height + 5)
    ImageDraw.Draw(sheet).text(place, text, fill=INK, font=ImageFont.load_default(16))


HANDED_OUT = "frames are handed out as ranks get free, by one more process that renders nothing"


def schedule_lines(shares: Sequence[Sequence[int]], unit: str = "rank") -> list[str]:
    """Write who renders which frame, a line per rank, or per group."""
    return [f"{unit} {rank}: {framesets.text(share) or 'nothing'}" for rank, share in enumerate(shares)]
