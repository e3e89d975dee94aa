"""Whether frames depend on those before them, found out by trying: what scripts in a scene keep nobody can read.

Filters of ParaView that carry something on from frame to frame are known by name (:mod:`surprises`). A script may do
so as well, a counter or a mean over time. So where there is one, the data of a frame are computed three times: after
the frames before it, at once, and after these frames again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mpirender.errors import UsageError

SCRIPTED = ("vtkPythonProgrammableFilter", "vtkPythonAlgorithm")  # the second is that of Python plugins
TRIED = 2  # the frame: what a script keeps of two frames is told from what it keeps of one
ALLOW = "--allow-order-dependence"


def scripts() -> dict[str, Any]:
    """Return the sources and filters of the scene that run somebody's Python, by their names."""
    from paraview import servermanager

    sources = servermanager.ProxyManager().GetProxiesInGroup("sources").items()
    made = {name: (proxy, proxy.SMProxy.GetClientSideObject()) for (name, _), proxy in sources}
    return {name: proxy for name, (proxy, it) in made.items() if it is not None and it.GetClassName() in SCRIPTED}


class Computed(Protocol):
    """A scene whose data can be computed without rendering."""

    @property
    def frames(self) -> Sequence[object]: ...  # noqa: D102

    def compute(self, frame: int, *, in_order: bool) -> None: ...  # noqa: D102

    def anywhere(self, doubt: bool) -> bool: ...  # noqa: D102


def depends(scene: Computed, found: Mapping[str, Any], name: str) -> bool:
    """Say whether what scripts make of a frame depends on the frames before it, of which there must be one.

    Args:
        found: the scripts of the scene.
        name: of the scene's file.

    Raises:
        UsageError: it also depends on what was computed before these, so that no order gives ParaView's pictures.
    """
    frame, results = min(TRIED, len(scene.frames) - 1), []
    for in_order in (True, False, True):
        scene.compute(frame, in_order=in_order)
        results.append({script: digest(proxy) for script, proxy in found.items()})
    after, at_once, again = results
    whims = [script for script in found if scene.anywhere(after[script] != again[script])]
    if whims:
        raise UsageError(
            f"{name}: what {', '.join(whims)} makes of frame {frame} differs from one time to the next, so pictures "
            f"would depend on the ranks and on restarts; let its script keep nothing outside of self (and seed random "
            f"numbers), or {ALLOW} renders it all the same"
        )
    return scene.anywhere(after != at_once)


def digest(proxy: Any) -> str:  # noqa: ANN401
    """Return a digest of all that a source puts out in this process."""
    total = hashlib.blake2b(digest_size=16)
    for content in _outputs(proxy.SMProxy.GetClientSideObject()):
        total.update(content)
    return total.hexdigest()


def _outputs(algorithm: Any) -> Iterator[bytes]:  # noqa: ANN401
    """Yield the data of every output port, as they would be sent to another process."""
    from vtkmodules.vtkCommonCore import vtkCharArray
    from vtkmodules.vtkParallelCore import vtkCommunicator

    for port in range(algorithm.GetNumberOfOutputPorts()):
        data = algorithm.GetOutputDataObject(port)
        if data is not None:
            buffer = vtkCharArray()
            vtkCommunicator.MarshalDataObject(data, buffer)
            yield bytes(memoryview(buffer))
