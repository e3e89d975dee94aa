"""Runs a script that builds a scene in this rank, without what it would render and write; see :mod:`script`."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from mpirender.engines.paraview.script_source import LEFT_OUT, ONCE
from mpirender.errors import UsageError, one_line


def run(content: bytes, path: Path) -> None:
    """Run a script as ``pvpython`` would.

    Raises:
        UsageError: it ends with an exception; says where.
    """
    from paraview import simple

    _neutralise(simple)
    argv, sys.argv = sys.argv, [str(path)]
    sys.path.insert(0, str(path.parent))  # for what lies beside it
    try:
        exec(compile(content, str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})
    except SystemExit as end:
        if end.code not in (None, 0):
            raise UsageError(f"{path.name}: the script ends with {end.code!r}") from None
    except Exception as error:
        line = _line(error.__traceback__, path)
        raise UsageError(f"{path.name}: line {line}: {type(error).__name__}: {one_line(str(error))}") from None
    finally:
        sys.path.remove(str(path.parent))
        sys.argv = argv


def left_behind() -> bytes:
    """Return the scene that is open, as a state."""
    from paraview import servermanager

    with tempfile.NamedTemporaryFile(suffix=".pvsm") as file:
        servermanager.SaveState(file.name)
        return Path(file.name).read_bytes()


def _neutralise(simple: Any) -> None:  # noqa: ANN401
    """Replace the functions that would render, write or wait by such as do nothing."""
    for name in LEFT_OUT:
        if hasattr(simple, name):
            setattr(simple, name, lambda *arguments, **options: True)
    setattr(simple, ONCE, _once(getattr(simple, ONCE)))


def _once(render: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that renders at its first call alone."""
    shown: list[Any] = []

    def stand_in(view: Any = None) -> Any:  # noqa: ANN401
        from paraview import simple

        if not shown:
            shown.append(render(view))
        return view or simple.GetActiveView()

    return stand_in


def _line(trace: TracebackType | None, path: Path) -> int:
    """Return the last line of the script that an exception came through, 0 if it came through none."""
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(trace) if frame.filename == str(path)]
    return lines[-1] if lines else 0
