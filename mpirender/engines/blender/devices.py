"""The devices that Blender can render with on this machine: OpenGL through EGL, and the GPUs of Cycles."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

from mpirender.engines.blender.sequences import BPY

EGL = "libEGL.so.1"
KINDS = ("OPTIX", "CUDA", "HIP", "ONEAPI")  # of GPU interfaces, the fastest first


def has_egl() -> bool:
    """Return whether EEVEE and Workbench can open a context; without libEGL, Blender ends the process."""
    try:
        ctypes.CDLL(EGL)
    except OSError:
        return False
    return True


def devices(bpy: BPY, kind: str) -> Iterator[BPY]:
    """Yield the GPUs of a kind; none if this Blender was built without it."""
    if "cycles" not in bpy.context.preferences.addons:
        return
    preferences = bpy.context.preferences.addons["cycles"].preferences
    try:
        preferences.compute_device_type = kind
    except TypeError:
        return
    preferences.refresh_devices()
    yield from (device for device in preferences.devices if device.type == kind)
