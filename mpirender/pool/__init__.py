"""Call a user's function over jobs, on ranks that run inside ParaView or Blender.

    from mpirender import pool

    outcomes = pool.run(function, jobs, engine="paraview", ranks=8)

Ranks import this package, too, and have only the packages of pvbatch; therefore :func:`run` is loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpirender.pool.run_jobs import run
    from mpirender.pool.task_queue import Outcome

__all__ = ["Outcome", "run"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562 gives no narrower type
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'mpirender.pool' has no attribute {name!r}")
    from mpirender.pool import run_jobs

    return getattr(run_jobs, name)
