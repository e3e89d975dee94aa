"""The outputs of a run: a folder of images and a movie for each view or layout at each size."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mpirender.job.sweep import Variant, plain

SIZE_NAMES = {
    "480p": (640, 480), "720p": (1280, 720), "HD": (1920, 1080), "1080p": (1920, 1080), "2K": (2048, 1080),
    "1440p": (2560, 1440), "QHD": (2560, 1440), "4K": (3840, 2160), "UHD": (3840, 2160), "2160p": (3840, 2160),
    "8K": (7680, 4320),
}  # fmt: skip
LARGEST = 16384  # limit of H.264 and of most OpenGL drivers
EYES = ("left", "right")  # in the order in which ParaView renders them


@dataclass(frozen=True)
class Size:
    """An image resolution in pixels, and the name of its folder."""

    name: str
    width: int
    height: int

    @classmethod
    def parse(cls, given: Size | str) -> Size:
        """Read ``HD``, ``1280x720`` or ``NAME=1280x720``, or check a size.

        :raises ValueError: the text is not a size, or a side is not 1 to 16384 pixels.
        """
        text = given.argument if isinstance(given, Size) else given
        for name, sides in SIZE_NAMES.items():
            if text.lower() == name.lower():
                return cls(name, *sides)
        match = re.fullmatch(r"(?:([\w.+-]+)=)?(\d+)[xX×](\d+)", text)
        if not match or (match[1] or "").startswith("."):
            names = ", ".join(SIZE_NAMES)
            raise ValueError(f"{text!r} is not a size; write WIDTHxHEIGHT, NAME=WIDTHxHEIGHT or one of {names}")
        width, height = int(match[2]), int(match[3])
        if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
            raise ValueError(f"{text!r}: each side must be 1 to {LARGEST} pixels")
        return cls(match[1] or f"{width}x{height}", width, height)

    @classmethod
    def of(cls, width: int, height: int) -> Size:
        """Return the size of this width and height, with its usual name."""
        name = next((name for name, sides in SIZE_NAMES.items() if sides == (width, height)), f"{width}x{height}")
        return cls(name, width, height)

    @property
    def argument(self) -> str:
        """The text from which :meth:`parse` reads it."""
        sides = f"{self.width}x{self.height}"
        usual = self.name == sides or SIZE_NAMES.get(self.name) == (self.width, self.height)
        return self.name if usual else f"{self.name}={sides}"

    def __str__(self) -> str:
        sides = f"{self.width}x{self.height}"
        return sides if self.name == sides else f"{self.name} ({sides})"


@dataclass(frozen=True)
class Output:
    """A view or layout of the scene at a size, with a folder of images and a movie."""

    name: str  # name of the folder
    width: int
    height: int
    view: str | None = None  # name of the view; without view and layout, the first view of the scene
    layout: str | None = None  # name or number (from 1) of the layout
    overrides: tuple[str, ...] = ()  # assignments to properties, in addition to those of the job
    eye: str = ""  # one of :data:`EYES` if each eye has images of its own, else empty

    @property
    def shows(self) -> list[str | None]:
        """The content, recorded with each image, so that an image of another view in the same folder does not count."""
        return [self.view, self.layout, *self.overrides, *([self.eye] if self.eye else [])]

    @property
    def variant(self) -> str:
        """The name of the variant, empty without a sweep."""
        return self.name.rpartition("/")[0]

    @property
    def size(self) -> Size:
        """The size, named as the folder without the variant."""
        return Size(self.name.rpartition("/")[2], self.width, self.height)

    @property
    def asked_size(self) -> Size:
        """The size for a job with this output alone, which appends the name of the eye itself."""
        name = self.size.name
        return Size(name[: -len(f"_{self.eye}")] if self.eye else name, self.width, self.height)

    def __str__(self) -> str:
        return f"{self.variant}/{self.size}".lstrip("/")


class Image(NamedTuple):
    """A frame of an output, which is given by its name."""

    frame: int
    output: str

    @property
    def task(self) -> tuple[str, int]:
        """The variant and the frame. One rank renders them at a time, for all views and sizes."""
        return self.output.rpartition("/")[0], self.frame

    def __str__(self) -> str:
        return f"{self.output} frame {self.frame}"


def outputs(
    sizes: Sequence[Size], views: Sequence[str], layouts: Sequence[str], variants: Sequence[Variant], *, both_eyes: bool
) -> tuple[Output, ...]:
    """Return every view and layout at every size, of every variant; with ``both_eyes``, one for each eye."""
    targets: list[tuple[str | None, str | None]] = [(name, None) for name in views] + [(None, name) for name in layouts]
    prefixes = _folder_names([*views, *layouts]) if len(targets) > 1 else [""]
    return tuple(
        Output(
            f"{variant.name}/{prefix}{size.name}{f'_{eye}' if eye else ''}".lstrip("/"), size.width, size.height,
            view, layout, variant.overrides, eye,
        )
        for variant in variants
        for prefix, (view, layout) in zip(prefixes, targets or [(None, None)])
        for size in sizes
        for eye in (EYES if both_eyes else ("",))
    )  # fmt: skip


def _folder_names(targets: Sequence[str]) -> list[str]:
    """Return a distinct prefix of folder names for each view and layout, valid on every file system."""
    names: list[str] = []
    for target in map(plain, targets):
        candidates = itertools.chain([f"{target}_"], (f"{target}_{number}_" for number in itertools.count(2)))
        names.append(next(name for name in candidates if name not in names))
    return names
