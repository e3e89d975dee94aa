"""Jobs for the pool tests: functions that the ranks import."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def meet(job: tuple[int, str]) -> int:
    """Multiply a number by ten. Job 0 waits until other jobs have run, which needs another rank."""
    number, folder = job
    (Path(folder) / f"met{number}").touch()
    start = time.monotonic()
    while number == 0 and len(list(Path(folder).glob("met*"))) < 4:
        assert time.monotonic() - start < 60, "no other rank came"
        time.sleep(0.02)
    return number * 10


def trouble(what: object) -> object:
    """Fail, exit, or return an object that cannot be pickled or unpickled, as the job says; else return the job."""
    if what == "fail":
        print("VTK would say more")
        raise ValueError("no such\ntimestep")
    if what == "exit":
        sys.exit(3)
    if what == "unsendable":
        return lambda: None
    if what == "unreadable":
        return Unreadable()
    return what


class Unreadable:
    def __reduce__(self) -> object:
        return complain, (os.getpid(),)


def complain(pid: int) -> None:
    if os.getpid() != pid:
        raise RuntimeError("only in the rank")


def die(job: tuple[str, str]) -> str:
    """Kill this process, or its rank, in the way the job says; if the job names a file, only once."""
    how, once = job
    if how == "witness":  # still running when another rank dies
        if not Path(once).exists():
            while not Path(once).exists():
                time.sleep(0.02)
            time.sleep(1)
    elif how and not (once and Path(once).exists()):
        if once:
            Path(once).touch()
        print("the last words of this rank", flush=True)
        if how in ("rank", "stop the rank"):
            os.kill(rank_process(), signal.SIGKILL if how == "rank" else signal.SIGSTOP)
            time.sleep(60)
        if how.isdigit():
            os._exit(int(how))
        os.kill(os.getpid(), signal.Signals[how])
    time.sleep(0.05)
    return f"done {os.getpid()}"


def rank_process() -> int:
    """Return the process id of the rank: the parent of the fork server, which is the parent of this process."""
    return int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])


def rank_number() -> int:
    """Return the number of the rank, from the name of its log."""
    return int(Path("/proc/self/fd/1").readlink().stem.removeprefix("rank-"))


def recorded(job: tuple[str, str]) -> str:
    """Record that the job is called, in a file in the folder that it names; then end in the way it says."""
    how, folder = job
    with (Path(folder) / how).open("a") as calls:
        calls.write("called\n")
    if how == "wait":  # still running when another rank loses its renderer, unless that rank is started too late
        end = time.monotonic() + 1
        while not (Path(folder) / "SIGSEGV").exists() and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.5)
    elif how == "hang":
        subprocess.run(["sleep", "1000"], check=True)
    elif how != "fine":
        die((how, ""))
    return f"done {how}"


def crash_on_rank_0(job: tuple[int, str]) -> int:
    """Crash on rank 0; on another rank, return when ten jobs have crashed."""
    number, folder = job
    if rank_number() == 0:
        (Path(folder) / f"crash{number}").touch()
        os.abort()
    while len(list(Path(folder).glob("crash*"))) < 10:
        time.sleep(0.02)
    return number


def terminated(program: list[str]) -> int:
    """Start a program and terminate it; return its exit code."""
    with subprocess.Popen(program) as process:
        process.terminate()
        return process.wait(10)


def hang(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def scaled(number: int, factor: int) -> int:
    return number * factor


def places(job: object) -> tuple[str, str, list[str]]:
    return str(Path.cwd()), os.environ.get("MPIRENDER_POOL", "unset"), sys.argv


def picture(job: tuple[str, float, str]) -> tuple[int, float]:
    """Save a screenshot of a state with another view angle; return the number of points, and the angle."""
    from paraview import simple

    state, angle, place = job
    simple.ResetSession()
    if state == "crash":
        ctypes.string_at(0)
    simple.LoadState(state)
    view = simple.GetActiveViewOrCreate("RenderView")
    view.CameraViewAngle = angle
    simple.SaveScreenshot(place, view, ImageResolution=(320, 180))
    points = sum(source.GetDataInformation().GetNumberOfPoints() for source in simple.GetSources().values())
    return points, angle


def blender_picture(place: str) -> None:
    """Render the scene with which Blender starts, with Cycles; crash if the place is no file."""
    import bpy

    bpy.ops.wm.read_factory_settings()
    if place == "crash":
        ctypes.string_at(0)
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.filepath = 64, 48, place
    bpy.ops.render.render(write_still=True)
