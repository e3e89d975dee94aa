"""The functions of an engine that opens no window of its own, brings no MPI, and renders each frame in one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpirender.engines.base import BackendDevice
from mpirender.job.programs import Programs

BACKENDS = ()


def mpiexec(programs: Programs) -> str | None:
    """Return None: the program includes no MPI."""
    return None


def backend_devices(programs: Programs, backend: str) -> Sequence[BackendDevice]:
    """Return nothing: there are no backends."""
    return ()


def environment(device: BackendDevice) -> Mapping[str, str]:
    """Return nothing."""
    return {}


def warm_up() -> None:
    """Do nothing."""


def split_into_groups(group: int, rank: int) -> None:
    """Do nothing: each rank of a group renders the whole image."""
