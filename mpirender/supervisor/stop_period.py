"""How long images in progress, and then the launcher, may take to end when a run is asked to stop."""

from __future__ import annotations

from mpirender.launcher.process import NOW_SECONDS
from mpirender.system import slurm

RECORD_SECONDS = 8.0  # to end the ranks, ask Slurm what follows and record the end before Slurm kills the run
LEAST_SHARE = 0.2  # of the time until Slurm kills the run that images in progress get
LAUNCHER_SHARE = 0.1  # of this time that the launcher gets


class StopPeriod:
    """The time that a run has after a signal; when Slurm ends a job, it kills the job soon after SIGTERM."""

    def __init__(self, grace: float, *, in_slurm: bool) -> None:
        """Ask Slurm how long it waits, while it still answers.

        :param grace: seconds that the user gives to images in progress.
        """
        self._grace = grace
        self._kill_wait = slurm.kill_wait() if in_slurm else None

    def images(self, signal: str) -> float:
        """Return the seconds that images in progress get after a signal."""
        if self._kill_wait is None or signal != "SIGTERM":
            return self._grace
        return min(self._grace, max(self._kill_wait - RECORD_SECONDS, self._kill_wait * LEAST_SHARE))

    @property
    def launcher(self) -> float:
        """The seconds that the launcher gets to end its ranks."""
        return NOW_SECONDS if self._kill_wait is None else min(NOW_SECONDS, self._kill_wait * LAUNCHER_SHARE)
