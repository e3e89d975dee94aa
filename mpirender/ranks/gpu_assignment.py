"""GPU assignment: whether a job wants GPUs, which of them it may use, and which one each rank gets."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence

from mpirender.engines.base import BackendDevice, is_software
from mpirender.errors import ToolMissing
from mpirender.job.programs import Programs
from mpirender.system import slurm

# Variables with the GPUs that a process may use, the most specific first.
VISIBLE = ("CUDA_VISIBLE_DEVICES", *slurm.GPU_LISTS, "GPU_DEVICE_ORDINAL")
ALLOW_SOFTWARE = "--allow-software"


def wants_gpu(programs: Programs, granted: bool) -> bool:
    """Return whether a job asks for a GPU: with ``--gpus``, or of Slurm (``granted``) if no other backend is named."""
    if programs.gpus is not None:
        return programs.gpus != "none"
    return granted and programs.backend in ("auto", "egl")


def device_of_rank(
    devices: Sequence[BackendDevice], local_rank: int, programs: Programs, environ: Mapping[str, str] = os.environ
) -> BackendDevice:
    """Return the device of a rank: GPUs are assigned round-robin to the ranks of a node.

    The usable ``devices`` of its node are GPUs only, or the CPU only; ``local_rank`` is its number on its node.
    """
    if len(devices) == 1 or devices[0].software:
        return devices[0]
    mine = devices if programs.gpus else [devices[index] for index in visible(len(devices), environ)]
    return mine[local_rank % len(mine)]


def visible(count: int, environ: Mapping[str, str]) -> list[int]:
    """Return the indices of the GPUs that a process may use, among those that EGL lists; if in doubt, all.

    If Slurm restricts a job to its GPUs, EGL lists those only, while Slurm's numbers count all GPUs of the node and may
    exceed the list. CUDA's variable may also hold UUIDs (GPU-…, MIG-…), which EGL does not report. ``count`` is the
    number of GPUs that EGL lists.
    """
    text = next((environ[name] for name in VISIBLE if name in environ), "")
    numbers = [number.strip() for number in text.split(",") if number.strip()]
    if not numbers or not all(number.isdigit() and int(number) < count for number in numbers):
        return list(range(count))
    return list(dict.fromkeys(map(int, numbers)))


def check(device: BackendDevice | None, renderer: str, programs: Programs) -> None:
    """Raise ToolMissing if a GPU was assigned, but the open window's OpenGL ``renderer`` uses the CPU instead."""
    if device is None or device.software or not is_software(renderer) or programs.allow_software:
        return
    where = f"EGL device {device.device}" if device.device is not None else device.backend
    raise ToolMissing(
        f"ParaView renders on the CPU ({renderer}) instead of {where} on {socket.gethostname()}, {device.renderer}; "
        f"check the GPU (nvidia-smi), or use {ALLOW_SOFTWARE}"
    )
