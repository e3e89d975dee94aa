"""Make new movies from the frames of a finished run, without ParaView or MPI.

``reencode`` is the command; ``inventory`` says which frames the folder holds.
"""

__all__ = ["reencode"]
