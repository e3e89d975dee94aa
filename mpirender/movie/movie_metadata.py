"""Read from a movie where it comes from; :mod:`mpirender.movie.ffmpeg_args` and gif.py write it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from mpirender.errors import EncodeFailed
from mpirender.job.origin import Origin
from mpirender.movie import ffmpeg_args, gif
from mpirender.movie.ffmpeg import ffmpeg, run
from mpirender.system import files

LISTED = "metadata.txt"  # in ffmpeg's working folder
COMMENT = re.compile(r"^comment=((?:\\.|[^\\\n])*)$", re.MULTILINE | re.IGNORECASE | re.DOTALL)


def read(movie: Path) -> Origin | None:
    """Return where a movie comes from, None if it says nothing about that.

    :raises EncodeFailed: it is no movie that ffmpeg can read.
    :raises ToolMissing: ffmpeg is missing.
    :raises OSError: it cannot be read.
    """
    return next(filter(None, map(Origin.read, _comments(movie.absolute()))), None)


def _comments(movie: Path) -> list[str]:
    if movie.suffix.lower() == ".gif":
        with contextlib.suppress(IndexError, EncodeFailed):
            return list(gif.comments(files.content(movie)))
        return []
    with TemporaryDirectory(prefix="mpirender-") as folder:
        run(ffmpeg_args.metadata_command(ffmpeg(), movie, LISTED), movie.name, Path(folder))
        listed = (Path(folder) / LISTED).read_text(errors="replace")
    head = listed.partition("\n[")[0]  # the sections of streams and chapters follow
    return [re.sub(r"\\(.)", r"\1", found, flags=re.DOTALL) for found in COMMENT.findall(head)]
