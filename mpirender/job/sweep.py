"""Parameter sweeps: a variant of the scene for every combination of values of some properties."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
STEPS = re.compile(rf"({NUMBER}):({NUMBER})(?::({NUMBER}))?")
MOST = 10_000  # values of a property; more are probably a typing error
MOST_VARIANTS = 100_000


class Axis(NamedTuple):
    """A property and its values, as text."""

    target: str
    values: tuple[str, ...]


class Variant(NamedTuple):
    """A combination of values."""

    name: str  # name of its folder, which contains the values; unique
    overrides: tuple[str, ...]  # assignments ``NAME.PROPERTY=VALUE``


def parse(text: str) -> Axis:
    """Read ``NAME.PROPERTY=START:STOP[:STEP]``, STOP included, or ``NAME.PROPERTY=VALUE,VALUE,…``; else ValueError.

    Commas within brackets and quotes belong to a value.
    """
    target, equals, written = text.partition("=")
    if not equals or "." not in target.strip(".") or not written.strip():
        forms = "NAME.PROPERTY=START:STOP:STEP or NAME.PROPERTY=VALUE,VALUE"
        raise ValueError(f"{text!r}: write {forms}, such as Cone1.Resolution=3,6")
    steps = STEPS.fullmatch(written.strip())
    values = _stepped(text, steps) if steps else _split(written)
    if not all(values):
        raise ValueError(f"{text!r}: a value is missing between two commas")
    if len(set(values)) < len(values):
        raise ValueError(f"{text!r}: a value is given twice")
    return Axis(target, tuple(values))


def _stepped(text: str, match: re.Match[str]) -> list[str]:
    """Return the values from a start to a stop, both included."""
    start, stop, step = (float(part) for part in (match[1], match[2], match[3] or "1"))
    ratio = (stop - start) / step if step else -1.0
    if not all(map(math.isfinite, (start, stop, step, ratio))):
        raise ValueError(f"{text!r}: the numbers are too large")
    count = math.floor(ratio + 1e-9) + 1
    if count < 1:
        raise ValueError(f"{text!r}: no step of {step:g} leads from {start:g} to {stop:g}")
    if count > MOST:
        raise ValueError(f"{text!r}: {count} values are more than {MOST}")
    whole = all(re.fullmatch(r"[-+]?\d+", part) for part in (match[1], match[2], match[3] or "1"))
    return [str(round(start + place * step)) if whole else f"{start + place * step:.10g}" for place in range(count)]


def _split(text: str) -> list[str]:
    """Split a text at commas outside brackets and quotes."""
    parts, depth = [""], 0
    for piece in re.findall(r"""'[^']*'?|"[^"]*"?|.""", text, re.DOTALL):  # a quoted text or a character
        if piece == "," and not depth:
            parts.append("")
        else:
            depth += (piece in "[({") - (piece in "])}")
            parts[-1] += piece
    return [part.strip() for part in parts]


def too_many(axes: Sequence[Axis]) -> str:
    """Return the mistake that the values have more combinations than a study may have; empty if not."""
    counts = [len(axis.values) for axis in axes]
    if (total := math.prod(counts)) <= MOST_VARIANTS:
        return ""
    return f"--vary: {' × '.join(map(str, counts))} values make {total} variants, more than {MOST_VARIANTS}"


def all_of(axes: Sequence[Axis]) -> tuple[Variant, ...]:
    """Return every combination, the last axis changing fastest; one variant without a name if there are no axes."""
    labels = short_names(axes)
    variants = []
    for values in itertools.product(*(axis.values for axis in axes)):
        name = ",".join(f"{label}={plain(value)}" for label, value in zip(labels, values))
        variants.append(Variant(name, tuple(f"{axis.target}={value}" for axis, value in zip(axes, values))))
    if len({variant.name.lower() for variant in variants}) < len(variants):
        variants = [Variant(f"{number:04d},{one.name}", one.overrides) for number, one in enumerate(variants)]
    return tuple(variants)


def short_names(axes: Sequence[Axis]) -> list[str]:
    """Return the names of the properties, with the names of their objects only if they are ambiguous."""
    last = [axis.target.rpartition(".")[2] for axis in axes]
    return [plain(name if last.count(name) == 1 else axis.target) for name, axis in zip(last, axes)]


def plain(text: str) -> str:
    """Return a text with only the characters that folder names may contain on every file system."""
    return re.sub(r"[^\w.+-]+", "_", text.strip("'\"")).strip("_")[:60] or "_"
