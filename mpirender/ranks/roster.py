"""What each rank records of itself: where it renders, on which cores and with what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpirender.engines import BackendDevice
from mpirender.system import host


def entry(device: BackendDevice | None, renderer: str, hosts: Sequence[str] = ()) -> dict[str, Any]:
    """Return what this rank records of itself.

    Args:
        device: what it was set up to render with, None for an engine without windows.
        renderer: what OpenGL calls it, read back from the window.
        hosts: of the ranks that render each frame with it.
    """
    return {
        "with": list(hosts),
        "backend": "" if device is None else device.backend,
        "device": None if device is None else device.device,
        "node_memory": host.memory(),
        "cores": host.cores(),
        "threads": host.threads(),
        "renderer": renderer,
    }
