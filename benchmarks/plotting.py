"""Shared style of all plots. Matplotlib is imported only here, and only to draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpirender.errors import ToolMissing, UsageError

# From Okabe and Ito, "Color Universal Design" (2008), distinguishable with every type of color vision.
GREY, BLUE, SKY, ORANGE, GREEN, RED, BLACK = (
    "#9a9a9a", "#0072b2", "#56b4e9", "#e69f00", "#009e73", "#d55e00", "#222222",
)  # fmt: skip
STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": True,
    "grid.color": "#e4e4e4", "grid.linewidth": 0.8, "legend.frameon": False, "axes.titlesize": 10,
    "axes.titlelocation": "left", "figure.dpi": 110, "savefig.dpi": 160, "svg.hashsalt": "mpirender",
}  # fmt: skip


def pyplot() -> Any:  # noqa: ANN401 - Matplotlib and its types may be missing
    """Return Matplotlib's pyplot, set up to open no window.

    :raises ToolMissing: Matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise ToolMissing("plots need matplotlib; install it: python -m pip install 'matplotlib>=3.7'") from None
    mpl.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(STYLE)
    return pyplot


def panels(
    count: int,
    *,
    width: float,
    height: float,
    columns: int | None = None,
    **options: Any,  # noqa: ANN401
) -> tuple[Any, Sequence[Any]]:
    """Return a figure and its axes, each of this width and height in inches, in rows of this many columns."""
    across = min(count, columns or count)
    down = -(-count // across)
    figure, axes = pyplot().subplots(
        down, across, figsize=(width * across, height * down), squeeze=False, layout="constrained", **options
    )
    for unused in axes.flat[count:]:
        unused.set_axis_off()
    return figure, list(axes.flat[:count])


def save(figure: Any, picture: Path) -> None:  # noqa: ANN401
    """Write a figure to a file and close it.

    :raises UsageError: the file cannot be written or has an unsupported format.
    """
    try:
        figure.savefig(picture)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--plot {picture}: {reason}") from None
    finally:
        pyplot().close(figure)
