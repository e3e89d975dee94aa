"""Line charts as inline SVG: of very many points, the range and the mean in each column of pixels.

A drawing is stretched to the width of the page, so it has no text: labels are HTML, placed in percent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

WIDTH, HEIGHT = 1000, 240  # of the drawing, in its own units
MOST_POINTS = 500  # of a line; more are drawn as columns
MOST_SERIES = 6  # lines in different colors; more are drawn as their range
MOST_CROSSES = 500
Array = NDArray[np.float64]


class Series(NamedTuple):
    """Numbers along an axis; NaN where there is none."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


class Label(NamedTuple):
    """A text beside an axis, at a place in percent."""

    place: float
    text: str


class Chart(NamedTuple):
    """A chart as the template shows it."""

    drawing: Markup
    along: Sequence[Label]  # the horizontal axis
    up: Sequence[Label]  # the vertical axis
    names: Sequence[str]  # of the lines, in the order of their colors; none if there is only one


def chart(
    series: Sequence[Series], *, zero: bool = False, unit: str = "", crosses: Sequence[float] = ()
) -> Chart | None:
    """Draw lines; None without a number.

    :param zero: whether the vertical axis begins at 0; ``unit`` follows its numbers.
    :param crosses: where to mark something at the foot of the chart.
    """
    parts = [(one.name, *_sorted(one)) for one in series]
    parts = [one for one in parts if len(one[1])]
    if not parts:
        return None
    xs, ys = (np.concatenate([one[field] for one in parts]) for field in (1, 2))
    every = np.concatenate([xs, np.asarray(crosses, dtype=float)])
    left, right = _apart(float(every.min()), float(every.max()))
    marks = ticks(*_apart(0.0 if zero else float(ys.min()), float(ys.max())), 4)
    low, high = (min(marks[0], float(ys.min())), max(marks[-1], float(ys.max())))

    def along(x: Array) -> Array:
        return (x - left) / (right - left) * WIDTH

    def up(y: Array) -> Array:
        return (high - y) / (high - low) * HEIGHT

    lines = [
        Markup('<path class="grid" d="{}"/>').format("".join(f"M0 {_number(up(np.array(m)))}h{WIDTH}" for m in marks))
    ]
    if len(parts) > MOST_SERIES:
        lines += _line(along(xs[order := np.argsort(xs, kind="stable")]), up(ys[order]), 0, columns=len(np.unique(xs)))
    else:
        lines += [part for number, (_, x, y) in enumerate(parts) for part in _line(along(x), up(y), number)]
    if len(crosses):
        places = np.unique(np.round(along(np.asarray(crosses, dtype=float))))[:MOST_CROSSES]
        lines.append(Markup('<path class="cross" d="{}"/>').format("".join(f"M{x:.0f} {HEIGHT}v-16" for x in places)))
    return Chart(
        Markup("").join(lines),
        [
            Label(float(along(np.array(x))) / WIDTH * 100, compact(x))
            for x in ticks(left, right, 6)
            if left <= x <= right
        ],
        [Label(float(up(np.array(y))) / HEIGHT * 100, compact(y) + unit) for y in marks],
        [name for name, _, _ in parts] if 1 < len(parts) <= MOST_SERIES else [],
    )


def _sorted(one: Series) -> tuple[Array, Array]:
    """Return the points that have numbers, from left to right."""
    x, y = np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float)
    sound = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[sound], kind="stable")
    return x[sound][order], y[sound][order]


def _line(x: Array, y: Array, number: int, columns: int = 0) -> list[Markup]:
    """Draw a line, or for many points the mean and the range in each column."""
    if len(x) <= MOST_POINTS and not columns:
        return [Markup('<path class="line s{}" d="{}"/>').format(number, _path(x, y))]
    count = min(columns or MOST_POINTS, MOST_POINTS)
    place = np.minimum((x / WIDTH * count).astype(int), count - 1)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    least, most = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    mean = np.add.reduceat(y, starts) / np.diff(starts, append=len(y))
    middle = np.add.reduceat(x, starts) / np.diff(starts, append=len(x))
    band = _path(np.concatenate([middle, middle[::-1]]), np.concatenate([most, least[::-1]]))
    return [
        Markup('<path class="band s{}" d="{}z"/>').format(number, band),
        Markup('<path class="line s{}" d="{}"/>').format(number, _path(middle, mean)),
    ]


def _path(x: Array, y: Array) -> str:
    """Return the points of a path; a single point becomes a dot."""
    points = [f"{_number(a)} {_number(b)}" for a, b in zip(x, y)]
    return f"M{points[0]}{'L' + ' '.join(points[1:]) if len(points) > 1 else 'h0'}"


def _number(value: float | Array) -> str:
    return f"{float(value):.1f}".removesuffix(".0")


def _apart(low: float, high: float) -> tuple[float, float]:
    """Return two limits that differ."""
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    room = abs(high) / 2 or 0.5
    return low - room, high + room


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most so many round numbers, and two more, which contain these limits."""
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def compact(value: float) -> str:
    """Write a number with few characters: ``1.5``, ``12 000``, ``3.2e-7``."""
    if value and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.3g}"
    return f"{value:,.10g}".replace(",", "\u202f")
