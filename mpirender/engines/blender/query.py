"""Runs inside Blender to answer a query; writes the answer to a file.

python -m mpirender.engines.blender.query ANSWER             Blender's version and devices
python -m mpirender.engines.blender.query ANSWER shot.blend  contents of a file; {"scripts": true} runs the scripts in
    it, {"name": "Scene", "frames": "1-20"} chooses the scene and the frames whose files must exist
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpirender.engines.blender import scene_facts
from mpirender.engines.blender.sequences import BPY

EGL = "libEGL.so.1"
KINDS = ("OPTIX", "CUDA", "HIP", "ONEAPI")  # of GPU interfaces, the fastest first


def main() -> None:
    """Answer the query, and exit without Blender's cleanup, which hangs if a script has left a handler."""
    place, words = Path(sys.argv[1]), sys.argv[2:]
    try:
        if words:
            asked = json.loads(words[1]) if len(words) > 1 else {}
            bpy = scene_facts.open_file(Path(words[0]), scripts=asked.pop("scripts", False))
            answer = scene_facts.facts_of(bpy, **asked)
        else:
            answer = version_and_devices()
    except ImportError as error:
        answer = {"absent": str(error)}
    except RuntimeError as error:
        answer = {"error": str(error).strip().removeprefix("Error: ")}
    place.write_text(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)


def version_and_devices() -> dict[str, Any]:
    """Return the version, whether EGL is available, and the GPUs that Cycles can use, by kind."""
    import bpy

    gpus = {kind: names for kind in KINDS if (names := [device.name for device in devices(bpy, kind)])}
    return {"version": bpy.app.version_string, "egl": has_egl(), "gpus": gpus}


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


if __name__ == "__main__":
    main()
