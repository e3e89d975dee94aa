"""What a run is doing, or has done: on any machine that sees its folder, from journals, job and lock alone.

``view`` makes a :class:`~mpirender.monitor.status.view.Status` of the events of a folder, ``text`` writes it for
people, ``follow`` reads the folder, once or until the run has ended.
"""

__all__ = ["follow", "text", "view"]
