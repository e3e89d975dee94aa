"""Compresses and writes the images of a rank, in threads of the rank, while the renderer works on the next ones."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpirender.engines.base import folder_beside
from mpirender.job.origin import Origin
from mpirender.ranks import image_metadata, png
from mpirender.run_folder.event_values import OtherFile
from mpirender.system import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AT_ONCE = 2  # images

Facts = Mapping[str, Any]  # of a file: bytes, digest, seconds in which it was ``written``, files ``beside`` it


class ImageWriter:
    """One thread pool writes images, another compresses strips of them; both are started when they are needed."""

    def __init__(self, compression_level: int, threads: int) -> None:
        """``compression_level``: of zlib, 0 to 9; ``threads``: that compress an image together."""
        self._level = compression_level
        self._images = ThreadPoolExecutor(AT_ONCE)
        self._strips = ThreadPoolExecutor(threads) if threads > 1 else None

    def put(
        self, picture: NDArray[np.uint8] | None, part: Path, place: Path, beside: Sequence[str] = (),
        origin: Origin | None = None,
    ) -> Future[Facts]:  # fmt: skip
        """Write an image to ``part`` and move it to its ``place``; without pixels, ``part`` is complete already.

        :param beside: other files in ``folder_beside(part)``, which move to the folder of ``place``.
        :param picture: rows from the top, shape (height, width, channels), uint8; unchanged until it is written.
        :param origin: is written into the file.
        :returns: the facts about the file, or an OSError.
        """
        return self._images.submit(self._write, picture, part, place, beside, origin)

    def close(self) -> None:
        """Wait until every image is written."""
        for pool in filter(None, (self._images, self._strips)):
            pool.shutdown()

    def _write(
        self, picture: NDArray[np.uint8] | None, part: Path, place: Path, beside: Sequence[str], origin: Origin | None
    ) -> Facts:
        started = time.perf_counter()
        try:
            if picture is not None:
                texts = image_metadata.png_chunks(origin) if origin else ()
                png.write(part, picture, self._level, map if self._strips is None else self._strips.map, texts)
            else:
                image_metadata.insert(part, origin)
            others = [self._move(folder_beside(part) / name, place.parent / name, name) for name in beside]
            facts = files.put_in_place(part, place)
        except BaseException:
            discard(part)
            raise
        if beside:
            shutil.rmtree(folder_beside(part), ignore_errors=True)
        return {**facts, "written": time.perf_counter() - started, "beside": tuple(others)}

    @staticmethod
    def _move(part: Path, place: Path, name: str) -> OtherFile:
        """Move a file that the engine wrote beside an image to its place; return its record."""
        place.parent.mkdir(parents=True, exist_ok=True)
        facts = files.put_in_place(part, place)
        return OtherFile(name, facts["bytes"], facts["digest"])


def discard(part: Path) -> None:
    """Remove what is left of an image in progress, and the files beside it."""
    part.unlink(missing_ok=True)
    shutil.rmtree(folder_beside(part), ignore_errors=True)
