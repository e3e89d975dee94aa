"""The backends and devices that a pvbatch can render with on this machine, found by running it once for each.

ParaView before 6.0 opens the one kind of window that it was built for; from 6.0 on, environment variables choose it. If
the window cannot be opened, ParaView ends the process by SIGABRT or SIGSEGV. The results are cached.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Sequence
from dataclasses import asdict, replace

from mpirender.engines import probe_cache
from mpirender.engines.base import BackendDevice
from mpirender.engines.paraview.backend_probe import PREFIX
from mpirender.engines.paraview.proxies import PVObject, windows_of
from mpirender.errors import ToolMissing, one_line
from mpirender.system import child_process

WINDOWS = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow", "glx": "vtkXOpenGLRenderWindow"}
FIXES = {
    "egl": "install a GPU driver with EGL, or Mesa's EGL (Debian, Ubuntu: apt-get install libegl1 libgl1-mesa-dri)",
    "osmesa": "put libOSMesa.so.8 on LD_LIBRARY_PATH (Debian 12, Ubuntu: apt-get install libosmesa6; Mesa 25.1 and "
    "later do not include it)",
    "glx": "check that Xvfb works: xvfb-run glxinfo -B",
}
PROBE_SECONDS = 120.0  # ParaView on a busy file system


def backend_of(window: str) -> str:
    """Return the backend that opens a class of windows; other names are returned unchanged."""
    return {name: backend for backend, name in WINDOWS.items()}.get(window, window)


def renderer_in(capabilities: str) -> str:
    """Return the OpenGL renderer that a window reports among its capabilities; empty if there is none."""
    match = re.search(r"OpenGL renderer string:\s*(.*)", capabilities)
    return match[1].strip() if match else ""


def opened_window(views: Sequence[PVObject]) -> tuple[str, str]:
    """Return the backend and the OpenGL renderer of the first window, read back from the window itself."""
    window = next((window for view in views for window in windows_of(view)), None)
    if window is None:
        return "no window", "unknown renderer"
    opened = window
    if window.IsA("vtkOffscreenOpenGLRenderWindow"):  # ParaView 6: inside another window
        from paraview.modules.vtkRemotingViews import vtkPVProcessWindow

        opened = vtkPVProcessWindow.GetRenderWindow()
    backend = backend_of("" if opened is None else opened.GetClassName())
    return backend or "no window", renderer_in(window.ReportCapabilities() or "") or "unknown renderer"


def environment(device: BackendDevice) -> dict[str, str]:
    """Return the environment variables with which ParaView opens this window, on this device and no other."""
    chosen = {"VTK_DEFAULT_OPENGL_WINDOW": WINDOWS[device.backend]}
    if device.device is not None:  # newer VTK reads the second variable as a preference, older VTK only that one
        chosen.update(VTK_EGL_DEVICE_INDEX=str(device.device), VTK_DEFAULT_EGL_DEVICE_INDEX=str(device.device))
    return chosen


def backend_devices(
    pvbatch: Sequence[str], backend: str, *, display: str = "", afresh: bool = False, insisted: bool = False
) -> list[BackendDevice]:
    """Return the devices of a backend, usable or not: one entry per EGL device, one for the other backends.

    :param display: X server to probe on; by default a private one.
    :param afresh: probe even if a result is cached.
    :param insisted: probe even if the cached result is negative: the problem may have been fixed since.
    """
    path = probe_cache.path_of(pvbatch, backend)
    cached: list[BackendDevice] = []
    if not afresh and not display:
        with contextlib.suppress(TypeError):  # written by another version
            cached = [BackendDevice(**fields) for fields in probe_cache.load(path) or []]
    if cached and not (insisted and all(device.problem for device in cached)):
        return cached
    if backend == "egl":
        first, count = probe(pvbatch, BackendDevice("egl", device=0))
        if first.problem and not first.not_built:  # the number of devices is known only if a window opens
            count = probe(pvbatch, BackendDevice("egl"))[1]
        devices = [first, *(probe(pvbatch, BackendDevice("egl", device=number))[0] for number in range(1, count))]
    elif backend == "glx":
        devices = [probe_glx(pvbatch, display)]
    else:
        devices = [probe(pvbatch, BackendDevice(backend))[0]]
    if not display and all(device.conclusive for device in devices):
        probe_cache.store(path, [asdict(device) for device in devices])
    return devices


def probe_glx(pvbatch: Sequence[str], display: str) -> BackendDevice:
    """Probe GLX, which needs an X server."""
    from mpirender.system import xvfb

    try:
        with contextlib.nullcontext({"DISPLAY": display}) if display else xvfb.server() as variables:
            return probe(pvbatch, BackendDevice("glx"), **variables)[0]
    except ToolMissing as error:
        return BackendDevice("glx", problem=str(error))


def probe(pvbatch: Sequence[str], wanted: BackendDevice, **x_server: str) -> tuple[BackendDevice, int]:
    """Have pvbatch render into a window, on an X server if needed; return the result and the number of EGL devices."""
    variables = child_process.environment(**environment(wanted), **x_server)
    command = [*pvbatch, "--no-mpi", "-m", "mpirender.engines.paraview.backend_probe"]
    try:
        done = child_process.run(command, environment=variables, timeout=PROBE_SECONDS, isolated=True)
    except OSError as error:
        problem = f"{pvbatch[-1]} cannot be run ({one_line(str(error))})"
        return replace(wanted, problem=problem, conclusive=False), 0
    return judge(wanted, *done)


def judge(wanted: BackendDevice, code: int, stdout: str, stderr: str) -> tuple[BackendDevice, int]:
    """Return the result of a probe from its exit code and output, and the number of EGL devices."""
    found: dict[str, object] = {}
    for line in stdout.splitlines():
        if line.startswith(PREFIX):
            found.update(json.loads(line[len(PREFIX) :]))
    window, devices = str(found.get("window", "")), int(str(found.get("devices", 0)))
    if code == -signal.SIGKILL:  # out of memory, or all processes were killed
        return replace(wanted, problem="pvbatch was killed during the probe; try again", conclusive=False), devices
    if window != WINDOWS[wanted.backend]:
        return _other_window(wanted, window, code, stderr), devices
    renderer = renderer_in(str(found.get("capabilities", "")))
    if "painted" not in found:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        problem = f"pvbatch crashed ({how}); {FIXES[wanted.backend]}"
        if "libOSMesa not found" in stderr:
            problem = f"libOSMesa is not found; {FIXES['osmesa']}"
        return replace(wanted, problem=problem), devices
    if not found["painted"] or not renderer:
        return replace(wanted, problem=f"the rendered image is empty; {FIXES[wanted.backend]}"), devices
    return replace(wanted, renderer=renderer), devices


def _other_window(wanted: BackendDevice, window: str, code: int, stderr: str) -> BackendDevice:
    """Return why ParaView opened another kind of window than requested, or none."""
    if not window:
        last = next((line for line in reversed(stderr.splitlines()) if line.strip()), f"exit code {code}")
        return replace(wanted, problem=f"pvbatch does not start ({one_line(last)[:160]}); try: pvbatch --version")
    if re.search("Failed to (create|initialize)", stderr):  # from ParaView 6.0 on, which then tries other windows
        number = "" if wanted.device in (None, 0) else f" {wanted.device}"
        what = "EGL device" if wanted.backend == "egl" else "window"
        return replace(wanted, problem=f"no {what}{number} can be used; {FIXES[wanted.backend]}")
    fix = f"use ParaView 6.0 or newer, or a build for {wanted.backend}"
    return replace(wanted, problem=f"this ParaView was built for {backend_of(window)} only; {fix}", not_built=True)
