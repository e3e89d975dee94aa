"""Text helpers for messages: suggestions, lists, counts with a noun."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Sequence

MOST_LISTED = 24  # names in a message
# Characters by which a text could control a terminal, or hide what it says: control characters, those that change the
# direction of writing, other line breaks, and halves of surrogate pairs, which cannot be written at all.
UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text that may come from a file as it is safe to print: line breaks stay, ``\\x1b`` stands for escape."""
    return UNPRINTABLE.sub(lambda found: " " if found[0] == "\t" else ascii(found[0])[1:-1], text)


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return ``, did you mean 'X'?`` with the most similar of the names, or an empty string."""
    lower = {candidate.lower(): candidate for candidate in names}
    match = difflib.get_close_matches(name.lower(), lower, 1)
    return f", did you mean {lower[match[0]]!r}?" if match else ""


def listed(names: Collection[str]) -> str:
    """List names, at most 24 of them."""
    unique = list(dict.fromkeys(names))
    more = len(unique) - MOST_LISTED
    return ", ".join(unique[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 frame``, ``3 frames``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def whole_number(text: str) -> int | None:
    """Return the number in a text of digits, such as an environment variable; None for any other text."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def rank_or_group(ranks_per_frame: int) -> str:
    """Return the noun for what renders a frame: a rank, or a group of ranks."""
    return "rank" if ranks_per_frame == 1 else "group"


def ranks_or_groups(count: int, ranks_per_frame: int) -> str:
    """Return how many ranks or groups render at the same time: ``6 ranks``, ``3 groups of 2 ranks``."""
    text = plural(count, rank_or_group(ranks_per_frame))
    return text if ranks_per_frame == 1 else f"{text} of {ranks_per_frame} ranks"


def damaged_lines(count: int) -> str:
    """Report damaged lines of the journals."""
    return f"{plural(count, 'line')} of the journals {'was' if count == 1 else 'were'} damaged and skipped"


def rounded(value: float) -> str:
    """Write a number with two decimals, or as many as its first two digits need: ``12.35``, ``0.0042``."""
    decimals = 1 - math.floor(math.log10(value)) if 0 < value < 1 else 2
    return f"{value:.{min(max(decimals, 2), 8)}f}"


def ordinal(number: int) -> str:
    """Write ``1st``, ``2nd``, ``3rd``, ``11th``."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def duration(seconds: float) -> str:
    """Write a time span for people: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = max(round(seconds), 0)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
