"""What each rank records about itself: host resources, backend, device and renderer."""

from __future__ import annotations

from collections.abc import Sequence

from mpirender.engines.base import BackendDevice, Scene
from mpirender.run_folder.events import Opened, Process
from mpirender.system import host


def entry(scene: Scene, device: BackendDevice | None, followers: Sequence[Process] = ()) -> Opened:
    """Return the record of this rank after it has opened the scene.

    Args:
        device: its backend and device, None for an engine without windows.
        followers: of this rank's group.
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
