"""What programs have answered on this machine, remembered for a day: asking ParaView anything takes it a second."""

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

KEPT_SECONDS = 24 * 3600.0
OF_DRIVERS = re.compile(
    r"(LD_LIBRARY_PATH|LD_PRELOAD|LIBGL_|MESA_|GALLIUM_|__EGL_|__GLX_|EGL_|DRI_|VTK_DEFAULT_|VTK_EGL_)"
)
DEVICE_FILES = ("/dev/dri/*", "/dev/nvidia[0-9]*", "/usr/share/glvnd/egl_vendor.d/*")


def place_of(command: Sequence[str], question: str) -> Path:
    """Return where the answer of a program is remembered; it is another place when anything that decides differs.

    That is the program's file, what tells it which libraries and drivers to take, and the machine since its last start.

    Args:
        command: the words that run the program, its path the last of them.
    """
    program, about = Path(shutil.which(command[-1]) or command[-1]).resolve(), (0, 0)
    with contextlib.suppress(OSError):
        about = program.stat().st_size, program.stat().st_mtime_ns
    environment = sorted(item for item in os.environ.items() if OF_DRIVERS.match(item[0]))
    devices = [str(path) for pattern in DEVICE_FILES for path in sorted(Path("/").glob(pattern[1:]))]
    libraries = [*filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)), "/etc/ld.so.cache"]
    changed = [Path(place).stat().st_mtime_ns for place in libraries if Path(place).exists()]
    machine = (socket.gethostname(), _boot(), devices, changed, shutil.which("Xvfb"))
    parts = (*command, program, about, question, environment, machine)
    cache = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME', '')}/.cache"
    return Path(cache) / "mpirender" / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}.json"


def recall(place: Path) -> Any:  # noqa: ANN401 - whatever was kept
    """Return what was kept less than a day ago, None if there is no such thing."""
    with contextlib.suppress(OSError, ValueError):
        if time.time() - place.stat().st_mtime < KEPT_SECONDS:
            return json.loads(place.read_text())
    return None


def keep(place: Path, answer: object) -> None:
    """Keep an answer; where nothing can be written it is asked again next time."""
    part = place.with_name(f".part-{place.stem}-{socket.gethostname()}-{os.getpid()}")
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(answer))
        part.replace(place)


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
