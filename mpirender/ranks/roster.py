"""What each rank records of itself: where it renders, on which cores and with what."""

from __future__ import annotations

from collections.abc import Sequence

from mpirender.engines import BackendDevice, Scene
from mpirender.run_folder.events import Opened, Process
from mpirender.system import host


def entry(scene: Scene, device: BackendDevice | None, followers: Sequence[Process] = ()) -> Opened:
    """Return what this rank records of itself when it has opened the scene.

    Args:
        device: what it was set up to render with, None for an engine without windows.
        followers: the ranks that render each frame with it.
    """
    return Opened(
        description=scene.description,
        hosts=tuple(follower.host for follower in followers),
        backend="" if device is None else device.backend,
        device=None if device is None else device.device,
        node_memory=host.memory(),
        cores=host.cores(),
        threads=host.threads(),
        renderer=scene.renderer,
    )
