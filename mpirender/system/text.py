"""Text helpers for messages: suggestions, lists, counts with a noun."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

MOST_LISTED = 24  # names in a message


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


def rank_or_group(ranks_per_frame: int) -> str:
    """Return the noun for what renders a frame: a rank, or a group of ranks."""
    return "rank" if ranks_per_frame == 1 else "group"


def ranks_or_groups(count: int, ranks_per_frame: int) -> str:
    """Return how many ranks or groups render at the same time: ``6 ranks``, ``3 groups of 2 ranks``."""
    text = plural(count, rank_or_group(ranks_per_frame))
    return text if ranks_per_frame == 1 else f"{text} of {ranks_per_frame} ranks"
