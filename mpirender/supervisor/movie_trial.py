"""Measure what encoding a movie takes, on a few of its images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from mpirender.job.outputs import Output
from mpirender.job.render_job import RenderJob
from mpirender.movie.encode import encode
from mpirender.supervisor.estimate import MovieCost

IMAGES = 16  # that are encoded, some of them several times if there are fewer
PAIRS = 2  # at most


def measure(
    job: RenderJob, output: Output, frames: Sequence[int], *, pairs: Sequence[tuple[int, int]], encoders: int,
    threads: int,
) -> MovieCost:  # fmt: skip
    """Encode images of these frames, with as many encoders at the same time as a node has later; keep no movie.

    :param pairs: frames of which the second follows the first in the movie, which show the size of a frame.
    :param threads: of each encoder.
    :raises EncodeFailed, NoSpace, ToolMissing: as :func:`mpirender.movie.encode.encode`.
    """
    images, pairs = [job.image(output, frame) for frame in frames], pairs[:PAIRS]
    with TemporaryDirectory(prefix="mpirender-") as temporary:
        trial = Trial(job, Path(temporary), threads)
        one, key = trial.encode(images[:1], encoders)
        many = list(islice(cycle(images), max(IMAGES, len(images))))
        seconds, size = trial.encode(many, encoders)
        slow = fast = max((seconds - one) / max(len(many) - 1, 1), 0.0)
        keys, others = [key], [max(size - key, 0) / max(len(many) - 1, 1)]
        if pairs:  # images that hardly move take less time than those of a sample, whose frames are far apart
            still = [job.image(output, frame) for pair in pairs for frame in pair * (IMAGES // (2 * len(pairs)))]
            fast = max((trial.encode(still, encoders)[0] - one) / max(len(still) - 1, 1), 0.0)
            both = [[job.image(output, frame) for frame in pair] for pair in pairs]
            keys = [trial.encode(pair[:1], 1)[1] for pair in both]
            others = [max(trial.encode(pair, 1)[1] - key, 0) for pair, key in zip(both, keys)]
    per_frame = (slow + fast) / 2
    return MovieCost(
        output.name, max(one - per_frame, 0.0), per_frame, sum(keys) / len(keys), sum(others) / len(others),
        doubt=abs(slow - fast) / 2,
    )  # fmt: skip


class Trial:
    """Encoders that run at the same time in a temporary folder."""

    def __init__(self, job: RenderJob, folder: Path, threads: int) -> None:
        self._job, self._folder, self._threads = job, folder, threads

    def encode(self, images: Sequence[Path], encoders: int) -> tuple[float, int]:
        """Encode these images with each encoder; return the seconds until the last has ended, and the bytes of one."""

        def one(number: int) -> int:
            movie = self._folder / f"trial{number}.{self._job.movie}"
            codec, transparent = self._job.movie_codec, self._job.transparent_background
            encode(
                images, movie, rate=self._job.rate, codec=codec, threads=self._threads, transparent=transparent,
                pixel_format=self._job.pixel_format,
            )  # fmt: skip
            return movie.stat().st_size

        started = time.perf_counter()
        with ThreadPoolExecutor(encoders) as pool:
            sizes = list(pool.map(one, range(encoders)))
        return time.perf_counter() - started, sizes[0]
