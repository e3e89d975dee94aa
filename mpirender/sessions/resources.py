"""Memory and ranks of a session: the number of ranks follows from the memory that the data need."""

from __future__ import annotations

import re

from mpirender.errors import UsageError
from mpirender.system import site

MEGABYTE = 1024**2
# Without a unit: megabytes, as in sbatch.
UNITS = {"": MEGABYTE, "k": 1024, "m": MEGABYTE, "g": 1024**3, "t": 1024**4}
NAMES = (("TB", 1024**4), ("GB", 1024**3), ("MB", MEGABYTE), ("KB", 1024))
RANK_MEMORY = "45G"
MOST_RANKS = 4


def parse(text: str) -> int:
    """Return the bytes of an amount of memory, such as ``90G``; the units are k, m, g and t, and without one megabytes.

    :raises ValueError: with the reason.
    """
    found = re.fullmatch(r"(\d+)([kmgt]?)b?", text.strip(), re.IGNORECASE)
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is not an amount of memory; write 500M or 90G")
    return int(found[1]) * UNITS[found[2].lower()]


def shown(memory: int) -> str:
    """Write an amount of memory for people: ``90 GB``."""
    name, unit = next((pair for pair in NAMES if memory % pair[1] == 0), ("bytes", 1))
    return f"{memory // unit} {name}"


def option_text(memory: int) -> str:
    """Write an amount of memory as an option takes it: ``90G``."""
    name, unit = next((pair for pair in NAMES if memory % pair[1] == 0), ("KB", 1024))
    return f"{memory // unit}{name[0]}"


def seconds(text: str) -> int:
    """Return the seconds of a time limit as sbatch writes it: minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S.

    :raises ValueError: it is none.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a time limit; write 1:30:00 for an hour and a half, or minutes")
    days, *parts = [int(part or 0) for part in found.groups()]
    given = sum(part is not None for part in found.groups()[1:])
    if found[1] is None and given < 3:  # minutes, or minutes and seconds
        return 60 * parts[0] + parts[1]
    return 86400 * days + 3600 * parts[0] + 60 * parts[1] + parts[2]


def ranks_for(memory: int, rank_memory: int, most: int) -> int:
    """Return how many ranks share this memory: as many whole ranks as fit, at least 1 and at most ``most``."""
    return min(max(memory // rank_memory, 1), most)


def rank_memory() -> int:
    """Return the memory of a rank: what the site has set, else 45 GB.

    :raises UsageError: the site's value is wrong.
    """
    try:
        return parse(site.read(site.RANK_MEMORY) or RANK_MEMORY)
    except ValueError as error:
        raise UsageError(f"{site.RANK_MEMORY}: {error}") from None


def most_ranks() -> int:
    """Return how many ranks the memory may lead to: what the site has set, else 4.

    :raises UsageError: the site's value is wrong.
    """
    return _count(site.MOST_RANKS, MOST_RANKS, "ranks", least=1)


def gpus_of_rank() -> int:
    """Return how many GPUs to ask for with each rank: what the site has set, else none.

    :raises UsageError: the site's value is wrong.
    """
    return _count(site.SESSION_GPUS, 0, "GPUs", least=0)


def _count(variable: str, default: int, noun: str, *, least: int) -> int:
    text = site.read(variable) or str(default)
    if not text.isdigit() or int(text) < least:
        raise UsageError(f"{variable}: {text!r} is not a number of {noun}")
    return int(text)
