"""Measure what it costs to write an image as PNG: with isal, and with zlib, where isal cannot be imported.

python -m benchmarks.writing orbit_renders/4K/frame_000001.png      # images of your own renderings
python -m benchmarks.writing --summarise writing_renders/raw.json

Both write every image in turn in every repeat, with one thread. Cost is the CPU time of the process, so other programs
disturb little.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks import command, plotting
from benchmarks.command import Raw
from mpirender.errors import ToolMissing, UsageError
from mpirender.job.render_job import RenderJob
from mpirender.ranks import png

LEVEL = RenderJob.compression_level
MOST = 0.45  # of zlib's CPU time that isal may take


def benchmark(arguments: argparse.Namespace) -> Raw:
    """Write the images; return the raw results: one entry for each image and repeat.

    :raises MpirenderError: there is no image, or no isal.
    """
    mistakes = command.mistakes_of_output(arguments.output)
    if not arguments.images:
        mistakes.append("name at least one PNG image")
    if mistakes:
        raise UsageError(mistakes)
    pictures = {path: read(path) for path in arguments.images}
    try:
        from isal import isal_zlib
    except ImportError as error:
        raise ToolMissing(f"isal cannot be imported here ({error}); install it: pip install isal") from None
    arguments.output.mkdir(parents=True, exist_ok=True)
    raw: Raw = {"benchmark": "writing", "arguments": {"level": LEVEL}, "machine": command.machine(), "images": []}
    for _ in range(arguments.repeats):
        for path, picture in pictures.items():
            ways = {
                way: measure(picture, library, arguments.output / f"{way}.png")
                for way, library in (("zlib", zlib), ("isal", isal_zlib))
            }
            raw["images"].append({"image": str(path), "size": picture.shape[1::-1], **ways})
    command.write(raw, arguments.output)
    return raw


def read(path: Path) -> Any:  # noqa: ANN401
    """Return the pixels of an image, shape (height, width, channels), uint8.

    :raises UsageError: there is no image that can be read.
    """
    import imageio.v3 as iio

    try:
        picture = iio.imread(path, plugin="pillow")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or 'is not an image'}") from None
    return np.ascontiguousarray(np.atleast_3d(picture)).astype(np.uint8)


def measure(picture: Any, library: ModuleType, path: Path) -> dict[str, Any]:  # noqa: ANN401
    """Write an image with a library; return the CPU seconds, the bytes, and whether the same pixels are read back."""
    was, png.fast = png.fast, library
    try:
        started = time.process_time()
        png.write(path, picture, LEVEL)
        seconds = time.process_time() - started
    finally:
        png.fast = was
    return {"seconds": seconds, "bytes": path.stat().st_size, "same": bool(np.array_equal(read(path), picture))}


def ratio(raw: Raw, image: str, name: str) -> float:
    """Return the share of zlib's seconds or bytes that isal takes for an image, the median of the repeats."""
    return statistics.median(one["isal"][name] / one["zlib"][name] for one in raw["images"] if one["image"] == image)


def named(raw: Raw) -> list[str]:
    """Return the images, each once."""
    return list(dict.fromkeys(one["image"] for one in raw["images"]))


def summary(raw: Raw, markdown: bool) -> str:
    """Format the table of the images."""
    cells = [("image", "size", "zlib (CPU ms)", "isal (CPU ms)", "time", "bytes")]
    for image in named(raw):
        runs = [one for one in raw["images"] if one["image"] == image]
        spent = [f"{1000 * statistics.median(one[way]['seconds'] for one in runs):.1f}" for way in ("zlib", "isal")]
        shares = [f"{100 * ratio(raw, image, name):.0f} %" for name in ("seconds", "bytes")]
        cells.append((image, "{}×{}".format(*runs[0]["size"]), *spent, *shares))
    head = f"{command.told(raw['machine'])}\nPNG level {raw['arguments']['level']}, one thread"
    return "\n".join([head, "", *command.table(cells, markdown=markdown)])


def wrong(raw: Raw) -> list[str]:
    """Say which images came out wrong, and for which isal takes too long."""
    changed = [name for name in named(raw) if not all(one[way]["same"] for one in raw["images"]
               for way in ("zlib", "isal") if one["image"] == name)]  # fmt: skip
    slow = [name for name in named(raw) if ratio(raw, name, "seconds") > MOST]
    return [f"{name}: other pixels are read back" for name in changed] + [
        f"{name}: isal takes {100 * ratio(raw, name, 'seconds'):.0f} % of zlib's time, more than {100 * MOST:.0f} %"
        for name in slow
    ]


def draw(raw: Raw, picture: Path) -> None:
    """Plot isal's share of zlib's time for each image."""
    figure, (axes,) = plotting.panels(1, width=6, height=3)
    axes.barh(named(raw), [100 * ratio(raw, image, "seconds") for image in named(raw)])
    axes.set_xlabel("CPU time with isal (% of zlib's)")
    plotting.save(figure, picture)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.writing", description="Measure what it costs to write an image as PNG."
    )
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="*", type=Path, help="PNG images, as of a rendering of yours")
    add("--repeats", metavar="N", type=command.positive, default=7, help="times (default: %(default)s)")
    command.add_output(parser, "writing")
    return parser


COMMAND = command.Command("writing", parser(), measure=benchmark, tell=summary, draw=draw, wrong=wrong)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
