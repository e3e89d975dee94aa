"""Run one row and measure wall-clock time and CPU time; count its images and compare their pixels."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from benchmarks.rows import Case, Row, call, images, log_of, plain_environment, reference
from mpirender import engines
from mpirender.errors import LaunchFailed
from mpirender.job.render_job import FOLDER
from mpirender.launcher.placement import cores
from mpirender.run_folder import events, journal
from mpirender.system import xvfb

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True)
class Run:
    """Measurements of one row in one repeat.

    :param wall: seconds of wall-clock time.
    :param cpu: CPU seconds of all its processes.
    :param load: load average of the machine before the run.
    :param different: number of images that differ in any pixel from those of the program's own animation.
    :param phases: seconds of wall-clock time before the first frame, during the frames and after the last one; empty if
        the row keeps no journals.
    """

    row: str
    repeat: int
    wall: float
    cpu: float
    load: float
    images: int
    different: int
    phases: tuple[float, ...] = ()


def needs_display(case: Case, log: Path) -> bool:
    """Return whether the program needs an X server."""
    if not engines.for_scene(case.job.scene).BACKENDS:
        return False
    call(case.inside("window-class"), plain_environment(), log)
    # ParaView 6 names the class in a warning, too, and then opens another window.
    return "window vtkXOpenGLRenderWindow" in log.read_text(errors="replace")


@contextlib.contextmanager
def shared_display(wanted: bool) -> Iterator[dict[str, str]]:
    """Yield the environment for a program, with an X server for the duration of the block if wanted."""
    if not wanted:
        yield plain_environment()
        return
    with xvfb.server() as reached:
        yield {**plain_environment(), **reached}


def measure(row: Row, case: Case, expected: Path, repeat: int) -> Run:
    """Render with one row, measure it, and compare its pixels with the reference.

    :raises LaunchFailed: the row failed or left out images.
    """
    folder = case.job.output / f"repeat-{repeat}" / row.name
    make_folders(case, folder)
    load, cpu = os.getloadavg()[0], cpu_of_children()
    with shared_display(case.needs_display and row.given_display) as environment:
        began, started = time.time(), time.perf_counter()
        row.render(case, folder, environment)
        wall = time.perf_counter() - started
    wait_for_orphans()
    cpu = cpu_of_children() - cpu  # measured after the X server has ended, to include its CPU time
    made = whole(case, folder)
    different = count_different(case, folder, expected)
    return Run(row.name, repeat, wall, cpu, load, made, different, phases(folder / FOLDER, began, wall))


def phases(journals: Path, began: float, wall: float) -> tuple[float, ...]:
    """Return the seconds before the first frame, during the frames and after the last; empty without journals.

    :param began: start time of the command, in seconds since the epoch.
    :param wall: its duration in seconds.
    """
    records = journal.read(journals) if journals.is_dir() else []
    takes = [record.time for record in records if isinstance(record, events.Take)]
    dones = [record.time for record in records if isinstance(record, events.Done)]
    return (takes[0] - began, dones[-1] - takes[0], began + wall - dones[-1]) if takes and dones else ()


def whole(case: Case, folder: Path) -> int:
    """Count the images in a folder.

    :raises LaunchFailed: some are missing.
    """
    paths = images(case, folder)
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise LaunchFailed(f"{folder.name}: {len(missing)} images of {len(paths)} were not made; see {log_of(folder)}")
    return len(paths)


def make_folders(case: Case, folder: Path) -> None:
    """Create the folder of a row with a subfolder per size."""
    for size in case.job.sizes:
        (folder / size.name).mkdir(parents=True)


def adopt_orphans() -> None:
    """Become the parent of descendants that outlive their own parents (Linux, prctl(2)).

    Otherwise init would reap them, for example a process that still writes images of a rank that has ended, and their
    CPU time would be lost.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans(seconds: float = 10) -> None:
    """Wait until all descendants have ended, but at most this long: some stay on purpose."""
    end = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):  # no descendant left
        while time.monotonic() < end:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(0.01)


def cpu_of_children() -> float:
    """Return the CPU seconds of all descendants that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def count_different(case: Case, folder: Path, reference: Path) -> int:
    """Count the images of a folder that differ from the reference in any pixel."""
    with ThreadPoolExecutor(cores()) as pool:
        return sum(pool.map(differ, images(case, folder), images(case, reference)))


def differ(image: Path, other: Path) -> bool:
    """Return whether two images differ in any decoded pixel."""
    return not np.array_equal(iio.imread(image), iio.imread(other))


def make_reference(case: Case) -> Path:
    """Render the reference images; return their folder."""
    folder = case.job.output / "reference"
    make_folders(case, folder)
    with shared_display(case.needs_display) as environment:
        reference(case, folder, environment)
    whole(case, folder)
    return folder
