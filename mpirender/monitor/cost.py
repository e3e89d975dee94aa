"""What a run costs, in words: used by progress, status and summary alike."""

from __future__ import annotations

from mpirender.run_folder.cost import dollars
from mpirender.system.text import rounded


def parts(hours: float, spent: float, per_image: float | None) -> list[str]:
    """Return the cost of so many node-hours so far, and that of an image, in a few words each; money is in dollars."""
    each = [f"{dollars(per_image)}/image"] if per_image else []
    return [f"{dollars(spent)} for {rounded(hours)} node-hours", *each]


def line(hours: float, spent: float, per_image: float | None, limit: float | None = None) -> str:
    """Return it as a line, with the limit of the cost if there is one."""
    return ", ".join([*parts(hours, spent, per_image), *([f"limit {dollars(limit)}"] if limit else [])])
