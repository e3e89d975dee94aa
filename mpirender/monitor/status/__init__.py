"""What a run is doing, or has done, as any machine sees it that sees the folder: from journals, job and lock alone.

``history`` sums up records, ``view`` makes a :class:`~mpirender.monitor.status.view.Status` of that, ``text`` writes it
for people, ``follow`` reads the folder, once or until the run has ended.
"""

__all__ = ["follow", "text", "view"]
