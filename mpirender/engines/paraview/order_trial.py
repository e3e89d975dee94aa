"""Finds out by a test whether the results of Python scripts in a scene depend on earlier frames.

The filters of ParaView that depend on earlier frames are known by name (:mod:`state_warnings`). A script may do so as
well, for example with a counter or a mean over time. So the data of one frame are computed three times: after the
frames before it, directly, and after these frames again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from mpirender.engines.paraview.proxies import PVObject, registered
from mpirender.errors import UsageError

SCRIPTED = ("vtkPythonProgrammableFilter", "vtkPythonAlgorithm")  # the latter for Python plugins
TESTED_FRAME = 2  # late enough to distinguish state from two frames from state from one
ALLOW = "--allow-order-dependence"


def scripts() -> dict[str, PVObject]:
    """Return the sources and filters of the scene that run a user's Python script, by name."""
    made = {name: (proxy, proxy.SMProxy.GetClientSideObject()) for name, proxy in registered("sources")}
    return {name: proxy for name, (proxy, it) in made.items() if it is not None and it.GetClassName() in SCRIPTED}


def depends(results: Sequence[Mapping[str, str]], anywhere: Callable[[bool], bool], *, name: str, frame: int) -> bool:
    """Return whether the results of scripts in a frame depend on earlier frames.

    :param results: digests of the output of each script: after the frames before this one, directly, and after them
        again.
    :param anywhere: returns whether a condition holds in any of the ranks that render together.
    :param name: name of the scene file.
    :raises UsageError: the results are not reproducible, so no order of frames gives ParaView's images.
    """
    after, directly, again = results
    changing = [script for script in after if anywhere(after[script] != again[script])]
    if changing:
        raise UsageError(
            f"{name}: {', '.join(changing)} is not reproducible: it gave different results for frame {frame}. Images "
            "would depend on ranks and restarts. Keep the script's state in self and seed random numbers, or render "
            f"with {ALLOW}"
        )
    return anywhere(after != directly)


def digest(proxy: PVObject) -> str:
    """Return a digest of all output of a source in this process."""
    from vtkmodules.vtkCommonCore import vtkCharArray
    from vtkmodules.vtkParallelCore import vtkCommunicator

    algorithm, total = proxy.SMProxy.GetClientSideObject(), hashlib.blake2b(digest_size=16)
    for data in map(algorithm.GetOutputDataObject, range(algorithm.GetNumberOfOutputPorts())):
        if data is not None:
            buffer = vtkCharArray()
            vtkCommunicator.MarshalDataObject(data, buffer)  # as for sending to another process
            total.update(bytes(memoryview(buffer)))
    return total.hexdigest()
