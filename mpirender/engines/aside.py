"""An engine's program that is asked something in a process of its own: it may abort, and it is none of the ranks."""

from __future__ import annotations

import os
import re
import resource
import signal
from pathlib import Path

from mpirender import stopping
from mpirender.processes import end_with_parent

HOSTED = Path(__file__).resolve().parents[1] / "hosted"
OF_MPI = re.compile(r"(OMPI|PMIX|PMI|PRTE|HYDI?|MPI)_|SLURM_")  # else the child takes itself for one of the ranks


def environment(**added: str) -> dict[str, str]:
    """Return the environment for such a process: nothing of MPI's and no display in it, and mpirender to be found."""
    kept = {name: value for name, value in os.environ.items() if not OF_MPI.match(name) and name != "DISPLAY"}
    return {**kept, "PYTHONPATH": str(HOSTED), "HWLOC_COMPONENTS": "-gl", **added}


def step_aside() -> None:
    """Let a process that may abort leave no core file, end with its parent, and not hear what is meant for that.

    It is called in the child, as ``preexec_fn``.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end_with_parent(signal.SIGKILL)
    stopping.ward_off()
