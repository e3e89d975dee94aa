"""Child processes: none of them outlives this one, and a program that may abort is run apart from the ranks."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
from pathlib import Path

from mpirender.system import signals

HOSTED = Path(__file__).resolve().parents[1] / "hosted"
OF_MPI = re.compile(r"(OMPI|PMIX|PMI|PRTE|HYDI?|MPI)_|SLURM_")  # else the child takes itself for one of the ranks
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask the kernel to send this process a signal when its parent dies, so that kill -9 of the parent leaves nothing.

    It is called in the child, as ``preexec_fn``. The kernel takes the thread that started the child for its parent: a
    child that is to last must be started from a thread that lasts. A program with rights of its own (setuid) is spared.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def environment(**added: str) -> dict[str, str]:
    """Return the environment for such a process: nothing of MPI's and no display in it, and mpirender to be found."""
    kept = {name: value for name, value in os.environ.items() if not OF_MPI.match(name) and name != "DISPLAY"}
    return {**kept, "PYTHONPATH": str(HOSTED), "HWLOC_COMPONENTS": "-gl", **added}


def detach() -> None:
    """Let a process that may abort leave no core file, end with its parent, and not hear what is meant for that.

    It is called in the child, as ``preexec_fn``.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end_with_parent(signal.SIGKILL)
    signals.ward_off()
