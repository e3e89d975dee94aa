"""Every error a user can meet, with the exit code it ends in.

A message says what is wrong, where, and what to do about it, in one line.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

NO_SPACE = "no space left"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


class MpirenderError(Exception):
    """The base of all errors that are shown in one line instead of a traceback."""

    exit_code = 1

    @property
    def message(self) -> str:
        """The text for the command line and for records."""
        return str(self)


class UsageError(MpirenderError):
    """The command or the scene is wrong; holds every mistake found, not only the first.

    Mistakes name options (``--samples``), for the command line. The text of the error, which Python users see, names
    fields of RenderJob (``samples``).
    """

    exit_code = 2
    fields: ClassVar[dict[str, str]] = {}  # of RenderJob, by option; RenderJob fills it in

    def __init__(self, mistakes: str | Sequence[str]) -> None:
        self.mistakes: tuple[str, ...] = (mistakes,) if isinstance(mistakes, str) else tuple(mistakes)
        super().__init__(self.mistakes)

    def __str__(self) -> str:
        return OPTION.sub(lambda match: self.fields.get(match[0], match[0]), self.message)

    @property
    def message(self) -> str:
        """The mistakes, one a line."""
        return "\n".join(self.mistakes)


class ToolMissing(MpirenderError):
    """A program or library that the run needs is not there or does not fit the others."""

    exit_code = 3


class FramesMissing(MpirenderError):
    """Frames were not rendered, or not whole; no movie was made."""

    exit_code = 4


class NoSpace(FramesMissing):
    """The disk or the quota is full; what was written until then stays, and nothing half-written."""

    def __init__(self, place: Path | str, comfort: str = "") -> None:
        """Name the folder and say what is not lost, or say it all in a text."""
        cure = f"{comfort}make room and run the same command again"
        super().__init__(
            f"{place}: {NO_SPACE} on the disk, or in your quota; {cure}" if isinstance(place, Path) else place
        )


class EncodeFailed(MpirenderError):
    """The frames are complete but the movie could not be made or did not pass its check."""

    exit_code = 5


class LaunchFailed(MpirenderError):
    """The MPI program could not be started or died before it could say why."""

    exit_code = 6


class Stopped(MpirenderError):
    """A signal ended the run early; the same command again goes on (EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75

    def __init__(self, so_far: str, advice: str = "", *, signal: str = "") -> None:
        """Say what was reached and what to do; signal is the name of what came."""
        self.so_far, self.signal = so_far, signal
        super().__init__("; ".join(filter(None, [so_far, advice])))


class TakenOver(Stopped):
    """Another run took this one for dead and goes on in its place."""


class Interrupted(MpirenderError):
    """The user pressed Ctrl-C."""

    exit_code = 130


class JobFailed(MpirenderError):
    """What a pool was to do with one of its jobs has failed; from Python only."""


KINDS = (UsageError, ToolMissing, FramesMissing, EncodeFailed, LaunchFailed, Stopped, Interrupted)
# NoSpace shares its code with the kind it is one of.
BY_EXIT_CODE: dict[int, type[MpirenderError]] = {kind.exit_code: kind for kind in KINDS}


def out_of_space(error: BaseException) -> bool:
    """Say whether an error comes from a full disk or quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def one_line(text: str) -> str:
    """Return a text of any kind of program without its line breaks."""
    return " ".join(text.split())
