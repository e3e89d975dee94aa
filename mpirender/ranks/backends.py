"""The backend that all ranks render with: EGL on a GPU, else OSMesa, else EGL on the CPU, else GLX with Xvfb.

All nodes use the same backend, since images of two renderers differ at edges.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mpirender.engines.base import BackendDevice, Engine
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs
from mpirender.ranks import gpu_assignment
from mpirender.system import host, slurm
from mpirender.system.comm import Comm, same_node


class Kind(NamedTuple):
    """A backend, and whether a GPU renders; None if either may."""

    backend: str
    gpu: bool | None = None


BEST_FIRST = (Kind("egl", gpu=True), Kind("osmesa"), Kind("egl", gpu=False), Kind("glx"))


@contextlib.contextmanager
def chosen(
    comm: Comm, engine: Engine, programs: Programs, *, local_rank: int | None = None
) -> Iterator[BackendDevice | None]:
    """Set up this rank to render during the block; give its backend and device, None for an engine without windows.

    :param local_rank: number of this process on its node, if ``comm`` does not connect it to the others.
    :raises ToolMissing: no backend works on all nodes, or the requested one does not.
    """
    host.limit_threads()
    if not engine.BACKENDS:
        yield None
        return
    node = same_node(comm)
    devices = agree(comm, node, engine, programs)
    device = gpu_assignment.device_of_rank(devices, node.rank if local_rank is None else local_rank, programs)
    os.environ.update(engine.environment(device))
    with contextlib.ExitStack() as stack:
        if device.backend != "glx":
            os.environ.pop("DISPLAY", None)  # some windows connect to it nevertheless
        elif programs.display:
            os.environ["DISPLAY"] = programs.display
        else:
            from mpirender.system.xvfb import private_display

            stack.enter_context(private_display(comm))
        yield device


def agree(comm: Comm, node: Comm, engine: Engine, programs: Programs) -> list[BackendDevice]:
    """Choose the first kind that works on every node; return its devices on this node.

    The first rank of ``node``, the ranks of this node, probes the program. ToolMissing: no kind works on every node.
    """
    granted = comm.bcast(slurm.has_gpus(), root=0)
    problems: list[tuple[str, bool]] = []
    probed: dict[str, Sequence[BackendDevice]] = {}
    for kind in candidates(programs, granted):
        if kind.backend not in probed:
            found = engine.backend_devices(programs, kind.backend) if node.rank == 0 else ()
            probed[kind.backend] = node.bcast(found, root=0)
        devices, problem = usable(kind, probed[kind.backend], programs)
        mine = (socket.gethostname(), problem, all(device.not_built for device in probed[kind.backend]))
        everywhere = sorted(set(comm.allgather(mine)))
        if not any(problem for _, problem, _ in everywhere):
            return devices
        problems += [(f"{name}, {kind.backend}: {why}", unbuilt) for name, why, unbuilt in everywhere if why]
    raise ToolMissing(refusal(programs, problems, granted))


def candidates(programs: Programs, granted: bool) -> list[Kind]:
    """Return the kinds that a job may be rendered with, the best first; ``granted``: whether Slurm gave it GPUs.

    If a GPU was requested, with ``--gpus`` or from Slurm, the CPU does not silently replace it.
    """
    kinds = [kind for kind in BEST_FIRST if programs.backend in ("auto", kind.backend)]
    if programs.gpus == "none":
        return [kind for kind in kinds if not kind.gpu]
    gpu_only = gpu_assignment.wants_gpu(programs, granted) and not programs.allow_software
    return [kind for kind in kinds if kind.gpu or not gpu_only]


def usable(kind: Kind, found: Sequence[BackendDevice], programs: Programs) -> tuple[list[BackendDevice], str]:
    """Return the devices of a kind among those of a node with its backend, or the reason why there are none."""
    working = [device for device in found if not device.problem]
    devices = {device.device: device for device in working if kind.gpu is None or device.software != kind.gpu}
    if not working:
        return [], next((device.problem for device in found), "not possible")
    wanted = programs.gpu_numbers if kind.gpu else ()
    missing = [number for number in wanted if number not in devices]
    if missing or not devices:
        has = ", ".join(f"device {device.device} is {device.renderer}" for device in working)
        what = f"device {missing[0]} is no GPU" if missing else f"there is {'no' if kind.gpu else 'only a'} GPU"
        return [], f"{what}; {has}"
    return [devices[number] for number in wanted] or list(devices.values()), ""


def refusal(programs: Programs, problems: Sequence[tuple[str, bool]], granted: bool) -> str:
    """Return a line that says why no backend works.

    :param problems: for each node and kind, the problem and whether the program was built without that backend. Such
        problems cannot be fixed, so they are left out if there are others.
    """
    fixable = [text for text, unbuilt in problems if not unbuilt] or [text for text, _ in problems]
    reasons = " | ".join(dict.fromkeys(fixable))
    wants_gpu = gpu_assignment.wants_gpu(programs, granted)
    fix = f"; {gpu_assignment.ALLOW_SOFTWARE} renders on the CPU instead" if wants_gpu else ""
    if programs.gpu_numbers:
        return f"--gpus {programs.gpus} is not possible; {reasons}{fix}"
    if fix:
        return f"Slurm gave this job GPUs, but ParaView cannot render on them; {reasons}{fix}"
    if programs.backend == "auto":
        return f"ParaView can render with no backend; {reasons}"
    return f"--backend {programs.backend} is not possible; {reasons}"
