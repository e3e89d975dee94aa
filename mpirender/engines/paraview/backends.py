"""What a pvbatch can render with on this machine: found by asking it, in a process of its own for each question.

ParaView before 6.0 opens the one kind of window that it was built for; from 6.0 on the environment decides. Where a
window cannot be opened it does not raise but ends the process, by SIGABRT or SIGSEGV. The answers are remembered.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mpirender.engines import probe_cache
from mpirender.engines.base import BackendDevice
from mpirender.engines.paraview.backend_probe import SAYS
from mpirender.errors import ToolMissing, one_line
from mpirender.system import child_process, xvfb

WINDOWS = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow", "glx": "vtkXOpenGLRenderWindow"}
CURES = {
    "egl": "install a GPU driver with EGL, or Mesa's (Debian, Ubuntu: apt-get install libegl1 libgl1-mesa-dri)",
    "osmesa": "put libOSMesa.so.8 on LD_LIBRARY_PATH (Debian 12, Ubuntu: apt-get install libosmesa6; Mesa 25.1 and "
    "later come without it)",
    "glx": "see whether Xvfb works: xvfb-run glxinfo -B",
}
PROBE_SECONDS = 120.0  # ParaView on a busy file system


def environment(device: BackendDevice) -> dict[str, str]:
    """Return the environment in which ParaView opens this kind of window, on this device and no other."""
    chosen = {"VTK_DEFAULT_OPENGL_WINDOW": WINDOWS[device.backend]}
    if device.device is not None:  # the second is a wish in newer VTK and all there is in older
        chosen.update(
            VTK_EGL_DEVICE_INDEX=str(device.device), VTK_DEFAULT_EGL_DEVICE_INDEX=str(device.device)
        )  # fmt: skip
    return chosen


def backend_devices(
    pvbatch: Sequence[str], backend: str, *, shown_on: str = "", afresh: bool = False, insisted: bool = False
) -> list[BackendDevice]:
    """Return what pvbatch can do with a backend here: an entry per EGL device, else one, possible or not.

    Args:
        pvbatch: the words that run it.
        shown_on: X server to ask on; by default a private one.
        afresh: ask also where the answer is remembered.
        insisted: ask also where it is remembered as impossible: someone may have mended it.
    """
    place = probe_cache.path_of(pvbatch, backend)
    known = [] if afresh or shown_on else recall(place)
    if known and not (insisted and all(device.problem for device in known)):
        return known
    if backend == "egl":
        found, devices = ask(pvbatch, BackendDevice("egl", device=0))
        if found.problem and not found.not_built:  # how many there are is told where one of them works
            devices = ask(pvbatch, BackendDevice("egl"))[1]
        answers = [found, *(ask(pvbatch, BackendDevice("egl", device=number))[0] for number in range(1, devices))]
    elif backend == "glx":
        answers = [ask_on_display(pvbatch, shown_on)]
    else:
        answers = [ask(pvbatch, BackendDevice(backend))[0]]
    if not shown_on and all(device.conclusive for device in answers):
        probe_cache.store(place, [asdict(device) for device in answers])
    return answers


def recall(place: Path) -> list[BackendDevice]:
    """Return what is remembered of what pvbatch can do, nothing if there is no such thing."""
    with contextlib.suppress(TypeError):  # written by another version
        return [BackendDevice(**fields) for fields in probe_cache.load(place) or []]
    return []


def ask_on_display(pvbatch: Sequence[str], shown_on: str) -> BackendDevice:
    """Ask for GLX, which needs an X server."""
    if shown_on:
        return ask(pvbatch, BackendDevice("glx"), {"DISPLAY": shown_on})[0]
    try:
        with xvfb.server() as reached:
            return ask(pvbatch, BackendDevice("glx"), reached)[0]
    except ToolMissing as error:
        return BackendDevice("glx", problem=str(error))


def ask(
    pvbatch: Sequence[str], wanted: BackendDevice, reached: Mapping[str, str] | None = None
) -> tuple[BackendDevice, int]:
    """Let pvbatch open a window and paint it; return what came of it, and the number of EGL devices.

    Args:
        reached: environment variables by which it reaches an X server.
    """
    variables = child_process.environment(**environment(wanted), **reached or {})
    command = [*pvbatch, "--no-mpi", "-m", "mpirender.engines.paraview.backend_probe"]
    try:
        done = child_process.run(command, environment=variables, timeout=PROBE_SECONDS, isolated=True)
    except OSError as error:
        return replace(
            _impossible(wanted, f"{pvbatch[-1]} cannot be asked ({one_line(str(error))})"), conclusive=False
        ), 0
    return judge(wanted, *done)


def judge(wanted: BackendDevice, code: int, said: str, complained: str) -> tuple[BackendDevice, int]:
    """Make an device of what pvbatch said, with the reason and the cure where it cannot; and the number of devices."""
    found: dict[str, object] = {}
    for line in said.splitlines():
        if line.startswith(SAYS):
            found.update(json.loads(line[len(SAYS) :]))
    window, devices = str(found.get("window", "")), int(str(found.get("devices", 0)))
    if code == -signal.SIGKILL:  # out of memory, or someone ends everything
        return replace(
            _impossible(wanted, "pvbatch was killed while it was asked; try again"), conclusive=False
        ), devices
    if window != WINDOWS[wanted.backend]:
        return _instead(wanted, window, code, complained), devices
    renderer = re.search(r"OpenGL renderer string:\s*(.*)", str(found.get("capabilities", "")))
    if "painted" not in found:
        return _impossible(wanted, _why_it_died(wanted, code, complained)), devices
    if not found["painted"] or renderer is None:
        return _impossible(wanted, f"it paints nothing; {CURES[wanted.backend]}"), devices
    return BackendDevice(wanted.backend, wanted.device, renderer[1].strip()), devices


def _impossible(wanted: BackendDevice, problem: str) -> BackendDevice:
    return BackendDevice(wanted.backend, wanted.device, problem=problem)


def _instead(wanted: BackendDevice, window: str, code: int, complained: str) -> BackendDevice:
    """Say why there is another kind of window than the one that was wanted, or none."""
    if not window:
        last = next((line for line in reversed(complained.splitlines()) if line.strip()), f"exit code {code}")
        return _impossible(
            wanted, f"pvbatch does not start ({one_line(last)[:160]}); see what it says: pvbatch --version"
        )
    if re.search("Failed to (create|initialize)", complained):  # from ParaView 6.0 on, which then tries others
        of = "" if wanted.device in (None, 0) else f" {wanted.device}"
        what = "EGL device" if wanted.backend == "egl" else "window"
        return _impossible(wanted, f"no {what}{of} can be used; {CURES[wanted.backend]}")
    kind = {name: backend for backend, name in WINDOWS.items()}.get(window, window)
    cure = f"take ParaView 6.0 or newer, or a build for {wanted.backend}"
    return replace(_impossible(wanted, f"this ParaView was built for {kind} alone; {cure}"), not_built=True)


def _why_it_died(wanted: BackendDevice, code: int, complained: str) -> str:
    if "libOSMesa not found" in complained:
        return f"libOSMesa is not found; {CURES['osmesa']}"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"pvbatch dies of it ({how}); {CURES[wanted.backend]}"


def seen_by(pvbatch: Sequence[str]) -> Iterator[BackendDevice]:
    """Yield all that pvbatch can do here and cannot, asked afresh, for doctor."""
    for backend in WINDOWS:
        yield from backend_devices(pvbatch, backend, afresh=True)
