"""Results of probing a program on this machine, cached for a day: starting ParaView or Blender takes a second."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpirender.system import files

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MAX_AGE = 24 * 3600.0  # seconds
DRIVER_VARIABLES = re.compile(
    r"(LD_LIBRARY_PATH|LD_PRELOAD|LIBGL_|MESA_|GALLIUM_|__EGL_|__GLX_|EGL_|DRI_|VTK_DEFAULT_|VTK_EGL_)"
)
DEVICE_FILES = ("/dev/dri/*", "/dev/nvidia[0-9]*", "/usr/share/glvnd/egl_vendor.d/*")


def path_of(command: Sequence[str], question: str) -> Path:
    """Return the cache file for a question to a program, whose path is the last item of the command.

    The path depends on all that can change the result: the program file, the variables and devices that decide about
    libraries and drivers, and the machine since its last boot.
    """
    program, version, boot = Path(shutil.which(command[-1]) or command[-1]).resolve(), (0, 0), ""
    with contextlib.suppress(OSError):
        version = program.stat().st_size, program.stat().st_mtime_ns
    with contextlib.suppress(OSError):
        boot = BOOT_ID.read_text().strip()
    environment = sorted(item for item in os.environ.items() if DRIVER_VARIABLES.match(item[0]))
    devices = [str(path) for pattern in DEVICE_FILES for path in sorted(Path("/").glob(pattern[1:]))]
    libraries = [*filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)), "/etc/ld.so.cache"]
    changed = [Path(place).stat().st_mtime_ns for place in libraries if Path(place).exists()]
    machine = (socket.gethostname(), boot, devices, changed, shutil.which("Xvfb"))
    parts = (*command, program, version, question, environment, machine)
    cache = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    return Path(cache) / "mpirender" / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}.json"


def load(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Return a result stored less than a day ago; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        if time.time() - path.stat().st_mtime < MAX_AGE:
            return json.loads(path.read_text())
    return None


def store(path: Path, result: object) -> None:
    """Store a result; if the folder is not writable, the program is probed again next time."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps(result), f"{socket.gethostname()}-{os.getpid()}")
