"""What VTK, ParaView and the Python scripts inside a state report while they carry on: errors, and mere warnings.

Three ways lead here, and all of them also into the rank's log: vtkErrorMacro and vtkWarningMacro through
vtkOutputWindow, exceptions of Python filters through sys.excepthook, and tracebacks printed to sys.stderr. What a
library prints to C's stderr alone (HDF5, XDMF, Exodus, libpng) stays in the log: the readers above these report through
VTK as well.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from mpirender.system.comm import Comm

# Errors that cannot change a pixel, with the reason; they are given as warnings.
HARMLESS = (
    # A kind of extractor that this ParaView lacks (a state of 6.1 with its VTKHDF extractor, opened in 5.11). They draw
    # nothing: they write files, and run in Save Extracts and in Catalyst only (vtkSMExtractsController).
    re.compile(
        r": (No proxy that matches: group=|Could not create a proxy of group: )"
        r"(extractors|extract_triggers|extract_writers|screenshot_writers) "
    ),
)
MOST_NOTES = 100  # of one process: a script may warn with another text in every frame; the log has them all


class ErrorLog:
    """Collects what is reported from now on, in this process or in a group of them, in the order of appearance.

    The ranks of a group ask it at the same time, and get the same answer: they must go the same way.
    """

    def __init__(self, group: Comm | None = None) -> None:
        """Begin to listen.

        Args:
            group: mpi4py communicator of the ranks that render together, None for a rank alone.
        """
        from vtkmodules.util.misc import calldata_type
        from vtkmodules.util.vtkConstants import VTK_STRING
        from vtkmodules.vtkCommonCore import vtkOutputWindow

        self._group = group
        self._errors: list[str] = []
        self._notes: list[str] = []
        self._noted: set[str] = set()

        @calldata_type(VTK_STRING)  # type: ignore[untyped-decorator]
        def error(_window: object, _event: str, text: str) -> None:
            self._report(_shorten(text))

        @calldata_type(VTK_STRING)  # type: ignore[untyped-decorator]
        def warning(_window: object, _event: str, text: str) -> None:
            self._note(_shorten(text))

        self._observers: tuple[Callable[[object, str, str], None], ...] = (error, warning)
        vtkOutputWindow.GetInstance().AddObserver("ErrorEvent", error)
        vtkOutputWindow.GetInstance().AddObserver("WarningEvent", warning)
        self._stderr = Stderr(self._report, self._note)
        sys.stderr = self._stderr
        sys.excepthook = self._uncaught

    def take(self) -> list[str]:
        """Return the errors since the last call, each text once."""
        texts, self._errors = self._errors, []
        return self._of_all(texts)

    def take_warnings(self) -> list[str]:
        """Return the warnings since the last call, each text once per process."""
        texts, self._notes = self._notes, []
        return self._of_all(texts)

    def anywhere(self, doubt: bool) -> bool:
        """Say whether any of the ranks has a doubt."""
        return doubt if self._group is None else any(self._group.allgather(doubt))

    def _of_all(self, texts: list[str]) -> list[str]:
        """Return what all ranks of the group have, each text once."""
        parts = [texts] if self._group is None else self._group.allgather(texts)
        return list(dict.fromkeys(text for part in parts for text in part))

    def _report(self, text: str) -> None:
        if any(harmless.search(text) for harmless in HARMLESS):
            self._note(text)
        else:
            self._errors.append(text)

    def _note(self, text: str) -> None:
        if text not in self._noted and len(self._noted) < MOST_NOTES:
            self._noted.add(text)
            self._notes.append(text)

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Report an exception that nobody caught; ParaView runs the scripts of a state and ends here when they raise.

        It calls PyErr_Print, which prints through this hook and lets the pipeline go on with an empty output.
        """
        self._report(_exception(kind, error, trace))
        self._stderr.pass_on("".join(traceback.format_exception(kind, error, trace)))


class Stderr(io.TextIOBase):
    """Python's stderr: passes everything on to the rank's log, and reads along for tracebacks and warnings.

    The sys.stderr of pvbatch makes each piece of text, be it half a line or a DeprecationWarning, an error of VTK.
    """

    def __init__(self, report: Callable[[str], None], note: Callable[[str], None]) -> None:
        super().__init__()
        self._report, self._note = report, note
        self._log = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
        self._begun = ""
        self._in_traceback = False

    def writable(self) -> bool:
        """Say that this can be written to."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, which is C's stderr, too."""
        return 2

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def write(self, text: str) -> int:
        """Pass text on, and look at each line once it is complete."""
        self.pass_on(text)
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._look_at(line)
        return len(text)

    def pass_on(self, text: str) -> None:
        """Write text to C's stderr, whatever that is at the moment, and look at nothing."""
        self._log.write(text)
        self._log.flush()

    def _look_at(self, line: str) -> None:
        if not line or line[0].isspace():  # lines of source code, in a traceback or below a warning
            return
        if line.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
        elif self._in_traceback:
            self._in_traceback = False
            self._report(line)
        elif re.search("warning", line, re.IGNORECASE):
            self._note(line)


def _shorten(text: str) -> str:
    """Turn VTK's report into one line: class and message, without source line and address."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and re.match(r"(ERROR|Warning|Generic Warning): In ", lines[0]):
        del lines[0]
    first = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    return re.sub(r"^: ", "", re.sub(r"\s*\((0x[0-9a-f]+|nullptr)\)", "", first)) or "an error without a text"


def _exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """Return an exception in one line, after the name of the filter whose script raised it, where that is known."""
    text = ""
    with contextlib.suppress(Exception):  # __str__ is the user's code, and may raise, too
        text = str(error)
    line = " ".join(f"{kind.__name__}: {text}".split())
    return ": ".join([*dict.fromkeys(_filters_in(trace)), line])


def _filters_in(trace: TracebackType | None) -> Iterator[str]:
    """Name the filters of the state, as its pipeline shows them, that are at work in a traceback."""
    from paraview import servermanager

    filters = {name: proxy.SMProxy.GetClientSideObject() for (name, _), proxy in _sources(servermanager)}
    for frame, _ in traceback.walk_tb(trace):
        at_work = [frame.f_locals.get("self"), frame.f_locals.get("vself")]
        yield from (name for name, algorithm in filters.items() if any(algorithm is it for it in at_work if it))


def _sources(servermanager: Any) -> Any:  # noqa: ANN401
    return servermanager.ProxyManager().GetProxiesInGroup("sources").items()
