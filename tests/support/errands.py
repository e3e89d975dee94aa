"""Jobs for the pool tests: functions that the ranks import."""

from __future__ import annotations

import os
import signal
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
    """Kill this process in the way the job says; if the job names a file, only once."""
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
        if how.isdigit():
            os._exit(int(how))
        os.kill(os.getpid(), signal.Signals[how])
    time.sleep(0.05)
    return f"done {os.getpid()}"


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
    simple.LoadState(state)
    view = simple.GetActiveViewOrCreate("RenderView")
    view.CameraViewAngle = angle
    simple.SaveScreenshot(place, view, ImageResolution=(320, 180))
    points = sum(source.GetDataInformation().GetNumberOfPoints() for source in simple.GetSources().values())
    return points, angle
