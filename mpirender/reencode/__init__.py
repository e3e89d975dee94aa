"""Make new movies from the frames of a run, without ParaView or MPI.

``reencode`` is the command, and ``preview`` what it does while the run goes on; ``inventory`` says which frames the
folder holds.
"""

__all__ = ["preview", "reencode"]
