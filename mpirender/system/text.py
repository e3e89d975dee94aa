"""Names in lines for people: the one that was meant, perhaps, and those that there are."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

MOST_TOLD = 24  # names in a message


def near(word: str, words: Sequence[str]) -> str:
    """Return ``, did you mean 'X'?`` for the word that looks most like this one, or nothing."""
    lower = {candidate.lower(): candidate for candidate in words}
    match = difflib.get_close_matches(word.lower(), lower, 1)
    return f", did you mean {lower[match[0]]!r}?" if match else ""


def some(words: Collection[str]) -> str:
    """List words, the first of them where there are many."""
    told = list(dict.fromkeys(words))
    more = len(told) - MOST_TOLD
    return ", ".join(told[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def rank_or_group(ranks_per_frame: int) -> str:
    """Return what renders a frame: a rank, or a group of them."""
    return "rank" if ranks_per_frame == 1 else "group"


def ranks_or_groups(count: int, ranks_per_frame: int) -> str:
    """Say what renders the frames: ``6 ranks``, ``3 groups of 2 ranks``.

    Args:
        count: how many frames are rendered at a time.
    """
    what = f"{count} {rank_or_group(ranks_per_frame)}{'' if count == 1 else 's'}"
    return what if ranks_per_frame == 1 else f"{what} of {ranks_per_frame} ranks"
