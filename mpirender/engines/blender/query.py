"""Runs inside Blender to answer a query; writes the answer to a file.

python -m mpirender.engines.blender.query ANSWER             Blender's version and devices
python -m mpirender.engines.blender.query ANSWER shot.blend  contents of a file; {"scripts": true} runs the scripts in
    it, {"name": "Scene", "frames": "1-20"} chooses the scene and the frames whose files must exist
python -m mpirender.engines.blender.query ANSWER --picture job.json frames 1,2,3  digest of the last of these frames,
    which are rendered at small size, one by one (``frames``) or by one run of the operator (``animation``)
python -m mpirender.engines.blender.query ANSWER --relative shot.blend copy.blend  write a copy whose paths start from
    the folder of the file, unless all do; answer which paths remain absolute
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from mpirender.engines.blender import order_trial, scene_facts
from mpirender.engines.blender.devices import KINDS, devices, has_egl
from mpirender.job.render_job import RenderJob

PICTURE, RELATIVE = "--picture", "--relative"


def main() -> None:
    """Answer the query, and exit without Blender's cleanup, which hangs if a script has left a handler."""
    place, words = Path(sys.argv[1]), sys.argv[2:]
    answer: dict[str, Any]
    try:
        if words[:1] == [PICTURE]:
            job = RenderJob.from_json(Path(words[1]).read_text())
            answer = {"picture": order_trial.picture(job, words[2], [int(frame) for frame in words[3].split(",")])}
        elif words[:1] == [RELATIVE]:
            answer = {"absolute": scene_facts.write_relative(Path(words[1]), Path(words[2]))}
        elif words:
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


if __name__ == "__main__":
    main()
