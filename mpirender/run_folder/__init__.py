"""The files of a run. Every other package reads and writes them through these modules.

``folder`` names the files, ``journal`` holds what happened, ``restart_plan`` what the next launch is to leave out;
``lock`` and ``exclusive`` let only one process write.
"""

__all__ = ["exclusive", "folder", "journal", "lock", "restart_plan"]
