"""The programs that run the ranks, and the hardware that they render on: what a job says beside its scene."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Programs:
    """Options of a job that concern programs and hardware, of the same names and meanings as in :class:`RenderJob`.

    A pool and ``doctor`` have no scene, so they make one of these by themselves.
    """

    pvbatch: str | None = None
    blender: str | None = None
    mpiexec: str | None = None
    backend: str = "auto"
    gpus: str | None = None
    allow_software: bool = False
    display: str | None = None
    container: str | None = None
    ranks_per_frame: int = 1

    @property
    def gpu_numbers(self) -> tuple[int, ...]:
        """The EGL devices that were asked for, in order; empty for none."""
        return tuple(map(int, self.gpus.split(","))) if self.gpus not in (None, "none") else ()
