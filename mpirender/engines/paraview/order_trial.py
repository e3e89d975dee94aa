"""Finds out by a test whether the results of Python scripts in a scene depend on earlier frames.

The filters of ParaView that depend on earlier frames are known by name (:mod:`state_warnings`). A script may do so as
well, for example with a counter or a mean over time. So the data of one frame are computed three times: after the
frames before it, directly, and after these frames again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from mpirender.engines.paraview.proxies import PVObject, registered
from mpirender.errors import UsageError

SCRIPTED = ("vtkPythonProgrammableFilter", "vtkPythonAlgorithm")  # the latter for Python plugins
TESTED_FRAME = 2  # late enough to distinguish state from two frames from state from one
ALLOW = "--allow-order-dependence"


def scripts() -> dict[str, PVObject]:
    """Return the sources and filters of the scene that run a user's Python script, by name."""
    made = {name: (proxy, proxy.SMProxy.GetClientSideObject()) for name, proxy in registered("sources")}
    return {name: proxy for name, (proxy, it) in made.items() if it is not None and it.GetClassName() in SCRIPTED}


class ComputableScene(Protocol):
    """The methods of a scene that the test needs."""

    # ruff: noqa: D102

    @property
    def frames(self) -> Sequence[int]: ...
    def compute(self, frame: int, *, in_order: bool) -> None: ...
    def anywhere(self, condition: bool) -> bool: ...


def depends(scene: ComputableScene, found: Mapping[str, PVObject], name: str) -> bool:
    """Return whether the results of scripts depend on earlier frames; the scene needs at least two frames.

    Args:
        found: the scripts of the scene.
        name: name of the scene file.

    Raises:
        UsageError: the results are not reproducible, so no order of frames gives ParaView's images.
    """
    frame, results = min(TESTED_FRAME, len(scene.frames) - 1), []
    for in_order in (True, False, True):
        scene.compute(frame, in_order=in_order)
        results.append({script: digest(proxy) for script, proxy in found.items()})
    after, directly, again = results
    changing = [script for script in found if scene.anywhere(after[script] != again[script])]
    if changing:
        raise UsageError(
            f"{name}: {', '.join(changing)} is not reproducible: it gave different results for frame {frame}. Images "
            "would depend on ranks and restarts. Keep the script's state in self and seed random numbers, or render "
            f"with {ALLOW}"
        )
    return scene.anywhere(after != directly)


def digest(proxy: PVObject) -> str:
    """Return a digest of all output of a source in this process."""
    total = hashlib.blake2b(digest_size=16)
    for content in _outputs(proxy.SMProxy.GetClientSideObject()):
        total.update(content)
    return total.hexdigest()


def _outputs(algorithm: PVObject) -> Iterator[bytes]:
    """Yield the data of every output port, serialized as for sending to another process."""
    from vtkmodules.vtkCommonCore import vtkCharArray
    from vtkmodules.vtkParallelCore import vtkCommunicator

    for port in range(algorithm.GetNumberOfOutputPorts()):
        data = algorithm.GetOutputDataObject(port)
        if data is not None:
            buffer = vtkCharArray()
            vtkCommunicator.MarshalDataObject(data, buffer)
            yield bytes(memoryview(buffer))
