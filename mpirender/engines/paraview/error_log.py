"""Collects the errors and warnings of VTK, ParaView and the Python scripts in a state, which all continue after them.

They come through vtkOutputWindow (vtkErrorMacro, vtkWarningMacro), sys.excepthook (exceptions of Python filters) and as
tracebacks on sys.stderr. Messages that a library prints to C's stderr (HDF5, XDMF, Exodus, libpng) go to the log of the
rank only: the readers that use these libraries report errors through VTK as well, with the file that was printed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from mpirender.engines.paraview.printed_files import PrintedFiles
from mpirender.engines.paraview.proxies import sources
from mpirender.system.comm import Comm

# Errors that cannot change a pixel are treated as warnings: an extractor that this ParaView lacks (a state of 6.1 with
# its VTKHDF extractor, opened in 5.11). Extractors draw nothing: they write files, and run only in Save Extracts and in
# Catalyst (vtkSMExtractsController).
HARMLESS = re.compile(
    r": (No proxy that matches: group=|Could not create a proxy of group: )"
    r"(extractors|extract_triggers|extract_writers|screenshot_writers) "
)
# Warnings of VTK's readers after which the data are incomplete.
INCOMPLETE = re.compile(
    r"Error reading (binary|ascii) data|unexpected end of file|premature end|truncated", re.IGNORECASE
)
MAX_WARNINGS = 100  # per process: a script may warn with a new text in every frame; the log contains them all


class ErrorLog:
    """Collects errors and warnings from now on, in this process or in a group of ranks.

    The ranks of a group call its methods together and get the same result, so that they take the same decisions.
    """

    def __init__(self, group: Comm | None = None) -> None:
        """Install the handlers; without a group, for a rank alone."""
        from vtkmodules.util.misc import calldata_type
        from vtkmodules.util.vtkConstants import VTK_STRING
        from vtkmodules.vtkCommonCore import vtkOutputWindow

        self._group = group
        self._errors: list[str] = []
        self.warnings: list[str] = []
        self._seen: set[str] = set()
        self._printed = PrintedFiles()
        self.ignored: set[str] = set()  # texts that are no errors in this scene

        @calldata_type(VTK_STRING)  # type: ignore[untyped-decorator]
        def observe(_window: object, event: str, text: str) -> None:
            harmless = event == "WarningEvent" and not INCOMPLETE.search(text)
            (self.warn if harmless else self._report)(_shorten(text))

        vtkOutputWindow.GetInstance().AddObserver("ErrorEvent", observe)
        vtkOutputWindow.GetInstance().AddObserver("WarningEvent", observe)
        self._observer: Callable[[object, str, str], None] = observe
        sys.stderr = self._stderr = Stderr(self._report, self.warn)
        sys.excepthook = self._uncaught

    @property
    def alone(self) -> bool:
        """Whether this process renders alone, not in a group."""
        return self._group is None

    def take(self) -> list[str]:
        """Return the errors since the last call, each text once; a file that a library has named is added."""
        errors = self._take(self._errors)
        if errors and self._group is None:
            file = self._printed.newest()
            if file and not any(Path(file).name in text for text in errors):
                errors[0] += f" ({file})"
        return errors

    def forget_printed(self) -> None:
        """Do not look for names of files in what was printed until now, perhaps to another file."""
        self._printed = PrintedFiles()

    def put_back(self, errors: Sequence[str]) -> None:
        """Have the next call of :meth:`take` return these errors as well."""
        self._errors[:0] = errors

    def take_warnings(self) -> list[str]:
        """Return the warnings since the last call, each text once per process."""
        return self._take(self.warnings)

    def anywhere(self, condition: bool) -> bool:
        """Return whether a condition holds in any of the ranks."""
        return condition if self._group is None else any(self._group.allgather(condition))

    def _take(self, texts: list[str]) -> list[str]:
        """Empty a list of texts; return those of all ranks of the group, each text once."""
        taken = [text for text in texts if text not in self.ignored]
        texts.clear()
        parts = [taken] if self._group is None else self._group.allgather(taken)
        return list(dict.fromkeys(text for part in parts for text in part))

    def _report(self, text: str) -> None:
        if HARMLESS.search(text):
            self.warn(text)
        else:
            self._errors.append(text)

    def warn(self, text: str) -> None:
        """Record a warning, unless it was recorded before."""
        if text and text not in self._seen and len(self._seen) < MAX_WARNINGS:
            self._seen.add(text)
            self.warnings.append(text)

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Record an uncaught exception of a script in the state.

        ParaView calls PyErr_Print, which prints through this hook, and continues the pipeline with an empty output.
        """
        self._report(_exception(kind, error, trace))
        self._stderr.pass_on("".join(traceback.format_exception(kind, error, trace)))


class Stderr(io.TextIOBase):
    """A sys.stderr that passes all text to the log of the rank and detects tracebacks and warnings.

    The sys.stderr of pvbatch would turn each piece of text, even half a line or a DeprecationWarning, into a VTK error.
    """

    def __init__(self, report: Callable[[str], None], warn: Callable[[str], None]) -> None:
        super().__init__()
        self._report, self._warn = report, warn
        self._log = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
        self._incomplete = ""
        self._in_traceback = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the file descriptor, which is also C's stderr."""
        return 2

    def write(self, text: str) -> int:
        """Pass text on, and check each line once it is complete."""
        self.pass_on(text)
        *lines, self._incomplete = (self._incomplete + text).split("\n")
        for line in lines:
            self._check(line)
        return len(text)

    def pass_on(self, text: str) -> None:
        """Write text to the current stderr of C without checking it."""
        self._log.write(text)
        self._log.flush()

    def _check(self, line: str) -> None:
        if not line or line[0].isspace():  # lines of source code, in a traceback or below a warning
            return
        if line.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
        elif self._in_traceback:
            self._in_traceback = False
            self._report(line)
        elif re.search("warning", line, re.IGNORECASE):
            self._warn(line)


def _shorten(text: str) -> str:
    """Return a VTK message as one line: class and message, without source line and address."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and re.match(r"(ERROR|Warning|Generic Warning): In ", lines[0]):
        del lines[0]
    first = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    return re.sub(r"^: ", "", re.sub(r"\s*\((0x[0-9a-f]+|nullptr)\)", "", first)) or "an error without a message"


def _exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """Return an exception as one line, preceded by the name of the filter whose script raised it, if known."""
    text = ""
    with contextlib.suppress(Exception):  # __str__ is user code and may raise, too
        text = str(error)
    line = " ".join(f"{kind.__name__}: {text}".split())
    return ": ".join([*dict.fromkeys(_filters_in(trace)), line])


def _filters_in(trace: TracebackType | None) -> Iterator[str]:
    """Yield the names of the filters whose scripts appear in a traceback."""
    filters = {name: proxy.GetClientSideObject() for name, proxy in sources()}
    for frame, _ in traceback.walk_tb(trace):
        candidates = [frame.f_locals.get("self"), frame.f_locals.get("vself")]
        yield from (name for name, algorithm in filters.items() if any(algorithm is it for it in candidates if it))
