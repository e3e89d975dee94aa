"""Frame sets in the render farms' syntax, and the names of image files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

MOST = 1_000_000  # frames of a scene or a frame set; the names of their files sort up to this
LARGEST = 9_999_999  # number of a frame
MOST_DIGITS = 12
PART = re.compile(r"(-?\d+)(?:-(-?\d+)(?:[xy:](\d+))?)?", re.ASCII)
SYNTAX = "write it like 0-99, 0-99x2 or 1,5,10-20"


def parse(text: str) -> tuple[int, ...]:
    """Return the frames of a frame set such as ``0-99x2,120``, sorted, each once.

    :raises ValueError: the text is not a frame set, is empty, runs backwards, or has frames below 0 or too many.
    """
    for part in filter(None, map(str.strip, text.split(","))):
        _check(part)
    from fileseq import FrameSet  # imported here: it consists of 70 files, which only rank 0 needs
    from fileseq.exceptions import ParseException

    try:
        frames = tuple(sorted(set(FrameSet(text)))) if text.strip() else ()
    except ParseException:
        raise ValueError(f"{text!r} is not a frame set; {SYNTAX}") from None
    if not frames:
        raise ValueError(f"{text!r} names no frame; {SYNTAX}")
    if frames[0] < 0:
        raise ValueError(f"{text!r} names frame {frames[0]}; frames count from 0")
    if len(frames) > MOST:
        raise ValueError(too_many(len(frames)))
    return frames


def _check(part: str) -> None:
    """Check a part of a frame set before it is expanded: a digit too many may stand for a billion frames."""
    match = PART.fullmatch(part)
    if match is None:
        reason = "is not a frame set"
        if re.fullmatch(r"[-\d.]*\d\.\d[-\d.xy:]*", part):
            reason = "is not a set of frames, whose numbers are whole"
        raise ValueError(f"{part!r} {reason}; {SYNTAX}")
    if max(len(digits or "") for digits in match.groups()) > MOST_DIGITS:  # int() takes long for thousands of digits
        raise ValueError(f"{part[:40]!r}: the number of a frame is at most {LARGEST}")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if max(first, last) > LARGEST:
        raise ValueError(f"{part!r}: the number of a frame is at most {LARGEST}")
    if 0 <= last < first:
        right = part.replace(f"{match[1]}-{match[2]}", f"{match[2]}-{match[1]}", 1)
        raise ValueError(f"{part!r} runs backwards; frames are rendered in their order: write {right}")
    if step and (count := (last - first) // (step if "x" in part else 1) + 1) > MOST:
        raise ValueError(f"{part!r}: {too_many(count)}")


def too_many(count: int) -> str:
    """Return the message about more frames than a run may have."""
    return f"{count} frames are more than {MOST}; render them in several runs, each with an --output of its own"


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
