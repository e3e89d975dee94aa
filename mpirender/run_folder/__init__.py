"""The files of a run. Every other package reads and writes them through these modules.

``folder`` writes the job, ``journal`` the ``events`` of a run (with ``event_values``), which ``run_state`` follows;
``cost`` is what its nodes cost, ``spot`` what a cloud announces about them; ``restart_plan`` is what the next launch is
to leave out; ``own_files`` says which files mpirender made; ``lock`` and ``exclusive`` let only one process write.
"""

__all__ = [
    "cost", "event_values", "events", "exclusive", "folder", "journal", "lock", "own_files", "restart_plan",
    "run_state", "spot",
]  # fmt: skip
