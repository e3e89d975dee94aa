"""The programs that run the ranks, and the hardware that they render on: what a job says beside its scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


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

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen; this is its own constructor
        for name in ("pvbatch", "blender", "mpiexec"):
            set_field(self, name, absolute_program(getattr(self, name)))
        set_field(self, "container", absolute(self.container))

    @property
    def gpu_numbers(self) -> tuple[int, ...]:
        """The EGL devices that were asked for, in order; empty for none."""
        return tuple(map(int, self.gpus.split(","))) if self.gpus not in (None, "none") else ()

    def mistakes(self) -> Iterator[str]:
        """Yield which of them contradict each other."""
        if self.gpus not in (None, "none") and self.backend in ("osmesa", "glx"):
            yield f"--gpus selects EGL devices, which --backend {self.backend} does not use; leave out one of them"
        if self.display is not None and self.backend != "glx":
            yield "--display is the X server of GLX; add --backend glx"


def absolute(path: str | Path | None) -> str | None:
    """Return a path as an absolute one; None for an empty text."""
    return str(Path(path).absolute()) if path else None


def absolute_program(name: str | None) -> str | None:
    """Return a path as an absolute one; keep the name of a program on PATH."""
    return absolute(name) if name and "/" in name else name
