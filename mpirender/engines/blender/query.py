"""What Blender is asked to run to find out what it is, and what is in a file; it writes the answer into a file.

python -m mpirender.engines.blender.query ANSWER             its version, and what it can render with here
python -m mpirender.engines.blender.query ANSWER shot.blend  what is in a file; with --scripts it runs those in there
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EGL = "libEGL.so.1"
KINDS = ("OPTIX", "CUDA", "HIP", "ONEAPI")  # of GPUs, the fastest way first


def main() -> None:
    """Answer, and end without Blender's clean-up, which hangs where a script has left a handler."""
    place, words = Path(sys.argv[1]), sys.argv[2:]
    try:
        answer = look(Path(words[0]), scripts="--scripts" in words) if words else about()
    except ImportError as error:
        answer = {"absent": str(error)}
    except RuntimeError as error:
        answer = {"error": str(error).strip().removeprefix("Error: ")}
    place.write_text(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)


def look(path: Path, *, scripts: bool) -> dict[str, Any]:
    """Return what is in a file."""
    from mpirender.engines.blender import scene_facts

    return scene_facts.facts_of(scene_facts.open_file(path, scripts=scripts))


def about() -> dict[str, Any]:
    """Return the version, whether OpenGL can be had, and the GPUs that Cycles can use, by kind."""
    import bpy

    found = {kind: [device.name for device in devices(bpy, kind)] for kind in KINDS}
    return {
        "version": bpy.app.version_string, "egl": has_egl(),
        "gpus": {kind: names for kind, names in found.items() if names},
    }  # fmt: skip


def has_egl() -> bool:
    """Say whether EEVEE and Workbench can open a context; without libEGL Blender ends the process."""
    try:
        ctypes.CDLL(EGL)
    except OSError:
        return False
    return True


def devices(bpy: Any, kind: str) -> Iterator[Any]:  # noqa: ANN401 - Blender's modules have no types
    """Yield the GPUs of a kind; none where this Blender was built without it."""
    if "cycles" not in bpy.context.preferences.addons:
        return
    preferences = bpy.context.preferences.addons["cycles"].preferences
    try:
        preferences.compute_device_type = kind
    except TypeError:
        return
    preferences.refresh_devices()
    yield from (device for device in preferences.devices if device.type == kind)


if __name__ == "__main__":
    main()
