"""Encode a movie in segments, each on another rank, and join them without encoding again."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mpirender.errors import EncodeFailed
from mpirender.job.options import USUAL_FORMAT
from mpirender.job.origin import Origin
from mpirender.movie import encode, ffmpeg_args, gif
from mpirender.movie.ffmpeg import run
from mpirender.movie.ffmpeg_args import Encoding
from mpirender.movie.segment_plan import Segment
from mpirender.movie.verify import MovieInfo, decode, differences
from mpirender.system import files

PALETTE_IMAGES = 100  # at most, for the palette of a gif


@dataclass(frozen=True)
class Packets:
    """The packets of a movie, not decoded."""

    tick: Fraction  # unit of the time stamps, in seconds
    stamps: tuple[int, ...]  # presentation times of the frames, in order
    hashes: tuple[str, ...]  # of each packet with its side data, such as transparency
    headers: tuple[str, ...]  # hashes of the codec's headers


@dataclass(frozen=True)
class EncodedSegment:
    """A segment that was written and decoded from end to end."""

    segment: Segment
    info: MovieInfo
    packets: Packets | None


@dataclass(frozen=True)
class SegmentedMovie:
    """A movie that several ranks encode; the segments stay beside it until :meth:`clear`."""

    images: Sequence[Path]
    movie: Path
    rate: Fraction
    threads: int
    codec: str
    transparent: bool = False
    pixel_format: str = USUAL_FORMAT
    digests: encode.Digests = field(default_factory=dict)  # of the images, as they were recorded
    origin: Origin | None = None  # is written into the movie
    made: files.Made = lambda part, movie: None
    writer: int = 0  # process id in the names of the segments, 0 for this process

    @property
    def needs_palette(self) -> bool:
        """Whether a palette must be computed before any segment is encoded."""
        return self.codec == "gif"

    def palette_path(self) -> Path:
        """Return the path of the palette of all segments."""
        return self._part(".palette.png")

    def segment_path(self, number: int) -> Path:
        """Return the path of a segment."""
        return self._part(f".{number}{self.movie.suffix}")

    def _part(self, ending: str) -> Path:
        return files.part_path(self.movie.with_name(f"{self.movie.stem}{ending}"), self.writer)

    def clear(self, count: int) -> None:
        """Remove the files of this many segments, and ignore errors."""
        for path in (*map(self.segment_path, range(count)), self.palette_path()):
            with contextlib.suppress(OSError):
                path.unlink()

    @property
    def _how(self) -> dict[str, Any]:
        names = ("rate", "codec", "threads", "transparent", "pixel_format")
        return {name: getattr(self, name) for name in names}

    def _task(self, images: Sequence[Path]) -> Encoding:
        return encode.request(images, self.movie, **self._how)

    def make(self) -> MovieInfo:
        """Make the movie with one encoder; see :func:`mpirender.movie.encode.encode`."""
        return encode.encode(
            self.images, self.movie, **self._how, digests=self.digests, origin=self.origin, made=self.made
        )

    def make_palette(self) -> None:
        """Compute one palette for all segments, from all images or from 100 images spread over the movie.

        Smaller images would not do: the palettes that ffmpeg computes from them are several dB worse.

        :raises EncodeFailed, NoSpace, ToolMissing: as :func:`mpirender.movie.encode.encode`.
        """
        count = min(len(self.images), PALETTE_IMAGES)
        images = [self.images[len(self.images) * number // count] for number in range(count)]
        task = replace(self._task(images), part=self.palette_path(), threads=0)  # the other ranks wait
        with encode.disk_errors(self.movie), encode.prepared(task, images, self.digests) as (ready, _, folder):
            encode.write_palette(ready, images, self.movie.name, self.digests, folder)
            shutil.copyfile(folder / ffmpeg_args.PALETTE, self.palette_path())

    def encode(self, segment: Segment) -> EncodedSegment:
        """Encode a segment and decode it from end to end.

        :raises EncodeFailed, NoSpace, ToolMissing: as :func:`mpirender.movie.encode.encode`.
        """
        images = self.images[segment.start : segment.stop]
        task = replace(self._task(images), part=self.segment_path(segment.number), segment=True)
        with encode.disk_errors(self.movie):
            palette = self.palette_path() if self.needs_palette else None
            info = encode.write(task, images, self.movie.name, self.digests, palette)
            return EncodedSegment(segment, info, None if self.needs_palette else packets(task.program, task.part))

    def join(self, segments: Sequence[EncodedSegment]) -> MovieInfo:
        """Join the segments, check that the movie holds exactly their packets, and put it in its place.

        :raises EncodeFailed: the segments do not fit together, or the joined movie is not as requested.
        :raises NoSpace: the disk is full.
        """
        kinds = {(one.info.width, one.info.height, one.info.codec, one.info.pixel_format) for one in segments}
        _refuse(self.movie, [f"they differ: {sorted(kinds)}"] if len(kinds) > 1 else [])
        with encode.disk_errors(self.movie), files.replacing(self.movie, made=self.made) as part:
            task = replace(self._task(self.images), part=part, origin=self.origin)
            info = self._joined(task, segments)
            with encode.prepared(task, self.images[:1], self.digests) as (_, first, _):
                pass
            wrong = differences(
                info, first, frames=len(self.images), rate=self.rate, codec=task.codec, transparent=self.transparent,
                pixel_format=self.pixel_format,
            )  # fmt: skip
            _refuse(self.movie, wrong)
        return replace(info, path=self.movie)

    def _joined(self, task: Encoding, segments: Sequence[EncodedSegment]) -> MovieInfo:
        """Join the segments and return what the movie holds, without decoding all of it again."""
        parts = [one.segment for one in segments]
        paths = [self.segment_path(part.number) for part in parts]
        if self.needs_palette:  # decoding is fast, and only decoding shows its timing
            gif.join(paths, task.part, self.rate)
            if self.origin is not None:
                gif.comment(task.part, self.origin.record)
            return decode(task.program, task.part, self.movie.name, task.threads)
        with TemporaryDirectory(prefix="mpirender-") as place:
            self._list(Path(place), paths, parts)
            run(ffmpeg_args.join_command(task), self.movie.name, Path(place))
        whole = packets(task.program, task.part)
        _refuse(self.movie, packet_differences(whole, [one.packets for one in segments if one.packets], task))
        info = decode(task.program, task.part, self.movie.name, task.threads, task.codec, frames=2)
        return replace(info, frames=len(whole.hashes))

    def _list(self, folder: Path, paths: Sequence[Path], parts: Sequence[Segment]) -> None:
        """Write the list of segments for ffmpeg, with plain names: it would interpret quotes and line breaks."""
        links = [folder / f"{number:06d}{path.suffix.lower()}" for number, path in enumerate(paths)]
        for link, path in zip(links, paths):
            link.symlink_to(path)
        seconds = [float((part.stop - part.start) / self.rate) for part in parts]
        (folder / ffmpeg_args.LISTED).write_text(ffmpeg_args.segment_list([link.name for link in links], seconds))


def packets(program: str, path: Path) -> Packets:
    """Return the packets of a movie.

    :raises EncodeFailed: ffmpeg cannot read it.
    """
    with TemporaryDirectory(prefix="mpirender-") as place:
        run(ffmpeg_args.packets_command(program, path), path.name, Path(place))
        lines = (Path(place) / ffmpeg_args.PACKETS).read_text().splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if not line.startswith("#")]
    clock = re.search(r"^#tb 0: (\d+)/(\d+)$", "\n".join(lines), re.MULTILINE)
    try:
        stamps = sorted(int(row[2]) for row in rows)
    except (ValueError, IndexError):
        stamps = []
    if clock is None or not stamps:
        raise EncodeFailed(f"{path.name}: ffmpeg listed no packets")
    hashes, headers = (",".join(row[4:]) for row in rows), (line for line in lines if line.startswith("#extradata"))
    return Packets(Fraction(int(clock[1]), int(clock[2])), tuple(stamps), tuple(hashes), tuple(headers))


def packet_differences(whole: Packets, parts: Sequence[Packets], task: Encoding) -> list[str]:
    """Return how a joined movie differs from its segments in a row, evenly spaced; empty if it does not."""
    stored = tuple(one for part in parts for one in part.hashes)
    times = ((stamp - whole.stamps[0]) * whole.tick for stamp in whole.stamps)
    off = max(abs(time - frame / task.rate) for frame, time in enumerate(times))
    checks = {
        "its packets differ from those of its segments": whole.hashes == stored,
        "its segments have different headers": len({part.headers for part in (whole, *parts)}) == 1,
        f"a frame is {float(off):g} s off its time": off <= 1.5 * ffmpeg_args.TICKS[task.part.suffix.lower()],
    }
    return [wrong for wrong, passed in checks.items() if not passed]


def _refuse(target: Path, wrong: Sequence[str]) -> None:
    if wrong:
        raise EncodeFailed(f"{target.name}: the segments could not be joined: {'; '.join(wrong)}")
