"""Runs a Python script that builds a scene, without the calls that render or write; see :mod:`script_source`."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from mpirender.engines.base import Inspection
from mpirender.engines.paraview.inspect import inspect_state
from mpirender.engines.paraview.proxies import PVObject
from mpirender.engines.paraview.script_source import RENDER, SKIPPED
from mpirender.errors import UsageError, one_line
from mpirender.job.render_job import RenderJob


def run(content: bytes, path: Path) -> None:
    """Run a script as ``pvpython`` would.

    :raises UsageError: the script raises an exception, with the line, or exits with an error.
    """
    from paraview import simple

    _replace_calls(simple)
    argv, sys.argv = sys.argv, [str(path)]
    sys.path.insert(0, str(path.parent))  # for modules in the same folder
    try:
        exec(compile(content, str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})
    except SystemExit as end:
        if end.code not in (None, 0):
            raise UsageError(f"{path.name}: the script exited with {end.code!r}") from None
    except Exception as error:
        trace = reversed(traceback.extract_tb(error.__traceback__))
        line = next((step.lineno for step in trace if step.filename == str(path)), 0)  # 0: not in the script
        raise UsageError(f"{path.name}: line {line}: {type(error).__name__}: {one_line(str(error))}") from None
    finally:
        sys.path.remove(str(path.parent))
        sys.argv = argv


def saved_state(job: RenderJob) -> tuple[bytes, Inspection]:
    """Return the open scene as a state file, and its inspection; raise UsageError with its mistakes."""
    from paraview import servermanager, simple

    _register_tracks(simple.GetAnimationScene(), servermanager.ProxyManager())
    with tempfile.NamedTemporaryFile(suffix=".pvsm") as file:
        servermanager.SaveState(file.name)
        state = Path(file.name).read_bytes()
    inspection = inspect_state(state, job)
    if inspection.mistakes:
        raise UsageError(inspection.mistakes)
    return state, inspection


def _register_tracks(animation: PVObject, manager: PVObject) -> None:
    """Register tracks and key frames that the script did not register, so that the state contains them."""
    for cue in animation.Cues:
        for proxy in (cue, *(getattr(cue, "KeyFrames", None) or ())):
            if not manager.GetProxyName("animation", proxy.SMProxy):
                name = f"{proxy.SMProxy.GetXMLName()}{proxy.SMProxy.GetGlobalIDAsString()}"
                manager.RegisterProxy("animation", name, proxy.SMProxy)


def _replace_calls(simple: PVObject) -> None:
    """Replace the functions that would render, write or wait by functions that do nothing."""
    for name in SKIPPED:
        if hasattr(simple, name):
            setattr(simple, name, lambda *arguments, **options: True)
    setattr(simple, RENDER, _render_once(getattr(simple, RENDER)))


def _render_once(render: Callable[..., PVObject]) -> Callable[..., PVObject]:
    """Return a function that renders only at its first call."""
    shown: list[PVObject] = []

    def replacement(view: PVObject = None) -> PVObject:
        from paraview import simple

        if not shown:
            shown.append(render(view))
        return view or simple.GetActiveView()

    return replacement
