"""The files of a run. Every other package reads and writes them through these modules.

``folder`` writes the job, ``journal`` the ``events`` of a run, which ``run_state`` follows; ``restart_plan`` is what
the next launch is to leave out; ``own_files`` says which files mpirender made; ``lock`` and ``exclusive`` let only one
process write.
"""

__all__ = ["events", "exclusive", "folder", "journal", "lock", "own_files", "restart_plan", "run_state"]
