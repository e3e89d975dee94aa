"""Frame sets in the render farms' syntax, and the names of image files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path


def parse(text: str) -> tuple[int, ...]:
    """Return the frames of a frame set such as ``0-99x2,120``, sorted, each once.

    :raises ValueError: the text is not a frame set, is empty, or contains a frame below 0.
    """
    from fileseq import FrameSet  # imported here: it consists of 70 files, which only rank 0 needs
    from fileseq.exceptions import ParseException

    try:
        frames = tuple(sorted(set(FrameSet(text)))) if text.strip() else ()
    except ParseException:
        raise ValueError(f"{text!r} is not a frame set; write it like 0-99, 0-99x2 or 1,5,10-20") from None
    if not frames:
        raise ValueError(f"{text!r} names no frame; write it like 0-99, 0-99x2 or 1,5,10-20")
    if frames[0] < 0:
        raise ValueError(f"{text!r} names frame {frames[0]}; frames count from 0")
    return frames


def text(frames: Iterable[int]) -> str:
    """Return the shortest frame set of these frames: ``12-15,40``; an empty text for none."""
    from fileseq import FrameSet

    frames = sorted(set(frames))
    return FrameSet.framesToFrameRange(frames, sort=False, compress=False) if frames else ""


def named(frames: Iterable[int]) -> str:
    """Return the frames with the noun: ``frame 40``, ``frames 12-15,40``."""
    frames = set(frames)
    return f"frame{'' if len(frames) == 1 else 's'} {text(frames)}"


def out_of_range(asked: str, frames: Collection[int]) -> str:
    """Return a message about frames of a frame set that are not among those of a scene; empty if all are."""
    beyond = [frame for frame in parse(asked) if frame not in frames]
    return f"--frames {asked}: the scene has {named(frames)}, not {text(beyond)}" if beyond else ""


def file_name(frame: int, image_format: str) -> str:
    """Return the name of an image file. With six digits, names sort in frame order up to a million frames."""
    return f"frame_{frame:06d}.{image_format}"


def number(image: Path) -> int:
    """Return the frame number in a name that :func:`file_name` made."""
    return int(image.stem.rpartition("_")[2])
