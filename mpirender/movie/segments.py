"""Encode a movie in segments, each by another rank, and join them without encoding again."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from mpirender.errors import EncodeFailed
from mpirender.movie import encode, gif
from mpirender.movie.ffmpeg import run
from mpirender.movie.ffmpeg_args import (
    LISTED,
    PACKETS,
    PALETTE,
    TICKS,
    Encoding,
    join_command,
    packets_command,
    palette_command,
    segment_list,
)
from mpirender.movie.segment_plan import Piece
from mpirender.movie.verify import MovieInfo, decode, differences
from mpirender.system import files

LOOKED_AT = 100  # images for the palette of a gif


@dataclass(frozen=True)
class Packets:
    """What is stored in a movie, not decoded.

    Args:
        tick: seconds that time stamps count in.
        stamps: when the frames are shown, in order.
        hashes: of each packet and what goes beside it, such as its transparency.
        headers: hashes of what decoders need to know before the first packet.
    """

    tick: Fraction
    stamps: tuple[int, ...]
    hashes: tuple[str, ...]
    headers: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A segment that was written and decoded from end to end."""

    piece: Piece
    info: MovieInfo
    packets: Packets | None


@dataclass(frozen=True)
class Film:
    """A movie that several ranks make; what they write beside it stays until :meth:`clear`."""

    images: Sequence[Path]
    movie: Path
    rate: Fraction
    threads: int
    codec: str
    transparent: bool = False

    @property
    def needs_palette(self) -> bool:
        """Whether a palette is to be found before anything can be encoded."""
        return self.codec == "gif"

    def palette(self) -> Path:
        """Return where the palette of all segments is."""
        return self._part("palette", ".png")

    def segment(self, number: int) -> Path:
        """Return where a segment is."""
        return self._part(number, self.movie.suffix)

    def _part(self, what: object, suffix: str) -> Path:
        return self.movie.with_name(f".part-{self.movie.stem}.{what}{suffix}")

    def clear(self, count: int) -> None:
        """Remove what was written for so many segments, as far as the disk lets us."""
        for path in (*map(self.segment, range(count)), self.palette()):
            with contextlib.suppress(OSError):
                path.unlink()

    def _task(self, images: Sequence[Path]) -> Encoding:
        return encode.request(
            images, self.movie, rate=self.rate, codec=self.codec, threads=self.threads, transparent=self.transparent
        )

    def make(self) -> MovieInfo:
        """Make the movie with one encoder; see :func:`movie.encode`."""
        return encode.encode(
            self.images, self.movie, rate=self.rate, codec=self.codec, threads=self.threads,
            transparent=self.transparent,
        )  # fmt: skip

    def find_palette(self) -> None:
        """Find the palette for all segments: that of all images, or where there are many, of some all over the movie.

        Fewer pixels of each image would not do: ffmpeg then finds palettes that are several dB worse.

        Raises:
            EncodeFailed, NoSpace, ToolMissing: as :func:`movie.encode`.
        """
        count = min(len(self.images), LOOKED_AT)
        images = [self.images[len(self.images) * number // count] for number in range(count)]
        task = replace(self._task(images), part=self.palette(), threads=0)  # the others wait
        with encode.errors_told(self.movie), encode.drawn_from(task, images, self.movie.name) as (drawn, _, folder):
            run(palette_command(drawn), self.movie.name, folder)
            shutil.copyfile(folder / PALETTE, self.palette())

    def encode(self, piece: Piece) -> Segment:
        """Encode a segment, decode it from end to end, and return what is in it.

        Raises:
            EncodeFailed, NoSpace, ToolMissing: as :func:`movie.encode`.
        """
        images = self.images[piece.start : piece.stop]
        task = replace(self._task(images), part=self.segment(piece.number), segment=True)
        with encode.errors_told(self.movie):
            info = encode.write(task, images, self.movie.name, self.palette() if self.needs_palette else None)
            return Segment(piece, info, None if self.needs_palette else packets(task.program, task.part))

    def join(self, segments: Sequence[Segment]) -> MovieInfo:
        """Make the movie of its segments, check that it holds just their packets, and give it its name.

        Raises:
            EncodeFailed: they do not fit together, or what was joined is not what was asked.
            NoSpace: the disk is full.
        """
        looks = {(one.info.width, one.info.height, one.info.codec, one.info.pixel_format) for one in segments}
        _refuse(self.movie, [f"they differ: {sorted(looks)}"] if len(looks) > 1 else [])
        with encode.errors_told(self.movie), files.replacing(self.movie) as part:
            task = replace(self._task(self.images), part=part)
            info = self._joined(task, segments)
            with encode.drawn_from(task, self.images[:1], self.movie.name) as (_, first, _):
                pass
            wrong = differences(
                info, first, frames=len(self.images), rate=self.rate, codec=task.codec, transparent=self.transparent
            )  # fmt: skip
            _refuse(self.movie, wrong)
        return replace(info, path=self.movie)

    def _joined(self, task: Encoding, segments: Sequence[Segment]) -> MovieInfo:
        """Join the segments and return what is in the whole, seen without decoding it again."""
        pieces = [one.piece for one in segments]
        paths = [self.segment(piece.number) for piece in pieces]
        if self.needs_palette:  # quickly decoded, and its clock is told by nothing else
            gif.join(paths, task.part, self.rate)
            return decode(task.program, task.part, self.movie.name, task.threads)
        with TemporaryDirectory(prefix="mpirender-") as place:
            self._list(Path(place), paths, pieces)
            run(join_command(task), self.movie.name, Path(place))
        whole = packets(task.program, task.part)
        _refuse(self.movie, unfaithful(whole, [one.packets for one in segments if one.packets], task))
        info = decode(task.program, task.part, self.movie.name, task.threads, task.codec, frames=2)
        return replace(info, frames=len(whole.hashes))

    def _list(self, folder: Path, paths: Sequence[Path], pieces: Sequence[Piece]) -> None:
        """List files for ffmpeg by plain names: it reads a meaning into quotes and line breaks."""
        links = [folder / f"{number:06d}{path.suffix.lower()}" for number, path in enumerate(paths)]
        for link, path in zip(links, paths):
            link.symlink_to(path)
        seconds = [float((piece.stop - piece.start) / self.rate) for piece in pieces]
        (folder / LISTED).write_text(segment_list([link.name for link in links], seconds))


def packets(program: str, path: Path) -> Packets:
    """Return the packets of a movie, not decoded.

    Raises:
        EncodeFailed: ffmpeg cannot read it.
    """
    with TemporaryDirectory(prefix="mpirender-") as place:
        run(packets_command(program, path), path.name, Path(place))
        lines = (Path(place) / PACKETS).read_text().splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if not line.startswith("#")]
    clock = re.search(r"^#tb 0: (\d+)/(\d+)$", "\n".join(lines), re.MULTILINE)
    try:
        stamps = sorted(int(row[2]) for row in rows)
    except (ValueError, IndexError):
        stamps = []
    if clock is None or not stamps:
        raise EncodeFailed(f"{path.name}: ffmpeg did not say what is in it")
    return Packets(
        Fraction(int(clock[1]), int(clock[2])),
        tuple(stamps),
        tuple(",".join(row[4:]) for row in rows),
        tuple(line for line in lines if line.startswith("#extradata")),
    )


def unfaithful(whole: Packets, parts: Sequence[Packets], task: Encoding) -> list[str]:
    """Say in what a joined movie is not its segments one after the other, evenly spaced; an empty list if it is."""
    stored = tuple(one for part in parts for one in part.hashes)
    shown = ((stamp - whole.stamps[0]) * whole.tick for stamp in whole.stamps)
    off = max(abs(time - frame / task.rate) for frame, time in enumerate(shown))
    checks = {
        "its packets are not those of its segments": whole.hashes == stored,
        "its segments have different headers": len({part.headers for part in (whole, *parts)}) == 1,
        f"a frame is {float(off):g} s from its place": off <= 1.5 * TICKS[task.part.suffix.lower()],
    }
    return [wrong for wrong, passed in checks.items() if not passed]


def _refuse(target: Path, wrong: Sequence[str]) -> None:
    if wrong:
        raise EncodeFailed(f"{target.name}: the segments could not be joined: {'; '.join(wrong)}")
