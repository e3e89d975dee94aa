"""The errors that a user can meet, each with its exit code.

A message is one line: what is wrong, where, and how to fix it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

NO_SPACE = "no space left"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


class MpirenderError(Exception):
    """The base of all errors that are shown in one line instead of a traceback."""

    exit_code = 1

    def __init_subclass__(cls, *, exit_code: int = 0) -> None:
        """Set the exit code of a class; by default, that of its base class."""
        cls.exit_code = exit_code or cls.exit_code

    @property
    def message(self) -> str:
        """The text for the command line and for records."""
        return str(self)


class UsageError(MpirenderError, exit_code=2):
    """The command or the scene is wrong; holds every mistake found, not only the first.

    Mistakes name options (``--samples``), for the command line. The text of the error, which Python users see, names
    fields of RenderJob (``samples``).
    """

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


class OutOfOrder(MpirenderError):
    """A frame depends on earlier frames and cannot follow those that this process has rendered."""


class ToolMissing(MpirenderError, exit_code=3):
    """A program or library that the run needs is missing, or does not fit the others."""


class FramesMissing(MpirenderError, exit_code=4):
    """Frames are missing or damaged; no movie was made."""


class FramesChanged(FramesMissing):
    """Files of frames are gone, or are not those that were recorded; the next launch of the ranks renders them anew."""


class NoSpace(FramesMissing):
    """The disk or the quota is full. Files that are complete are kept; no file is incomplete."""

    def __init__(self, place: Path | str, kept: str = "") -> None:
        """Make the message for a folder, with what is not lost; or take a whole message."""
        full = f"{place}: {NO_SPACE} on the disk, or in your quota; {kept}make room and run the same command again"
        super().__init__(full if isinstance(place, Path) else place)


class RendererFailed(FramesMissing):
    """One renderer of a rank after the other was lost before an image could be rendered."""


class EncodeFailed(MpirenderError, exit_code=5):
    """The frames are complete, but the movie could not be made or failed its check."""


class LaunchFailed(MpirenderError, exit_code=6):
    """The MPI program could not be started, or ended without reporting an error."""


class Stopped(MpirenderError, exit_code=75):
    """A signal ended the run early; the same command continues it (EX_TEMPFAIL of sysexits.h)."""

    def __init__(self, so_far: str, advice: str = "", *, signal: str = "", continues: bool = False) -> None:
        """Make the message of what is done so far and of what to do next.

        :param signal: the name of the signal.
        :param continues: whether the run goes on by itself: Slurm starts its job again, or another run has taken over.
        """
        self.so_far, self.signal, self.continues = so_far, signal, continues
        super().__init__("; ".join(filter(None, [so_far, advice])))


class TakenOver(Stopped):
    """Another run considered this one dead, and continues in its place."""


class PriceLimitReached(MpirenderError, exit_code=7):
    """The nodes of the run have cost what they may cost; the same command with a higher limit continues it."""


class Interrupted(MpirenderError, exit_code=130):
    """The user pressed Ctrl-C."""


class JobFailed(MpirenderError):
    """The function of a pool failed with one of its jobs; raised in Python only."""


# A code each.
KINDS = (UsageError, ToolMissing, FramesMissing, EncodeFailed, LaunchFailed, PriceLimitReached, Stopped, Interrupted)
BY_EXIT_CODE: dict[int, type[MpirenderError]] = {kind.exit_code: kind for kind in KINDS}


def recorded(found: Iterable[tuple[str, str]]) -> MpirenderError | None:
    """Return the error of the class names and messages that ranks recorded, with each message once; None for none."""
    messages: dict[str, list[str]] = {}
    for name, message in found:
        messages.setdefault(name, []).extend(message.splitlines())
    kinds: list[type[MpirenderError]] = [*KINDS, FramesChanged, NoSpace, RendererFailed, TakenOver]
    for kind in kinds:
        if lines := list(dict.fromkeys(messages.get(kind.__name__, ()))):
            return kind(lines) if issubclass(kind, UsageError) else kind("\n".join(lines))
    return None


def out_of_space(error: BaseException) -> bool:
    """Say whether an error comes from a full disk or quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def one_line(text: str) -> str:
    """Return a text, such as the output of a program, without line breaks."""
    return " ".join(text.split())
